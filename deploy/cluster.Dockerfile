# The image of the Dockerfile with Ray, for the bot and for every machine of a cluster: see docs/cluster.md. The base is
# built first, on the same machine: docker compose build.
ARG BASE=reverie
# hadolint ignore=DL3006
FROM ${BASE}
USER 0
COPY requirements-ray.txt /app/
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --requirement /app/requirements-ray.txt
# Ray's processes import our code by its folder, and write to /tmp alone. The path is no secret, its content is.
# hadolint ignore=DL3064
ENV PYTHONPATH=/app \
    HOME=/tmp \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_AUTH_MODE=token \
    RAY_AUTH_TOKEN_PATH=/run/secrets/ray_token
USER 10001:10001
