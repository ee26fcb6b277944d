"""One preview and one browser for all tests of a module, since both start slowly.

No wider scope: while Playwright is open, this thread counts as running an event loop, so that no other could run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.bot.preview.preview_in_browser import PreviewPage, browsing, find_browser, running


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


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[PreviewPage]:
    page = PreviewPage(browser, address)
    yield page
    page.page.close()
    assert page.faults == []


@pytest.fixture(scope="module")
def shared(browser: Browser, address: str) -> Iterator[PreviewPage]:
    """One page for many short tests."""
    page = PreviewPage(browser, address)
    yield page
    page.page.close()
    assert page.faults == []
