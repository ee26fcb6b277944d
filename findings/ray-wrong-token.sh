#!/usr/bin/env bash
# Ray 2.60.0 has an AuthenticationError, but `ray.init` with a token that is not the cluster's does not raise it: after
# some twenty seconds comes Python's ConnectionError, which names only the address, as if nothing listened there. Its
# cause is a RuntimeError, and that quotes a traceback as text, in whose last line stands the AuthenticationError.
#
# Seen 2026-11-28:
#   ConnectionError: Failed to connect to Ray cluster at ADDRESS
#   caused by RuntimeError: Failed to connect to GCS. Last connection error: Traceback [...]
#   ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing or incorrect.
#
# Needs: Python 3.11 or 3.12 with venv and pip. Installs nothing outside a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap '"$folder"/venv/bin/ray stop --force >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
token() { printf "$1%.0s" $(seq 64); }
RAY_AUTH_TOKEN=$(token a) "$folder/venv/bin/ray" start --head --port 7399 --num-cpus 1 --include-dashboard=false \
    --temp-dir "$folder/ray" >/dev/null 2>&1
RAY_AUTH_TOKEN=$(token b) "$folder/venv/bin/python" - 2>/dev/null <<'PY'
import ray
from ray.exceptions import RayError

try:
    ray.init(address="127.0.0.1:7399", configure_logging=False)
except RayError as exc:
    print(f"changed: {exc!r}")
    raise SystemExit(1)
except ConnectionError as exc:
    said, cause = str(exc), exc.__cause__
else:
    print("changed: it is let in")
    raise SystemExit(1)
print(f"ConnectionError: {said}")
print(f"caused by {type(cause).__name__}: {str(cause)[:54]}")
if "token" in said.lower() or "auth" in said.lower():
    print("changed: the error itself tells the reason")
    raise SystemExit(1)
if "AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing" not in str(cause):
    print("changed: the cause does not quote the reason")
    raise SystemExit(1)
PY
echo "as seen: the error does not tell that the token is refused; its cause quotes that as text"
