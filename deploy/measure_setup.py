"""Measure how long `make setup` takes beyond its downloads, and how much disk: `python -m deploy.measure_setup`.

All wheels are downloaded first and then served on loopback. A fresh clone is set up from there with empty caches, then
completed for the tests. `--pip` installs the same by pip beside it, `--torch-index ADDRESS` takes torch from there, as
`make setup TORCH_INDEX=ADDRESS` does. Needs the network, 15 GB of disk, and 20 GB with --pip.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.wheel_index import serve_wheels

ROOT = Path(__file__).parent.parent
RUN_PARTS = ("", "-preview", "-setup")
PARTS = (*RUN_PARTS, "-dev", "-train")


def main() -> None:
    """Download, measure and print a table."""
    parser = argparse.ArgumentParser(description="Measure time and disk of make setup.")
    parser.add_argument("--wheels", type=Path, default=ROOT / "build/wheels", help="where the downloads go and stay")
    parser.add_argument("--torch-index", default="", metavar="ADDRESS", help="take torch from this index")
    parser.add_argument("--pip", action="store_true", help="measure pip too")
    given = parser.parse_args()
    _say("| step | seconds | seconds of CPU | on the disk, GB |\n|---|---|---|---|")
    began = time.monotonic()
    download(given.wheels)
    _say(f"| download of all wheels | {time.monotonic() - began:.0f} | – | {bytes_of(given.wheels) / 1e9:.2f} |")
    with serve_wheels(given.wheels) as address, tempfile.TemporaryDirectory(dir=given.wheels.parent) as folder:
        clone = Path(folder) / "clone"
        copy_to(clone)
        environment = {**plain_environment(Path(folder)), "UV_DEFAULT_INDEX": address, "PIP_INDEX_URL": address}
        named = (f"TORCH_INDEX={given.torch_index}",) if given.torch_index else ()
        tell(f"make setup {'TORCH_INDEX=…' if named else ''}", ["make", "setup", *named], clone, environment)
        tell("what make test adds", ["make", ".venv/.installed-tests"], clone, environment)
        if given.pip:
            (clone / ".venv").rename(clone / "of-uv")
            run([sys.executable, "-m", "venv", ".venv"], clone, environment)
            files = [word for part in PARTS[:2] for word in ("-r", f"requirements{part}.txt")]
            tell("the same as make setup, by pip", [".venv/bin/pip", "install", "-q", *files], clone, environment)


def download(folder: Path, parts: Sequence[str] = PARTS) -> None:
    """Download the wheels of these requirements that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [word for part in parts for word in ("-r", str(ROOT / f"requirements{part}.txt"))]
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *files], ROOT, os.environ)


def copy_to(clone: Path) -> None:
    """Copy what git has of this clone."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own words
    for name in filter(None, listed.stdout.split("\0")):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)


def plain_environment(home: Path) -> dict[str, str]:
    """Return this environment without what make and pip were told, and with an empty home for their caches."""
    left_out = ("MAKE", "MFLAGS", "PIP_", "UV_", "XDG_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"HOME": str(home), "PIP_CONFIG_FILE": os.devnull}


def tell(what: str, command: Sequence[str], clone: Path, environment: Mapping[str, str]) -> None:
    """Run a command and print a row with its time and the size of the environment."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, clone, environment)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _say(f"| {what.strip()} | {took:.0f} | {cpu:.0f} | {bytes_of(clone / '.venv') / 1e9:.2f} |")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603


def bytes_of(folder: Path) -> int:
    """Count what a folder takes up on the disk, each file once."""
    command = ["du", "--summarize", "--block-size=1", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own words
    return int(done.stdout.split()[0])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
