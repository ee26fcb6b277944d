"""`python -m bot` without a token, as started by `make run`: the starter models paint in the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.bot.preview.preview_in_browser import PreviewPage, preview

pytestmark = [pytest.mark.waits, pytest.mark.slow, pytest.mark.timeout(1500)]
CONFIG = """
timing: {preview_s: 0.5}
generator: {size: 64x64, cutouts: 2, coarse: 0, start: random, steps: 4}
"""


def test_the_starter_paints_in_the_page(browser: Browser, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG, "utf-8")
    with preview(tmp_path / "data", config) as url:
        page = PreviewPage(browser, url)
        page.words("a red apple")
        assert page.picture_width(page.wait("a red apple", "Done in")) == 64
        page.press(page.message("Welcome"), "Vary 1")
        page.wait("a sailing boat", "start parent", "Done in")
        page.page.close()
