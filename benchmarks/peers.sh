#!/bin/sh
# Environments for the peers that the benchmark compares with, under benchmarks/.environments/.
# What does not install leaves its reason there, and the benchmark's tables show it.
#
#     benchmarks/peers.sh            on a machine without a GPU
#     TORCH=torch==2.13.0 PYTHON=python3.12 benchmarks/peers.sh
set -eu
folder=$(cd "$(dirname "$0")" && pwd)/.environments
python=${PYTHON:-python3}
torch=${TORCH:-torch==2.13.0}
mkdir -p "$folder"

environment() {
	name=$1
	shift
	[ -e "$folder/$name.made" ] && return
	echo "peers: installing $name"
	rm -rf "${folder:?}/$name" "$folder/$name.failed"
	"$python" -m venv "$folder/$name"
	if "$folder/$name/bin/python" -m pip install -q --disable-pip-version-check "$torch" "$@" \
		>"$folder/$name.log" 2>&1; then
		# Of another build than PyTorch, torchvision breaks every import of transformers; nobody needs it here.
		"$folder/$name/bin/python" -c 'import torchvision' 2>/dev/null ||
			"$folder/$name/bin/python" -m pip uninstall -q -y torchvision >/dev/null 2>&1
		touch "$folder/$name.made"
	else
		grep ERROR: "$folder/$name.log" | head -n 1 | cut -c 1-200 >"$folder/$name.failed"
		echo "peers: $name: $(cat "$folder/$name.failed")"
	fi
}

environment openvino 'sentence-transformers[openvino]==6.2.0'
# 6.2.0 and optimum-onnx do not agree on a version of transformers: pip finds an older one.
environment onnx 'sentence-transformers[onnx]'
# With transformers 5 it turns tokens back into text and reads that anew: slower, and not always the same.
environment flagembedding 'FlagEmbedding==1.4.2' 'transformers<5'
environment infinity 'infinity-emb[torch]==0.0.77'
