"""Follow the Dockerfile without a container engine: its steps run in a folder, which stands for the image's root.

    python deploy/try_dockerfile.py build/image

ENV, WORKDIR, COPY, RUN, HEALTHCHECK and ENTRYPOINT are executed with every path of the image moved below that folder,
in a clean environment and a virtual environment of their own. Steps that create users need an image; they are listed
and skipped. The result is then tested: the health check without a bot and beside a running one, a picture, the doctor.
It needs the network for pip, and about 8 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
MOVED = ("app", "build", "data", "opt", "var")
"""Folders at the image's root that the Dockerfile creates or fills."""
NEEDS_AN_IMAGE = (
    "apt-get update",
    "useradd",
)
BEATING = (
    "import asyncio, os, pathlib\nfrom bot.monitoring.heartbeat import Heartbeat\n"
    "asyncio.run(Pulse(pathlib.Path(os.environ['REVERIE_DATA'])).beat(lambda: True))"
)
_PATH = re.compile(rf"(?<![\w./-])/(?=(?:{'|'.join(MOVED)})(?:[/\s\"':]|$))")
_OPTIONS = re.compile(r"(?:--[\w-]+(?:=\S+)?\s+)*")
"""Options between RUN and its command."""


class StepFailed(Exception):
    """A step of the Dockerfile, or of the tests after it, failed."""


@dataclass
class Image:
    """A folder that is filled as an image would be.

    Attributes:
        root: stands for `/`.
        context: source folder of COPY.
        env: variables set by ENV, paths moved below root.
        folder: working folder of the next step.
        health: the command of HEALTHCHECK.
        entry: the command of ENTRYPOINT.
        left_out: steps that need a real image.
    """

    root: Path
    context: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)
    health: list[str] = field(default_factory=list)
    entry: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.root

    def follow(self, name: str, text: str) -> None:
        """Execute one instruction.

        Raises:
            StepFailed: if it cannot be executed, or its command fails.
        """
        if name == "FROM":
            self.env, self.folder = {}, self.root
        elif name == "WORKDIR":
            self.folder = Path(self.moved(text))
            self.folder.mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            self.env |= dict(part.split("=", 1) for part in shlex.split(self.moved(text)))
        elif name == "COPY":
            self._copy(text)
        elif name == "RUN":
            self._run(_OPTIONS.sub("", text, count=1))
        elif name == "HEALTHCHECK":
            self.health = json.loads(text[text.index("[") :])
        elif name == "ENTRYPOINT":
            self.entry = json.loads(text)
        elif name not in ("USER", "VOLUME", "STOPSIGNAL"):
            raise StepFailed(f"{name} is not known here.")

    def moved(self, text: str) -> str:
        """Move every path of the image in a text below the folder that stands for its root."""
        return _PATH.sub(f"{self.root}/", text)

    def environment(self) -> dict[str, str]:
        """Build the environment of a process in the image: ENV, and of this shell's only settings of pip and OpenMP."""
        path = f"{self.root / 'usr/local/bin'}:/usr/local/bin:/usr/bin:/bin"
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "OMP_"))}
        env = {"HOME": "/nonexistent", "LANG": "C.UTF-8", **kept, **self.env}
        return env | {"PATH": self.env.get("PATH", path).replace("$PATH", path)}

    def call(self, command: Sequence[str], *, may_fail: bool = False) -> tuple[int, str]:
        """Run a command as a process of the image; return its exit status and output.

        Raises:
            StepFailed: if it fails and may not.
        """
        done = subprocess.run(  # noqa: S603 - the commands are those of the Dockerfile
            [shutil.which(command[0], path=self.environment()["PATH"]) or command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode and not may_fail:
            raise StepFailed(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
        return done.returncode, done.stdout

    def _run(self, text: str) -> None:
        if text.startswith(NEEDS_AN_IMAGE):
            self.left_out.append(text)
            return
        self.call(["sh", "-euc", self.moved(text)])

    def _copy(self, text: str) -> None:
        *sources, target = shlex.split(text)
        if sources[0].startswith("--from="):
            if sources[1:] != [target]:
                raise StepFailed("COPY --from is known here only from a path to the same path.")
            return  # Both stages share one folder, so it is there already.
        place = self.folder / self.moved(target)
        for source in (self.context / name for name in sources):
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Parse the instructions of a Dockerfile with their arguments, comments and continued lines resolved."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def build(dockerfile: Path, context: Path, root: Path) -> Image:
    """Follow a Dockerfile; `root` is created and must not exist yet.

    Raises:
        StepFailed: naming the step.
    """
    image = Image(root.resolve(), context)
    programs = image.root / "usr/local/bin"
    programs.mkdir(parents=True)
    for name in MOVED:
        (image.root / name).mkdir()
    python = programs / "python"
    python.write_text(f'#!/bin/sh\nexec "{getattr(sys, "_base_executable", sys.executable)}" "$@"\n', "utf-8")
    python.chmod(0o755)
    for name, text in instructions(dockerfile.read_text("utf-8")):
        began = time.monotonic()
        image.follow(name, text)
        _say(f"{name} {text[:90]}  ({time.monotonic() - began:.1f} s)")
    return image


def try_out(image: Image) -> None:
    """Test the result: health, a picture, the doctor, and that nothing is written outside of /data.

    Raises:
        StepFailed: naming the check that failed.
    """
    before = _files(image.root)
    status, said = image.call(image.health, may_fail=True)
    if status != 1 or "No bot is running" not in said:
        raise StepFailed(f"The health check of an image without a bot ended with {status}: {said}")
    living = subprocess.Popen(  # noqa: S603 - our own code
        [image.root / "opt/venv/bin/python", "-c", BEATING], cwd=image.folder, env=image.environment()
    )
    try:
        pulse = image.root / "data/pulse.json"
        while not pulse.exists() and living.poll() is None:
            time.sleep(0.1)
        _say("HEALTHCHECK beside a living bot: " + image.call(image.health)[1].strip())
    finally:
        living.terminate()
        living.wait()
    picture = image.root / "data/apple.png"
    image.call(["python", "-m", "generator", "a red apple", "--steps", "3", "--output", str(picture)])
    _say(f"A picture of 3 steps: {picture.stat().st_size} bytes")
    _say(image.call([*image.entry, "doctor"])[1])
    if made := _files(image.root) - before:
        raise StepFailed(f"Files appeared outside of /data: {sorted(made)[:5]}")


def sizes(image: Image) -> Mapping[str, int]:
    """Count bytes of each folder of the image that has any."""
    found = {}
    for name in ("opt", "app"):
        paths = (path for path in (image.root / name).rglob("*") if path.is_file() and not path.is_symlink())
        found[name] = sum(path.stat().st_size for path in paths)
    return found


def main() -> int:
    """Return the exit status: 0, or 1 after a sentence that names the failed step."""
    parser = argparse.ArgumentParser(description="Follow the Dockerfile in a folder, and try what comes of it.")
    parser.add_argument("folder", type=Path, help="stands for the image's root; must not be there yet")
    root = parser.parse_args().folder
    try:
        image = build(REPOSITORY / "Dockerfile", REPOSITORY, root)
        try_out(image)
    except (StepFailed, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for step in image.left_out:
        _say(f"Left out, since it needs a real image: {step}")
    for name, size in sizes(image).items():
        _say(f"/{name}: {size / 1e9:.2f} GB")
    return 0


def _files(root: Path) -> set[str]:
    return {str(path) for name in ("app", "opt") for path in (root / name).rglob("*")}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
