"""Decoding of hostile pictures in a separate process: `python -m generator.images.sandbox`. Any thread; blocking.

Picture decoders are written in C and are the part of the program most exposed to strangers. In a process of their own
they may crash, exhaust their memory limit or hang: the requester gets an error message, and other requests are not
affected. The process has no token in its environment, and decoding does not hold this process's GIL, as the WebP
decoder would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from generator.errors import InvalidRequest
from generator.images.files import MAX_FILE_BYTES, normalise, normalise_mask
from generator.messages import Message

TIMEOUT_S = 30.0
CPU_S = 20
MEMORY_BYTES = 4 * 2**30
"""Limit of the address space; a valid picture of 50 megapixels uses one GiB."""
MASK = "mask"
"""Argument of the process for a mask."""
REFUSED = 3
"""Exit status of a process that writes an error message."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_NEEDED = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR", "LANG")
"""Environment variables that Python may need to start; none holds a secret."""


def normalise_apart(data: bytes, *, mask: bool = False) -> bytes:
    """Run `images.normalise` in a separate process; for a mask, `normalise_mask`.

    Raises:
        InvalidRequest: as `normalise`; also if the process dies, takes too much memory or too long.
    """
    if len(data) > MAX_FILE_BYTES:
        return normalise(data)
    return run_apart("generator.images.sandbox", [MASK] if mask else [], "image", data=data)


def run_apart(
    module: str,
    arguments: Sequence[str],
    field: str,
    *,
    data: bytes = b"",
    seconds: float = TIMEOUT_S,
    known_as: str | None = None,
) -> bytes:
    """Run one of our modules in a process for hostile files; return its output.

    `known_as` is the name of the file in its messages.

    Raises:
        InvalidRequest: with the message of the module; also if the process dies, takes too much memory or too long.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own program, and nothing of a person's on its command line
            command, input=data, capture_output=True, timeout=seconds, cwd=_ROOT, env=environment(), check=False
        )
    except (subprocess.TimeoutExpired, OSError) as exc:
        raise _unreadable(field) from exc
    if done.returncode == REFUSED:
        template, values = json.loads(done.stdout)
        if known_as is not None and "file" in values:
            values["file"] = known_as[-60:]
        raise InvalidRequest(Message(template, **values), field)
    if done.returncode != 0:
        raise _unreadable(field)
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of the process."""
    return {name: os.environ[name] for name in _NEEDED if name in os.environ} | {"OMP_NUM_THREADS": "1"}


def main() -> int:
    """Read a picture from standard input; write the normalised picture, or the error message."""
    bounded(CPU_S)
    try:
        read = normalise_mask if MASK in sys.argv[1:] else normalise
        sys.stdout.buffer.write(read(sys.stdin.buffer.read()))
    except InvalidRequest as exc:
        sys.stdout.buffer.write(refused(exc.message))
        return REFUSED
    return 0


def refused(message: str) -> bytes:
    """The message of an error, as the process writes it."""
    plain = (message.template, dict(message.values)) if isinstance(message, Message) else ("{said}", {"said": message})
    return json.dumps(plain).encode()


def leave(status: int) -> NoReturn:
    """End this process at once: to tear down Python's modules takes a sixth of its time."""
    sys.stdout.flush()
    os._exit(status)


def bounded(cpu_s: int) -> None:
    """Limit memory to the needs of a picture, and the CPU's time, if the operating system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limits.
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _unreadable(field: str) -> InvalidRequest:
    if field == "image":
        text = "This picture takes too much memory or time to read; save it anew, or smaller, and try again."
    else:
        text = "This file takes too much memory or time to read; save it anew, smaller or shorter, and try again."
    return InvalidRequest(Message(text), field)


if __name__ == "__main__":
    leave(main())
