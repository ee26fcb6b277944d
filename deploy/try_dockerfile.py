"""Follow the Dockerfile without a container engine: run its steps in a folder that represents the image's root.

    python deploy/try_dockerfile.py build/image
    debootstrap --variant=minbase --include=ca-certificates,python3-venv,python3-dev bookworm build/debian
    python deploy/try_dockerfile.py --clean-root build/debian

ENV, WORKDIR, COPY, RUN, HEALTHCHECK and ENTRYPOINT are executed in a clean environment. In a plain folder every path of
the image is moved below that folder, and steps that need an image are listed and skipped. In a clean root, a Debian 12
with Python, every step runs by chroot as it would in an image, those that install packages and create users too; that
needs root's rights. The result is then tested: the health check without a bot and beside a running one, a picture, the
doctor. It needs the network, and about 8 GB.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

REPOSITORY = Path(__file__).parent.parent
MOVED = ("app", "data", "opt", "var")
"""Folders at the image's root that the Dockerfile creates or fills."""
NEEDS_AN_IMAGE = (
    "apt-get update",
    "useradd",
)
BEATING = (
    "import asyncio, os, pathlib\nfrom bot.monitoring.heartbeat import Heartbeat\n"
    "asyncio.run(Heartbeat(pathlib.Path(os.environ['REVERIE_DATA'])).beat(lambda: True))"
)
_PATH = re.compile(rf"(?<![\w./-])/(?=(?:{'|'.join(MOVED)})(?:[/\s\"':]|$))")
_OPTIONS = re.compile(r"(?:--[\w-]+(?:=\S+)?\s+)*")
"""Options between RUN and its command."""


class StepFailed(Exception):
    """A step of the Dockerfile, or of the tests after it, failed."""


@dataclass
class Image:
    """A folder with the contents of an image.

    Attributes:
        root: represents `/`.
        context: source folder of COPY.
        env: variables set by ENV, paths moved below root.
        folder: working folder of the next step.
        user: user and group of the processes that run in the finished image.
        health: the command of HEALTHCHECK.
        entry: the command of ENTRYPOINT.
        left_out: steps that need a real image.
    """

    root: Path
    context: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)
    user: str = "0:0"
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
            self.folder = self.place(text)
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
        elif name == "USER":
            self.user = text
        elif name not in ("ARG", "VOLUME", "STOPSIGNAL"):
            raise StepFailed(f"{name} is not known here.")

    def moved(self, text: str) -> str:
        """Move every path of the image in a text below the folder that represents its root."""
        return _PATH.sub(f"{self.root}/", text)

    def place(self, path: str) -> Path:
        """Return where a path of the image lies on this machine."""
        return self.folder / self.moved(path)

    def environment(self) -> dict[str, str]:
        """Build the environment of a process in the image: ENV, and this shell's settings of packages and TLS alone."""
        path = f"{self.root / 'usr/local/bin'}:/usr/local/bin:/usr/bin:/bin"
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "OMP_", "SSL_", "UV_"))}
        env = {"HOME": "/nonexistent", "LANG": "C.UTF-8", **kept, **self.env}
        return env | {"PATH": self.env.get("PATH", path).replace("$PATH", path)}

    def call(self, command: Sequence[str], *, may_fail: bool = False) -> tuple[int, str]:
        """Run a command as a process of the image; return its exit status and output.

        Raises:
            StepFailed: if it fails and may not.
        """
        done = subprocess.run(  # noqa: S603 - the commands are those of the Dockerfile
            self.line(command),
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

    def line(self, command: Sequence[str]) -> list[str]:
        """Return the command as this machine runs it."""
        return [shutil.which(command[0], path=self.environment()["PATH"]) or command[0], *command[1:]]

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
        place = self.place(target)
        for source in (self.context / name for name in sources):
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)


class CleanRoot(Image):
    """A folder with a Debian of its own: each step runs by chroot, as the user that the Dockerfile names."""

    def moved(self, text: str) -> str:
        """Leave the paths of the image as they are."""
        return text

    def place(self, path: str) -> Path:
        """Return where a path of the image lies on this machine."""
        return self.root / path.lstrip("/") if path.startswith("/") else self.folder / path

    def environment(self) -> dict[str, str]:
        """Build the environment of a process in the image, with root's programs."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return super().environment() | {"PATH": self.env.get("PATH", path).replace("$PATH", path)}

    def line(self, command: Sequence[str]) -> list[str]:
        """Return a command that enters the root, with a /proc of its own and this machine's /dev."""
        enter = (
            'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; user="$1"; shift; '
            'exec chroot --userspec="$user" "$0" "$@"'
        )
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', f"/{self.folder.relative_to(self.root)}", *command]
        return ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", enter, str(self.root), self.user, *inside]

    def _run(self, text: str) -> None:
        self.call(["sh", "-euc", text])


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Parse the instructions of a Dockerfile with their arguments, comments and continued lines resolved."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def build(dockerfile: Path, context: Path, root: Path) -> Image:
    """Follow a Dockerfile in a plain folder; `root` is created and must not exist yet.

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
    follow_all(image, dockerfile)
    return image


def build_in_clean_root(dockerfile: Path, context: Path, root: Path) -> Image:
    """Follow a Dockerfile in a Debian root that is there; it gets this machine's way to the network.

    Raises:
        StepFailed: naming the step.
    """
    image = CleanRoot(root.resolve(), context)
    for name in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(Path("/") / name, image.root / name)
    (image.root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    follow_all(image, dockerfile)
    return image


def follow_all(image: Image, dockerfile: Path) -> None:
    """Execute all instructions, and say how long each takes.

    Raises:
        StepFailed: naming the step.
    """
    with most_on_disk(image.root) as most:
        for name, text in instructions(dockerfile.read_text("utf-8")):
            began = time.monotonic()
            image.follow(name, text)
            _say(f"{name} {text[:90]}  ({time.monotonic() - began:.1f} s)")
    _say(f"On the disk: {most[-1] / 1e9:.2f} GB, at most {max(most) / 1e9:.2f} GB while it was built")


@contextmanager
def most_on_disk(folder: Path) -> Iterator[list[int]]:
    """Collect the bytes that a folder takes up on the disk, every two seconds and at the end."""
    found: list[int] = []
    ended = Event()

    def measure() -> None:
        command = ["du", "--summarize", "--one-file-system", "--block-size=1", str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)  # noqa: S603
        found.append(int(done.stdout.split()[0]))

    def watch() -> None:
        while not ended.wait(2):
            measure()

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
        measure()


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
        image.line(["python", "-c", BEATING]), cwd=image.folder, env=image.environment()
    )
    try:
        pulse = image.place("/data/pulse.json")
        while not pulse.exists() and living.poll() is None:
            time.sleep(0.1)
        _say("HEALTHCHECK beside a living bot: " + image.call(image.health)[1].strip())
    finally:
        living.terminate()
        living.wait()
    picture = "/data/apple.png"
    image.call(["python", "-m", "generator", "a red apple", "--steps", "3", "--output", image.moved(picture)])
    _say(f"A picture of 3 steps: {image.place(picture).stat().st_size} bytes")
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
    parser.add_argument("--clean-root", action="store_true", help="the folder is there, with a Debian 12 and Python")
    given = parser.parse_args()
    follow = build_in_clean_root if given.clean_root else build
    try:
        image = follow(REPOSITORY / "Dockerfile", REPOSITORY, given.folder)
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
