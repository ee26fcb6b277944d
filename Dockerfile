# Reverie as an image: no weights beyond the starter that ships with the code, no secrets, no root.
# The base is plain Python: torch's wheels bring CUDA 12.8 along, so an image of CUDA would bring it twice. From the
# host comes the driver alone (525 or newer), by way of NVIDIA's container toolkit. See docs/hosting.md.

FROM python:3.11.14-slim-bookworm
# Triton compiles the GPU kernels at the first start, and needs a C compiler for it. Debian keeps
# only the newest version of a release, so none is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent reverie \
    && install -d -o reverie -g reverie -m 700 /data
WORKDIR /app
COPY requirements.txt requirements-film.txt requirements-safety.txt requirements-upscale.txt \
    requirements-tokenizer.txt requirements-setup.txt ./
COPY deploy/install.py ./deploy/
# The address of an index with a torch without CUDA, for a machine without a GPU: see docs/hosting.md.
ARG REVERIE_TORCH_INDEX
# In one step, and in the stage that is kept: the packages lie on the disk once, and no download beside them.
# Left out: Lightning, which taming asks for, and the client of Hugging Face, which tokenizers asks for, neither of
# which anything imports; the installer; archives for linking.
RUN python -m venv /opt/venv \
    && UV_COMPILE_BYTECODE=1 /opt/venv/bin/python deploy/install.py \
        requirements.txt requirements-film.txt requirements-safety.txt requirements-upscale.txt \
        requirements-tokenizer.txt \
    && /opt/venv/bin/pip uninstall --yes --quiet pytorch-lightning torchmetrics lightning-utilities uv \
        huggingface-hub hf-xet \
    && find /opt/venv -name '*.a' -delete
COPY bot ./bot
COPY generator ./generator
COPY config.yaml LICENSE ./
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    REVERIE_DATA=/data \
    TRITON_CACHE_DIR=/data/cache/triton \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# The user who runs it can write to /data alone, so the bytecode is made here.
RUN python -m compileall -q bot generator
USER 10001:10001
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=3m --retries=3 CMD ["python", "-m", "bot", "health"]
ENTRYPOINT ["python", "-m", "bot"]
