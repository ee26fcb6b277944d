"""Take the screenshots of the local preview for the documents: `python -m docs.make_screenshots`.

It needs a Chromium; the environment variable CHROME names one that is not found automatically.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.bot.preview.preview_in_browser import PreviewPage, browsing, find_browser, preview

FOLDER = Path(__file__).parent / "images"
CONFIG = "discord: {edit_interval_s: 3.0}\n"
DONE = re.compile("Done in")
COLOURS = 256
"""A page has few colours except for the pictures in it; this palette keeps the files small."""
HALF_DONE = re.compile(r"step ([2-9]|\d\d) of")


def main() -> int:
    """Play a short scene and take the screenshots."""
    executable = find_browser()
    if executable is None:
        sys.stderr.write("There is no Chromium here; install one, or name it in the environment variable CHROME.\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG, "utf-8")
        with preview(Path(folder) / "data", config) as url, browsing(executable) as browser:
            _play(PreviewPage(browser, url, 1000, 900))
    return 0


def _play(page: PreviewPage) -> None:
    page.command("imagine", prompt="a castle at night", seed="1")
    page.command("imagine", prompt="a blue cat:2 | fog:-0.5", seed="1", count="4")
    page.wait("a blue cat", "Queued")
    _take(page, "queued")
    page.wait("a castle at night", HALF_DONE)
    _take(page, "growing", "a castle at night")
    page.wait("a castle at night", DONE)
    _take(page, "finished", "a castle at night")
    page.press(page.message("a blue cat"), "Cancel")
    page.wait("a blue cat", "Cancelled")
    page.command("imagine", prompt="a castle | ")
    page.wait("Only you can see this", "There is an empty prompt")
    _take(page, "refused")
    page.view_as("admin")
    page.command("limits set", name="daily", value="20")
    page.wait("is now 20")
    page.command("limits show")
    page.wait("Limits of")
    _take(page, "admin")


def _take(page: PreviewPage, name: str, *texts: str) -> None:
    """Take a screenshot of the channel's end, or of the message with these texts, and reduce its file size."""
    path = FOLDER / f"preview-{name}.png"
    page.take(path, page.message(*texts) if texts else None)
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
