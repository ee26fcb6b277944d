"""A process that is fuzzed: `python -m benchmarks._fuzzed MODULE TARGET OPTION...`, with libFuzzer's options.

`benchmarks.fuzz` starts it. atheris counts which lines of the modules that are imported here an input reaches, and
libFuzzer changes inputs so that they reach more; it ends the process itself.
"""

from __future__ import annotations

import importlib
import sys

import atheris

COUNTED = ["generator", "bot.texts", "PIL", "pickletools", "zipfile", "yaml", "json", "tests.faults"]
"""What is counted, by how the names of modules begin."""


def main() -> None:
    """Fuzz until the options say that it is enough, or something is found."""
    module, name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=COUNTED):
        target = importlib.import_module(module).TARGETS[name]
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
