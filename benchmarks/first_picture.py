"""Time from a fresh clone to the first picture in the page: `python -m benchmarks.first_picture [--fresh]`.

Runs `make run` in a clone of this repository, as README says, with a real Chromium in front of it, and prints the
seconds until the page is open, until the first preview of a typed prompt, and until its finished picture; then the same
for a second start. Without `--fresh` the clone uses this checkout's `.venv`, so that nothing is installed. With it, all
wheels are downloaded first and then served on loopback; `make run` makes its own `.venv` from there with empty caches,
so its seconds are those beyond the download. That needs the network and 17 GB of disk. Blocking; one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from playwright.sync_api import Browser

from deploy.measure_setup import RUN_PARTS, bytes_of, download, plain_environment
from deploy.wheel_index import serve_wheels
from tests.bot.preview.preview_in_browser import PICTURE, PreviewPage, browsing, find_browser

ROOT = Path(__file__).parents[1]
PROMPTS = ("a red apple", "a blue cat")
"""One for each start: the page shows the pictures of the first at the second again."""
BEGIN_S = 3_600.0
"""Time limit for `make run` to open the page; with `--fresh` it installs everything."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")


def main() -> int:
    """Measure both starts and print them; return 0, or 1 without a Chromium."""
    given = _arguments()
    executable = find_browser()
    if executable is None:
        sys.stderr.write("There is no Chromium here; install one, or name it in the environment variable CHROME.\n")
        return 1
    with tempfile.TemporaryDirectory() as folder, browsing(executable) as browser:
        clone = Path(folder) / "reverie"
        with _fresh(Path(folder)) if given.fresh else nullcontext(dict(os.environ)) as environment:
            for name in ("DISCORD_TOKEN", "DISCORD_TOKEN_FILE", "REVERIE_DATA"):
                environment.pop(name, None)
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S603, S607
            if not given.fresh:
                (clone / ".venv").symlink_to(ROOT / ".venv")
                subprocess.run(["make", "--touch", "setup"], cwd=clone, check=True, stdout=subprocess.DEVNULL)  # noqa: S607
            starts = [_start(clone, environment, browser, prompt) for prompt in PROMPTS]
    for name, seconds in zip(("first start", "second start"), starts, strict=True):
        sys.stdout.write(f"{name}: " + ", ".join(f"{what} {s:.1f} s" for what, s in seconds.items()) + "\n")
    if given.json is not None:
        given.json.write_text(json.dumps(starts, indent=2) + "\n", "utf-8")
    return 0


@contextmanager
def _fresh(folder: Path) -> Iterator[dict[str, str]]:
    """Download what running needs and serve it; yield an environment with empty caches and this index."""
    wheels = folder / "wheels"
    began = time.monotonic()
    download(wheels, RUN_PARTS)
    took_s, size = time.monotonic() - began, bytes_of(wheels) / 1e9
    sys.stdout.write(f"download: {took_s:.0f} s, {size:.2f} GB\n")
    sys.stdout.flush()
    with serve_wheels(wheels) as address:
        yield {**plain_environment(folder), "UV_DEFAULT_INDEX": address, "PIP_INDEX_URL": address}


def _start(clone: Path, environment: dict[str, str], browser: Browser, prompt: str) -> dict[str, float]:
    """Seconds from `make run` to the page, its first picture of a prompt, and the finished one; then to the end."""
    began = time.monotonic()
    times: dict[str, float] = {}

    def note(what: str) -> None:
        times[what] = time.monotonic() - began

    with _running(clone, environment) as (process, url):
        page = PreviewPage(browser, url, 1280, 800)
        page.page.locator(PICTURE).first.wait_for()
        note("page with its examples")
        page.words(prompt)
        message = page.wait(prompt)
        message.locator(PICTURE).first.wait_for()
        note("first preview")
        page.wait(prompt, re.compile("Done in"))
        note("finished picture")
        page.page.close()
        stopped = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        times["from Ctrl+C to the end"] = time.monotonic() - stopped
    return times


@contextmanager
def _running(clone: Path, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`make run` in the clone, in a process group of its own, until its page is open."""
    process = subprocess.Popen(
        ["make", "run", "ARGS=--port 0"],  # noqa: S607
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process, _address(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(process: subprocess.Popen[bytes]) -> str:
    """Read the address of the page from the output."""
    end, output, stream = time.monotonic() + BEGIN_S, b"", process.stdout
    while stream is not None and process.poll() is None and time.monotonic() < end:
        if select.select([stream], [], [], 1.0)[0]:
            output += os.read(stream.fileno(), 4096)
        if found := _ADDRESS.search(output.decode()):
            return found[0]
    raise RuntimeError(f"the page did not open: {output.decode()[-500:]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_picture", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--fresh", action="store_true", help="install everything anew, from an empty cache")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
