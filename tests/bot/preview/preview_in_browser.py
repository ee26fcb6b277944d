"""The real preview in a separate process, and a real browser that types and clicks in its page.

Used by the tests in this folder and by docs/make_screenshots.py. Any one thread; everything blocks.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Request, TimeoutError, sync_playwright

ROOT = Path(__file__).parents[3]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BEGIN_S = 600.0
TIMEOUT_S = 90.0
"""Time limit for something to appear on the page; jobs run meanwhile."""
PICTURE = "img.embed-image, .message-media img"
COMMANDS_S = 10.0
"""Time limit for a typed command to be offered, before it is typed again."""
SENT_S = 5.0
"""Time limit for a click to send a command, before it is repeated."""
OFFER_S = 1.5
"""Time limit for choices of an option to appear."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*")


def find_browser() -> str | None:
    """Find a Chromium on this machine: that of CHROME, else an installed one; None if there is none."""
    names = (os.environ["CHROME"],) if os.environ.get("CHROME") else BROWSERS
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


@contextmanager
def preview(data: Path, config: Path) -> Iterator[str]:
    """Run `python -m bot` without a token, on any free port; yield the address of its page."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISCORD_")}
    environment["REVERIE_DATA"] = str(data)
    log = data.with_name("preview.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "--config", str(config), "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def browsing(executable: str) -> Iterator[Browser]:
    """A headless browser, without its sandbox, which containers forbid; it opens only our page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class PreviewPage:
    """The preview's page, as used from the keyboard."""

    def __init__(self, browser: Browser, url: str, width_px: int = 1000, height_px: int = 760) -> None:
        self.page: Page = browser.new_page(viewport={"width": width_px, "height": height_px})
        self.page.set_default_timeout(TIMEOUT_S * 1000)
        self.page.goto(url)
        self.page.locator("#channel-composer-input").wait_for()

    def command(self, name: str, /, **options: str) -> None:
        """Type a command such as `limits set`, fill in its options, and send it."""
        page, composer = self.page, self.page.locator("#channel-composer-input")
        offered = page.locator('.command-popup [role="option"]').filter(
            has_text=re.compile(rf"/{re.escape(name)}(?![a-z-])")
        )
        end = time.monotonic() + TIMEOUT_S
        while not offered.count() and time.monotonic() < end:
            # The page may redraw during typing, for example when another person's view arrives.
            composer.fill("")
            composer.click()
            page.keyboard.type(f"/{name}")
            with suppress(TimeoutError):
                offered.first.wait_for(timeout=COMMANDS_S * 1000)
        offered.first.click()
        page.locator(".command-chip").wait_for()
        for option, value in options.items():
            self._fill(option, value)
        sent = False
        while not sent:
            assert time.monotonic() < end, f"/{name} could not be sent"
            # The page ignores a click while it is busy, for example with the choices of an option.
            with suppress(TimeoutError):
                with page.expect_request(_sends_command, timeout=SENT_S * 1000):
                    page.locator("#send-message").click(timeout=SENT_S * 1000)
                sent = True

    def message(self, *texts: str | re.Pattern[str]) -> Locator:
        """The newest message that shows all of these texts, in any case, and matches all patterns."""
        found = self.page.locator("#channel-message-list article.channel-message")
        for text in texts:
            found = found.filter(has_text=text)
        return found.last

    def wait(self, *texts: str | re.Pattern[str], timeout_s: float = TIMEOUT_S) -> Locator:
        """Return that message, as soon as it appears; otherwise the error lists the messages on the page."""
        message = self.message(*texts)
        try:
            message.wait_for(timeout=timeout_s * 1000)
        except TimeoutError as exc:
            shown = self.page.locator("#channel-layout").inner_text()
            raise AssertionError(f"no message with {texts} in: {shown}") from exc
        return message

    def picture_width(self, message: Locator) -> int:
        """Return the width in pixels of a message's picture, as soon as it is loaded."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            pictures = message.locator(PICTURE)
            if pictures.count() and (width := pictures.first.evaluate("image => image.naturalWidth")):
                return int(width)
            time.sleep(0.1)
        raise AssertionError("the picture was not loaded")

    def press(self, message: Locator, label: str) -> None:
        """Click a button below a message."""
        message.locator("button.component-button").filter(has_text=re.compile(rf"{re.escape(label)}$")).click()

    def view_as(self, name: str) -> None:
        """Switch to the other person, and wait until the page is drawn for them."""
        (chosen,) = self.page.locator("#viewer-picker").select_option(label=name)
        self.page.wait_for_function("viewer => window.simcordPreview.viewerId === viewer", arg=chosen)
        self.page.locator("#channel-composer-input").wait_for()

    def take(self, path: Path, message: Locator | None = None) -> None:
        """Take a screenshot of the channel's end, or of a message."""
        shown = self.message() if message is None else message
        shown.scroll_into_view_if_needed()
        self.page.mouse.move(0, 0)
        if shown.locator(PICTURE).count():
            self.picture_width(shown)
        self.page.wait_for_timeout(200)
        self.page.locator("#channel-layout").screenshot(path=path)

    def _fill(self, option: str, value: str) -> None:
        page = self.page
        field = page.locator(f'.command-option-input[data-option="{option}"]')
        if field.count() == 0:
            page.locator(".command-ghost").click()
            page.locator('.command-popup [role="option"]').filter(
                has=page.get_by_text(option, exact=True)
            ).first.click()
        field.fill(value)
        if field.get_attribute("role") == "combobox":
            offered = page.locator('.command-popup [role="option"]').filter(has_text=value).first
            with suppress(TimeoutError):  # A command that is not offered may still be typed.
                offered.click(timeout=OFFER_S * 1000)


def _sends_command(request: Request) -> bool:
    """True if the page sends a command to the bot."""
    return request.method == "POST" and b'"run_command"' in (request.post_data_buffer or b"")


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read the address that the preview prints when it is open."""
    end, output = time.monotonic() + BEGIN_S, b""
    stream = process.stdout
    while stream is not None and time.monotonic() < end and process.poll() is None:
        if select.select([stream], [], [], 1.0)[0]:
            output += os.read(stream.fileno(), 4096)
        if found := _ADDRESS.search(output.decode()):
            return found[0]
    raise AssertionError(f"the preview did not open: {output.decode()} {log.read_text('utf-8')[-2000:]}")
