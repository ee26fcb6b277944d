# Reverie as an image: no weights beyond the starter that ships with the code, no secrets, no root.
# The base is plain Python: torch's wheels bring CUDA 12.8 along, so an image of CUDA would bring it twice. From the
# host comes the driver alone (525 or newer), by way of NVIDIA's container toolkit. See docs/hosting.md.

FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /opt/venv
# The cache stays outside of the image, so that a change of one pin does not fetch gigabytes again.
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install --disable-pip-version-check --cache-dir /var/cache/pip -r requirements.txt
# Left out: Lightning, which taming asks for and nothing imports; archives for linking.
RUN /opt/venv/bin/pip uninstall --yes --quiet pytorch-lightning torchmetrics lightning-utilities \
    && find /opt/venv -name '*.a' -delete

FROM python:3.11.14-slim-bookworm
# Triton compiles the GPU kernels at the first start, and needs a C compiler for it. Debian keeps
# only the newest version of a release, so none is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent reverie \
    && install -d -o reverie -g reverie -m 700 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
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
