"""Process under fuzzing: `python -m benchmarks._fuzzed MODULE TARGET OPTION...`, with libFuzzer's options.

`benchmarks.fuzz` starts it. atheris records which lines of the modules imported here an input reaches, and libFuzzer
mutates inputs to reach more; it ends the process itself.
"""

from __future__ import annotations

import importlib
import sys

import atheris

COUNTED = ["generator", "bot.texts", "PIL", "pickletools", "zipfile", "yaml", "json", "tests.faults"]
"""Prefixes of the module names that are instrumented."""


def main() -> None:
    """Fuzz until the options' limit, or a finding."""
    module, name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=COUNTED):
        target = importlib.import_module(module).TARGETS[name]
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
