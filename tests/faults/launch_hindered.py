"""`tests.discord_fake.launch_quick` in a process that obeys file modes even as root and can lose its log.

SIGUSR1: standard error goes to a disk that is full, from now on; SIGUSR2: back to where it went before.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_VERSION = 0x20080522


def renounce() -> None:
    """Drop all capabilities: file modes then apply to root as to any user."""
    header, none = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def watch_signals() -> None:
    """Let two signals switch standard error off and on."""
    kept, full = os.dup(2), os.open("/dev/full", os.O_WRONLY)
    signal.signal(signal.SIGUSR1, lambda *_: os.dup2(full, 2))
    signal.signal(signal.SIGUSR2, lambda *_: os.dup2(kept, 2))


if __name__ == "__main__":
    renounce()
    watch_signals()
    sys.argv[0] = ""
    runpy.run_module("tests.discord_fake.launch_quick", run_name="__main__", alter_sys=True)
