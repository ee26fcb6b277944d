"""The real preview in a process of its own, and a real browser that types and clicks in its page.

Used by the tests beside it and by docs/make_screenshots.py. Any one thread; everything blocks.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, TimeoutError, sync_playwright

ROOT = Path(__file__).parents[3]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BEGIN_S = 180.0
TIMEOUT_S = 180.0
"""Time limit for something to appear on the page; jobs run meanwhile."""
PICTURE = ".body .picture img"
WIDTH_PX, HEIGHT_PX = 1000, 760
SENT_S = 20.0
"""Time limit for a filled-in command to leave the prompt field."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*")


def find_browser() -> str | None:
    """Find a Chromium on this machine: that of CHROME, else an installed one; None if there is none."""
    names = (os.environ["CHROME"],) if os.environ.get("CHROME") else BROWSERS
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


@contextmanager
def preview(data: Path, config: Path) -> Iterator[str]:
    """Run `python -m bot` without a token, on any free port; yield the address of its page."""
    command = ["-m", "bot", "--config", str(config), "--port", "0"]
    with running(command, data) as (url, _):
        yield url


@contextmanager
def running(command: Sequence[str], data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Python program that opens the page; yield its address and the process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISCORD_")}
    environment["REVERIE_DATA"] = str(data)
    log = data.with_name("preview.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield _address(process, log), process
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
    """The preview's page, as used by keyboard and mouse."""

    def __init__(
        self, browser: Browser, url: str | None = None, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX
    ) -> None:
        self.page: Page = browser.new_page(viewport={"width": width_px, "height": height_px})
        self.page.set_default_timeout(TIMEOUT_S * 1000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        if url is not None:
            self.open(url)

    def open(self, url: str) -> None:
        """Open the page, and wait until its messages are there."""
        self.page.goto(url)
        self.page.locator("li.message").first.wait_for()

    def resize(self, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> None:
        """Give the window a size, unless it has it."""
        if self.page.viewport_size != {"width": width_px, "height": height_px}:
            self.page.set_viewport_size({"width": width_px, "height": height_px})

    def leave(self) -> None:
        """Leave the page for an empty one, which ends all that goes on in it; it must have shown no fault."""
        self.page.unroute_all()
        self.page.goto("about:blank")
        faults, self.faults[:] = list(self.faults), []
        assert not faults, faults

    def find(self, css: str) -> Locator:
        """All that fits the selector; without `light`, Playwright looks for shadow roots too, and there are none."""
        return self.page.locator(f"css:light={css}")

    def words(self, text: str) -> None:
        """Paint a prompt by typing it and pressing Enter."""
        self.find("#words").fill(text)
        self.page.keyboard.press("Enter")

    def command(self, name: str, /, *, mouse: bool = False, **options: str) -> None:
        """Choose a command such as `limits set`, fill in its options and send it; by keyboard unless `mouse` is set."""
        page = self.page
        self.offered(name, mouse=mouse)
        found = self.find("#popup .title").get_by_text(f"/{name}", exact=True)
        found.wait_for()
        if mouse:
            found.click()
        else:
            page.keyboard.press("Enter")
        self.find(".chip").get_by_text(f"/{name}", exact=True).wait_for()
        for option, value in options.items():
            self.fill(option, value, mouse=mouse)
        if mouse:
            self.find("#send").click()
        else:
            page.keyboard.press("Escape")
            page.keyboard.press("Enter")
        try:
            self.find("#words").wait_for(timeout=SENT_S * 1000)
        except TimeoutError as exc:
            raise AssertionError(f"/{name} was not sent: {self.find('#hint').inner_text()}") from exc

    def offered(self, name: str, *, mouse: bool = False) -> Locator:
        """Type a command's name; return the suggestions."""
        words = self.find("#words")
        words.click() if mouse else words.focus()
        words.fill("")
        self.page.keyboard.type(f"/{name}")
        return self.find("#popup li")

    def fill(self, option: str, value: str, *, mouse: bool = False) -> None:
        """Fill in an option, after adding it if it is not among the fields yet; a file by its path."""
        page = self.page
        field = self.find(f'#fields .option:has(.name:text-is("{option}"))')
        if field.count() == 0:
            self.find(".ghost input").click() if mouse else self.find(".ghost input").focus()
            if mouse:
                self.find("#popup .title").get_by_text(option, exact=True).click()
            else:
                page.keyboard.type(option)
                self.find("#popup .title").get_by_text(option, exact=True).wait_for()
                while self.find('#popup [aria-selected="true"] .title').inner_text() != option:
                    page.keyboard.press("ArrowDown")
                page.keyboard.press("Enter")
            field.wait_for()
        if field.locator(".pick").count():
            with page.expect_file_chooser() as chooser:
                field.locator(".pick").click() if mouse else field.locator(".pick").press("Enter")
            chooser.value.set_files(value)
            return
        field.locator("input").fill(value)
        if field.locator('input[role="combobox"]').count():
            offer = self.find("#popup .title").get_by_text(re.compile(rf"^[@#]?{re.escape(value)}$", re.IGNORECASE))
            field.locator('input[aria-busy="true"]').wait_for(state="detached")
            if offer.count():  # A value that is not offered may still be typed.
                offer.first.click()

    def message(self, *texts: str | re.Pattern[str]) -> Locator:
        """The newest message that shows all of these texts, in any case, and matches all patterns."""
        found = self.find("#messages > li.message")
        for text in texts:
            found = found.filter(has_text=text)
        return found.last

    def wait(self, *texts: str | re.Pattern[str], timeout_s: float = TIMEOUT_S) -> Locator:
        """Return that message, as soon as it appears; otherwise the error lists the messages on the page."""
        message = self.message(*texts)
        try:
            message.wait_for(timeout=timeout_s * 1000)
        except TimeoutError as exc:
            shown = self.find("#messages").inner_text()
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
        message.locator("button.button").filter(has_text=re.compile(rf"{re.escape(label)}$")).click()

    def menu(self, message: Locator, name: str, *, mouse: bool = False) -> None:
        """Choose from a message's menu: by right click with `mouse`, else by the "…" button and the keyboard."""
        if mouse:
            message.locator(".head").click(button="right")
            self.page.get_by_role("menuitem", name=name).click()
        else:
            message.locator(".more").press("Enter")
            item = self.page.get_by_role("menuitem", name=name)
            item.wait_for()
            while not item.evaluate("node => node === document.activeElement"):
                self.page.keyboard.press("ArrowDown")
            self.page.keyboard.press("Enter")

    def person(self, name: str) -> str:
        """The id of one of the people."""
        option = self.find("#viewer option").filter(has_text=re.compile(rf"^{re.escape(name)} "))
        return option.get_attribute("value") or ""

    def view_as(self, name: str) -> None:
        """Switch to another person, and wait until the page is drawn for them."""
        (chosen,) = self.find("#viewer").select_option(value=self.person(name))
        self.page.wait_for_function("viewer => location.search.includes(`as=${viewer}`)", arg=chosen)
        self.find("li.message").first.wait_for()

    def take(self, path: Path, message: Locator | None = None) -> None:
        """Take a screenshot of the channel's end, or with a message in sight."""
        shown = self.message() if message is None else message
        shown.evaluate("message => message.scrollIntoView({block: 'nearest'})")  # a growing picture is never at rest
        self.page.mouse.move(0, 0)
        if shown.locator(PICTURE).count():
            self.picture_width(shown)
        self.page.wait_for_timeout(200)
        self.page.screenshot(path=path)


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
