"""A Python that is too old gets a sentence before any import that it lacks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = ("bot", "generator")
PRETEND = "import runpy, sys; sys.version_info = (3, 10, 12, 'final', 0); runpy.run_module({!r}, run_name='__main__')"


@pytest.mark.parametrize("program", PROGRAMS)
def test_python_310_gets_a_sentence(program: str) -> None:
    command = [sys.executable, "-c", PRETEND.format(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Reverie needs Python 3.11 or 3.12, and this is 3.10. See docs/hosting.md.\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_an_old_python_must_read_has_a_syntax_that_it_knows(program: str) -> None:
    for name in ("__init__", "__main__"):
        ast.parse((ROOT / program / f"{name}.py").read_text("utf-8"), feature_version=(3, 8))
