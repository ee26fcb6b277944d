"""One preview and one browser for all tests of a module, since both start slowly.

No wider scope: while Playwright is open, this thread counts as running an event loop, so that no other could run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.bot.preview.preview_in_browser import HEIGHT_PX, WIDTH_PX, PreviewPage, browsing, find_browser, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        pytest.skip("there is no Chromium here; install one, or name it in the environment variable CHROME")
    with browsing(executable) as found:
        yield found


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("preview") / "data"
    with running(["-m", "tests.bot.preview.fake_preview", str(folder)], folder) as (url, _):
        yield url


@pytest.fixture(scope="module")
def tab(browser: Browser, address: str) -> Iterator[PreviewPage]:
    """The one window of the module's tests: another takes the browser longer than to open the page in this one.

    It depends on `address` to be left before the preview ends, whose streams would break.
    """
    tab = PreviewPage(browser)
    yield tab
    tab.leave()
    tab.page.close()


@pytest.fixture
def size() -> tuple[int, int]:
    """Width and height of the window in pixels; a test can have it as a parameter."""
    return WIDTH_PX, HEIGHT_PX


@pytest.fixture
def page(tab: PreviewPage, address: str, size: tuple[int, int]) -> Iterator[PreviewPage]:
    """The page, opened afresh."""
    tab.resize(*size)
    tab.open(address)
    yield tab
    tab.leave()


@pytest.fixture
def shared(tab: PreviewPage, address: str) -> PreviewPage:
    """The page as the last test with it left it, for many short tests."""
    if tab.page.url == "about:blank":
        tab.resize()
        tab.open(address)
    return tab
