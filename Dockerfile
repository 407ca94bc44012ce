# syntax=docker/dockerfile:1
# Two images from one file. Both run as an ordinary user; the slim one has no build tools:
#   docker build --target slim -t rankmill:slim .   producer, store, monitor; no PyTorch
#   docker build --target gpu  -t rankmill:gpu  .   the same, and the worker with PyTorch for CUDA
# To pin the base, name it by digest: --build-arg BASE=python:3.12-slim-trixie@sha256:...

ARG BASE=python:3.12-slim-trixie

# ---- the wheel: the only thing that the images take from this folder
FROM ${BASE} AS wheel
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

# ---- environments: complete before they are copied, so that pip's leftovers stay here
FROM ${BASE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/rankmill
COPY constraints.txt /constraints.txt

FROM environment AS slim-environment
COPY --from=wheel /wheels /wheels
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/rankmill/bin/pip install -c /constraints.txt "$(echo /wheels/rankmill-*.whl)[postgres,monitor,parquet]"

FROM environment AS gpu-environment
# First, so that a change of our code does not touch the layer with these gigabytes.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/rankmill/bin/pip install -c /constraints.txt torch transformers
COPY --from=wheel /wheels /wheels
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/rankmill/bin/pip install -c /constraints.txt "$(echo /wheels/rankmill-*.whl)[worker,postgres,monitor,parquet]"

# ---- what runs
FROM ${BASE} AS runtime
RUN groupadd --gid 10001 rankmill \
    && useradd --uid 10001 --gid 10001 --create-home rankmill \
    && install --directory --owner=10001 --group=10001 /weights
ENV PATH=/opt/rankmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/weights \
    RANKMILL_LOG_FORMAT=json
WORKDIR /home/rankmill
USER 10001:10001
ENTRYPOINT ["rankmill"]
CMD ["--help"]

FROM runtime AS gpu
# When a model is loaded, its layers are compiled for the device; that needs a C compiler.
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=gpu-environment /opt/rankmill /opt/rankmill

# Last, so that a build without --target makes the small image.
FROM runtime AS slim
COPY --from=slim-environment /opt/rankmill /opt/rankmill
