"""Machines that are namespaces of this one: each with its network, processes, name and /tmp, as a container has.

It takes root. Their network can be cut without a trace for either side, as a cable that is pulled out far away.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

BRIDGE, HEAD_IP, PORT = "reverie0", "10.99.0.1", 6379
ADDRESS = f"{HEAD_IP}:{PORT}"
RAY = str(Path(sys.executable).with_name("ray"))
QUIET = "--disable-usage-stats --object-store-memory=100000000 --num-cpus=1"


class Container:
    """A command with processes and /tmp of its own, started again whenever it ends, as Docker does."""

    def __init__(self, name: str, command: str, inside: Sequence[str] = ()) -> None:
        """`inside` are the words before the command, such as those that enter a network namespace."""
        self.name, self._command, self._inside = name, command, inside
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self.starts = 0

    def start(self) -> None:
        """Start, and start again after each end from here on."""
        self._wanted = True
        self.tend()

    def kill(self, *, stay: bool = False) -> None:
        """End all its processes at once; unless they `stay` dead, it is started again."""
        self._wanted = not stay
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def kill_part(self, word: str) -> None:
        """End its processes whose program has this word in its name."""
        for pid in self._processes():
            with suppress(OSError):
                if word in Path(os.readlink(f"/proc/{pid}/exe")).name:
                    os.kill(pid, signal.SIGKILL)

    def tend(self) -> None:
        """Start it again if it has ended."""
        if not self._wanted or (self._process is not None and self._process.poll() is None):
            return
        if self._process is not None:
            time.sleep(1)
        # The first process of a namespace takes all others with it.
        own = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--uts")
        script = f"mount -t tmpfs none /tmp && hostname {self.name} && {self._command}"
        self._process = subprocess.Popen([*self._inside, *own, "sh", "-c", script], start_new_session=True)  # noqa: S603 - our own words
        self.starts += 1

    def _processes(self) -> list[int]:
        found = []
        first = None if self._process is None else _children(self._process.pid)
        spaces = {_space(pid) for pid in first or ()} - {_space(os.getpid())}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if _space(int(place.name)) in spaces:
                    found.append(int(place.name))
        return found


class Network:
    """A bridge at the head's address, and worker machines, from 0, at the following ones."""

    def __init__(self, machines: int) -> None:
        self._count = machines

    def __enter__(self) -> Network:
        """Make it."""
        self.__exit__()
        _run(f"ip link add {BRIDGE} type bridge")
        _run(f"ip addr add {HEAD_IP}/24 dev {BRIDGE}")
        _run(f"ip link set {BRIDGE} up")
        for number in range(self._count):
            name = _name(number)
            _run(f"ip netns add {name}")
            _run(f"ip link add {name} type veth peer name eth0 netns {name}")
            _run(f"ip link set {name} master {BRIDGE} up")
            _run(f"ip -n {name} addr add 10.99.0.{number + 2}/24 dev eth0")
            _run(f"ip -n {name} link set eth0 up")
            _run(f"ip -n {name} link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        for number in range(self._count):
            _run(f"ip link del {_name(number)}", check=False)
            _run(f"ip netns del {_name(number)}", check=False)
        _run(f"ip link del {BRIDGE}", check=False)

    def cut(self, number: int) -> None:
        """Drop everything from and to a machine."""
        _run(f"bridge link set dev {_name(number)} state 0")

    def mend(self, number: int) -> None:
        """Let everything through again."""
        _run(f"bridge link set dev {_name(number)} state 3")

    def worker(self, number: int) -> Container:
        """The container of a machine with one worker."""
        ray = f"{RAY} start --address={ADDRESS} --node-ip-address=10.99.0.{number + 2} {QUIET} --block"
        command = f"""exec {ray} --resources '{{"painter": 1}}' > /dev/null 2>&1"""
        return Container(_name(number), command, ("ip", "netns", "exec", _name(number)))


def head(command: str) -> Container:
    """The container of the head and of a command beside it, as in deploy/compose.cluster.yaml."""
    ray = f"{RAY} start --head --port={PORT} --node-ip-address={HEAD_IP} --num-gpus=0 {QUIET} --include-dashboard=false"
    return Container("head", f"{ray} > /dev/null && exec {command}")


def _name(number: int) -> str:
    return f"reverie-{number}"


def _space(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def _run(command: str, *, check: bool = True) -> None:
    subprocess.run(command.split(), check=check, capture_output=not check)  # noqa: S603 - our own words
