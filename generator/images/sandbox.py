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
from pathlib import Path

from generator.errors import InvalidRequest
from generator.images.files import MAX_FILE_BYTES, normalise, normalise_mask
from generator.messages import Message

TIMEOUT_S = 30.0
CPU_S = 20
MEMORY_BYTES = 4 * 2**30
"""Limit of the address space; a valid picture of 50 megapixels uses one GiB."""
MASK = "mask"
"""Argument of the process for a mask."""
_REFUSED = 3
_NEEDED = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR", "LANG")
"""Environment variables that Python may need to start; none holds a secret."""


def normalise_apart(data: bytes, *, mask: bool = False) -> bytes:
    """Run `images.normalise` in a separate process; for a mask, `normalise_mask`.

    Raises:
        InvalidRequest: as `normalise`; also if the process dies, takes too much memory or too long.
    """
    if len(data) > MAX_FILE_BYTES:
        return normalise(data)
    command = [sys.executable, "-m", "generator.images.sandbox", *([MASK] if mask else [])]
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(  # noqa: S603 - our own program, and nothing of a person's on its command line
            command, input=data, capture_output=True, timeout=TIMEOUT_S, cwd=root, env=environment(), check=False
        )
    except (subprocess.TimeoutExpired, OSError) as exc:
        raise _unreadable() from exc
    if done.returncode == _REFUSED:
        template, values = json.loads(done.stdout)
        raise InvalidRequest(Message(template, **values), "image")
    if done.returncode != 0:
        raise _unreadable()
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of the process."""
    return {name: os.environ[name] for name in _NEEDED if name in os.environ} | {"OMP_NUM_THREADS": "1"}


def main() -> int:
    """Read a picture from standard input; write the normalised picture, or the error message."""
    _limit()
    try:
        read = normalise_mask if MASK in sys.argv[1:] else normalise
        sys.stdout.buffer.write(read(sys.stdin.buffer.read()))
    except InvalidRequest as exc:
        message = exc.message
        found = (
            (message.template, dict(message.values)) if isinstance(message, Message) else ("{said}", {"said": message})
        )
        sys.stdout.buffer.write(json.dumps(found).encode())
        return _REFUSED
    return 0


def _limit() -> None:
    """Limit memory to the needs of a picture, if the operating system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limits.
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _unreadable() -> InvalidRequest:
    text = "This picture takes too much memory or time to read; save it anew, or smaller, and try again."
    return InvalidRequest(Message(text), "image")


if __name__ == "__main__":
    sys.exit(main())
