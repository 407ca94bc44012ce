#!/bin/sh
# One command on a machine with a GPU: everything asked of it in one table, in under 8 minutes, and then the
# tests marked gpu. Wants nothing from the internet; peers are shown where they can be imported.
#
#     benchmarks/gpu.sh
#     DEVICE=cpu SIZE=2x64 benchmarks/gpu.sh     tries the command itself where there is no GPU
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
[ -x .venv/bin/python ] && python=${PYTHON:-.venv/bin/python}
export HF_HUB_OFFLINE=1
# Layers are compiled once, and not anew for each of the processes that load the model.
TORCHINDUCTOR_CACHE_DIR=$(mktemp -d)
export TORCHINDUCTOR_CACHE_DIR
trap 'rm -rf "$TORCHINDUCTOR_CACHE_DIR"' EXIT
trap 'exit 130' INT TERM

timeout --signal=INT --kill-after=15 385 "$python" -m benchmarks.peers.parts.gpu --device "${DEVICE:-cuda}" --size "${SIZE:-24x1024}" "$@"
status=$?
timeout 75 "$python" -m pytest -q -p no:cacheprovider -m gpu tests/worker/model/test_gpu.py || status=$?
exit $status
