"""Take the screenshots of the local preview for the documents: `python -m docs.make_screenshots`.

It needs a Chromium; the environment variable CHROME names one that is not found automatically.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from pathlib import Path

import yaml
from PIL import Image
from playwright.sync_api import Browser

from tests.bot.preview.preview_in_browser import PreviewPage, browsing, find_browser, preview

FOLDER = Path(__file__).parent / "images"
CONFIG = Path(__file__).parents[1] / "config.yaml"
DONE = re.compile("Done in")
PROMPTS = (
    "a lighthouse at sunset --seed 3", "a red fox in the snow --seed 4", "a sailing boat --seed 5",
    "an owl at night --seed 6", "a green car in autumn --seed 7", "a yellow flower --seed 8",
)  # fmt: skip
"""Of the pictures in the web gallery."""
QUALITY = 80
HALF_DONE = re.compile(r"step \u2007*([2-9]|\d\d) of")
MENU_MS = 500
"""Time for a list or a form to be drawn."""


def main() -> int:
    """Play a short scene and take the screenshots."""
    executable = find_browser()
    if executable is None:
        sys.stderr.write("There is no Chromium here; install one, or name it in the environment variable CHROME.\n")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        preview(Path(folder) / "data", with_gallery(Path(folder) / "config.yaml")) as url,
        browsing(executable) as browser,
    ):
        page = PreviewPage(browser, url, 1000, 760)
        _paint(page)
        _look_around(page)
        _manage(page)
        _telephone(browser, url)
        _film(page)
        together(page, browser, url)
        web_gallery(page, browser)
    with (
        tempfile.TemporaryDirectory() as folder,
        preview(Path(folder) / "data", with_gallery(Path(folder) / "config.yaml", install="everybody")) as url,
        browsing(executable) as browser,
    ):
        alone(PreviewPage(browser, url, 1000, 560))
    return 0


def alone(page: PreviewPage) -> None:
    """A picture in a server that did not install the bot, for a person who did."""
    page.page.locator("#channels").get_by_role("button", name="# tea-room", exact=True).click()
    page.page.wait_for_timeout(MENU_MS)
    page.words("a cup of tea in a garden --seed 1")
    page.wait("a cup of tea", DONE)
    _take(page, "alone", "a cup of tea")


def with_gallery(path: Path, **changes: object) -> Path:
    """Write the config of the repository with web galleries switched on, and other changes."""
    values = yaml.safe_load(CONFIG.read_text("utf-8")) | changes
    with socket.create_server(("127.0.0.1", 0)) as probe:
        values["gallery"]["port"] = probe.getsockname()[1]
    path.write_text(yaml.safe_dump(values), "utf-8")
    return path


def web_gallery(page: PreviewPage, browser: Browser) -> None:
    """Six more pictures, and the web gallery that shows them."""
    page.view_as("you")
    for prompt in PROMPTS:
        page.words(prompt)
        page.wait(prompt.partition(" --")[0], DONE)
    page.view_as("admin")
    page.command("webgallery make")
    link = page.wait("Everyone who has this link").get_by_role("link").get_attribute("href") or ""
    web = browser.new_page(viewport={"width": 1000, "height": 560})
    web.goto(link, wait_until="networkidle")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        web.screenshot(path=file.name)
        _reduce(Path(file.name), "web-gallery")
    web.close()


def _paint(page: PreviewPage) -> None:
    """Words, the queue, a growing picture, and notes."""
    _take(page, "welcome")
    page.offered("")
    page.page.wait_for_timeout(MENU_MS)
    _save(page, "commands")
    page.page.locator("#words").fill("")
    page.words("a castle at night --seed 1")
    page.wait("a castle at night", DONE)
    _take(page, "finished", "a castle at night")
    page.command("imagine", prompt="a sailing boat at sunset", seed="1", start="random")
    page.command("imagine", prompt="a blue cat:2 | fog:-0.5", seed="1", count="4")
    page.wait("a blue cat", "Queued")
    _take(page, "queued")
    page.wait("a sailing boat at sunset", HALF_DONE)
    _take(page, "growing", "a sailing boat at sunset")
    page.press(page.message("a blue cat"), "Cancel")
    page.wait("a blue cat", "Cancelled")
    page.press(page.message("a sailing boat at sunset"), "Cancel")
    page.words("ein roter Apfel, watercolour --seed 2")
    page.wait("ein roter Apfel", DONE)
    page.press(page.message("ein roter Apfel"), "Vary")
    page.wait("ein roter Apfel", "Made from", DONE)
    _take(page, "varied")
    page.command("imagine", prompt="a castle | ")
    page.wait("Only you can see this", "There is an empty prompt")
    _take(page, "refused")


def together(page: PreviewPage, browser: Browser, url: str) -> None:
    """Four pictures, a comparison, a batch, a description and a vote, as a member."""
    page.view_as("you")
    page.command("imagine", prompt="an owl in autumn --seed 9", count="4")
    page.wait("an owl in autumn", DONE)
    _take(page, "grid", "an owl in autumn")
    axes = {"x": "style", "x_values": "night, snow", "y": "seed", "y_values": "1, 2"}
    page.command("compare", prompt="a sailing boat", **axes)
    page.press(page.wait("This makes 4 pictures"), "Queue 4 pictures")
    page.wait("Done: 4 pictures", "a sailing boat")
    _take(page, "compare", "Done: 4 pictures", "a sailing boat")
    page.words("a {red, blue} {fox, car} in the snow --seed 3")
    page.press(page.wait("This makes 4 pictures"), "Queue 4 pictures")
    page.wait("Done: 4 pictures", "{fox, car}")
    _take(page, "batch", "Done: 4 pictures", "{fox, car}")
    page.menu(page.wait("a blue car in the snow", DONE), "Describe")
    page.wait("Only you can see this", "Painted from")
    _take(page, "describe", "Only you can see this", "Painted from")
    page.command("vote", prompt="a castle", words="in the snow; at night", minutes="1", rounds="1")
    page.wait("which picture goes on")
    _take(page, "vote", "which picture goes on")
    narrow = PreviewPage(browser, url, 390, 760)
    narrow.wait("an owl in autumn", DONE)
    _take(narrow, "grid-telephone", "an owl in autumn")


def _film(page: PreviewPage) -> None:
    """A film of two scenes."""
    page.view_as("you")
    page.command(
        "film",
        prompt="0s: a fox in the forest ^ 1s: a fox in the snow",
        seconds="2",
        fps="8",
        seed="3",
        template="breathe",
    )
    page.wait("a fox in the forest", DONE)
    page.page.wait_for_timeout(MENU_MS)
    _take(page, "film", "a fox in the forest")


def _look_around(page: PreviewPage) -> None:
    """Styles, gallery and a report, as a member."""
    page.command("styles list")
    page.wait("Only you can see this", "Paint in one of these styles")
    _take(page, "styles")
    page.command("gallery", whose="server")
    page.wait("Only you can see this", "Open a picture")
    _take(page, "gallery")
    page.view_as("friend")
    page.press(page.wait("a castle at night", DONE), "More")
    page.press(page.wait("More for #"), "Report")
    form = page.page.get_by_role("dialog")
    form.get_by_role("combobox").select_option(index=4)
    form.get_by_role("button", name="Submit").click()
    page.wait("Your report was saved")


def _manage(page: PreviewPage) -> None:
    """Overview, limits and reports of a server, as an admin."""
    page.view_as("admin")
    page.command("limits set", name="daily", value="20")
    page.wait("is now 20")
    page.command("limits show")
    page.wait("Limits of")
    _take(page, "admin")
    page.command("limits reset", name="daily")
    page.wait("is now 200")
    page.command("server")
    page.wait("Settings of")
    _take(page, "server")
    page.command("reports")
    page.wait("One reported picture").locator("select").select_option(index=1)
    page.wait("Only you can see this", re.compile("Hide"))
    _take(page, "reports")


def _telephone(browser: Browser, url: str) -> None:
    page = PreviewPage(browser, url, 390, 760)
    page.wait("ein roter Apfel", "Made from", DONE)
    _take(page, "telephone")


def _take(page: PreviewPage, name: str, *texts: str) -> None:
    """Save a screenshot of the channel's end, or of the message with these texts."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.take(Path(file.name), page.message(*texts) if texts else None)
        _reduce(Path(file.name), f"preview-{name}")


def _save(page: PreviewPage, name: str) -> None:
    """Save a screenshot of the page as it is."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.page.screenshot(path=file.name)
        _reduce(Path(file.name), f"preview-{name}")


def _reduce(path: Path, name: str) -> None:
    with Image.open(path) as image:
        image.convert("RGB").save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    sys.exit(main())
