"""`python -m tests.cuda_stub COMMAND [ARGUMENT ...]`: run a command as on a machine with a GPU that computes nothing.

A rehearsal of `make gpu`: `python -m tests.cuda_stub python -m benchmarks.gpu --seconds 600`. Times mean nothing, but
every launch, copy and allocation is made. The trials of the norm kernels and of float16, which cannot pass here, are
left out (`site/sitecustomize.py`); the part `training` reads a list back from the GPU and needs
CUDA_STUB_COPIED_BYTES=64. All settings are listed in runtime.cpp; CUDA_STUB_REPORT names a file for captures and broken
rules.
"""

from __future__ import annotations

import os
import sys

from tests.cuda_stub.libraries import HERE, environment, missing


def main() -> None:
    lacking = missing()
    if lacking or not sys.argv[1:]:
        sys.exit(f"This cannot run here: {lacking}." if lacking else __doc__)
    variables = environment()
    paths = [str(HERE / "site"), *filter(None, [variables.get("PYTHONPATH")])]
    tools = [str(HERE / "site"), os.environ["PATH"]]
    variables |= {"PYTHONPATH": os.pathsep.join(paths), "PATH": os.pathsep.join(tools)}
    os.execvpe(sys.argv[1], sys.argv[1:], variables)  # noqa: S606 - the given command


if __name__ == "__main__":
    main()
