"""Bots forked from a process that has imported them already: as `python -m MODULE` starts them, less a second. Linux.

`python -m tests.discord_fake.warm FD` listens at a socket. A connection brings a line of JSON with `module`,
`arguments` and `environment`, and is the standard error of the new process from then on: its id is the first line, and
its exit status the last one, after a zero byte.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent.parent


class WarmProcess:
    """A forked process, as asyncio has one: `stderr` must be read for its end to be noticed.

    Attributes:
        pid: its id.
        returncode: its exit status, minus a signal's number; None while it runs.
        stderr: the lines of its standard error.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr = self._read(reader, writer)
        self._ended = asyncio.Event()

    def send_signal(self, number: int) -> None:
        """Send it a signal.

        Raises:
            ProcessLookupError: if it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end; return its exit status."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[bytes]:
        try:
            async for line in reader:
                text, mark, status = line.partition(b"\0")
                if text:
                    yield text
                if mark:
                    self.returncode = int(status)
                    self._ended.set()
        finally:
            writer.close()


@cache
def is_possible() -> bool:
    """True if this system tells of the end of processes by their descriptors, which some containers forbid."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


async def start(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], limit: int = 2**16
) -> WarmProcess:
    """Start a module as a process; `limit` is the length of the longest line of its standard error."""
    reader, writer = await asyncio.open_unix_connection(_address(), limit=limit)
    order = {"module": module, "arguments": list(arguments), "environment": dict(environment)}
    writer.write(json.dumps(order).encode() + b"\n")
    return WarmProcess(int(await reader.readline()), reader, writer)


@cache
def _address() -> str:
    """The address of the process that forks. There is one for this process, and it ends with it."""
    name = f"\0reverie-tests-{os.getpid()}-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        command = [sys.executable, "-m", "tests.discord_fake.warm", str(listener.fileno())]
        forks = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[listener.fileno()]
        )

    def end() -> None:
        assert forks.stdin is not None
        forks.stdin.close()
        forks.wait()

    atexit.register(end)
    return name


def serve(listener: socket.socket) -> None:
    """Fork until standard input ends. Nothing here has a thread, or an event loop."""
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    with connection.makefile("rb") as given:
                        order = json.loads(given.readline())
                    pid = os.fork()
                    if pid == 0:
                        _become(order, connection, ready)
                    ready.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
                else:
                    pid, connection = key.data
                    ready.unregister(key.fileobj)
                    os.close(key.fd)
                    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    connection.sendall(b"\0%d\n" % status)
                    connection.close()


def _become(order: Mapping[str, Any], connection: socket.socket, ready: selectors.BaseSelector) -> NoReturn:
    """Be the new process, with nothing of this one's but its modules."""
    status = 1
    try:
        os.dup2(connection.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for key in list(ready.get_map().values()):
            if key.data is not None:
                os.close(key.fd)
                key.data[1].close()
            elif isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        ready.close()
        connection.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(2, b"%d\n" % os.getpid())
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = [order["module"], *order["arguments"]]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for module in ("bot.wiring", "tests.bot.fake_dream", "tests.discord_fake.launch"):
        import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
