"""Process under fuzzing: `python -m benchmarks._fuzzed MODULE TARGET OPTION...`, with libFuzzer's options.

`benchmarks.fuzz` starts it. atheris records which lines of the modules imported here an input reaches, and libFuzzer
mutates inputs to reach more; it ends the process itself.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable

COUNTED = ["generator", "bot.texts", "PIL", "pickletools", "zipfile", "yaml", "json", "tests.faults"]
"""Prefixes of the module names that are instrumented."""
MOST_S = 2.0
"""Of computing for one input, while every line is recorded as well; without that it takes a fraction."""


class TooLong(Exception):
    """An input that keeps its reader busy."""


def bounded(read: Callable[[bytes], object], clock: Callable[[], float] = time.process_time) -> Callable[[bytes], None]:
    """Return the same reader, raising TooLong for an input on which it computes longer than it may."""

    def read_in_time(data: bytes) -> None:
        began = clock()
        read(data)
        took_s = clock() - began
        if took_s > MOST_S:
            raise TooLong(f"it took {took_s:.1f} s")

    return read_in_time


def main() -> None:
    """Fuzz until the options' limit, or a finding."""
    import atheris  # not available for every system

    module, name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=COUNTED):
        target = importlib.import_module(module).TARGETS[name]
    atheris.Setup([sys.argv[0], *options], bounded(target.read))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
