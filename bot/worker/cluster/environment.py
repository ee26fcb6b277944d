"""Settings of Ray that it reads from the environment when it is imported: set before that."""

from __future__ import annotations

import secrets
import socket
from collections.abc import MutableMapping
from pathlib import Path

from bot.config import LOCAL
from bot.errors import ClusterError

MODE, TOKEN, TOKEN_PATH, USAGE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED"
PATIENCE_S = 5.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""Opening of an HTTP/2 connection, RFC 9113 3.4: 24 bytes and a frame with no settings."""
_FRAME_BYTES, _SETTINGS = 9, 4
"""Length of a frame's head, and the kind of the frame with which a server of HTTP/2, so of gRPC and Ray, opens."""
OF_THE_HOME = Path(".ray") / "auth_token"
"""The file in which Ray looks for a token if the environment names none."""


def prepare_environment(environ: MutableMapping[str, str], address: str, home: Path) -> None:
    """Turn token authentication on, and reports to Ray's makers off; what is set already stays.

    A cluster of our own on this machine gets a token of its own, which its processes inherit.
    """
    environ.setdefault(USAGE, "0")
    environ.setdefault(MODE, "token")
    has_token = environ.get(TOKEN) or environ.get(TOKEN_PATH) or (home / OF_THE_HOME).is_file()
    if address == LOCAL and not has_token:
        environ[TOKEN] = secrets.token_hex(32)


def check_address(address: str) -> None:
    """Check that a gRPC server such as Ray's answers at an address; Ray itself would try for minutes. Blocking.

    Raises:
        ClusterError: if none does; an address that is a word of Ray's own is not checked.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as there:
            there.sendall(_PREFACE)
            with there.makefile("rb") as answer:
                frame = answer.read(_FRAME_BYTES)
    except (OSError, OverflowError) as exc:
        raise ClusterError("cluster_unreachable", address=address, why=str(exc)[:100]) from exc
    if frame[3:4] != bytes((_SETTINGS,)):
        raise ClusterError("cluster_is_none", address=address)
