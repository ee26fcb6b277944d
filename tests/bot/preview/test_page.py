"""The preview in a browser, by typing and clicking: real page, server, client and queue; only the dream is fake."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from bot.frontend.preview.welcome import EXAMPLES
from tests.bot.preview.preview_in_browser import PICTURE, TIMEOUT_S, PreviewPage, running

pytestmark = [pytest.mark.waits, pytest.mark.timeout(600)]
STEP = re.compile(r"step \u2007*(\d+) of \d+")
LEFT = re.compile(r"in (\d+ \w+|a \w+)")
DONE = re.compile("Done in")
FOX = str(EXAMPLES / "fox.webp")
BOAT = str(EXAMPLES / "boat.webp")
PROMPTS = str(Path(__file__).with_name("prompts.txt"))
SOMEBODY_ELSE = """as => import("/static/api.js").then(
    api => api.act({ as, kind: "slash", name: "imagine", options: { prompt: "a friend's picture" } }))"""
# By person: to see the page as another one draws the whole channel anew.
COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
    "imagine": (
        "you",
        {"prompt": "a red apple", "steps": "3", "size": "64x64", "start": "random", "timelapse": "True"},
    ),
    "queue": ("you", {}),
    "cancel": ("you", {}),
    "gallery": ("you", {"whose": "Pictures of this server"}),
    "recipe": ("you", {"job": "1"}),
    "again": ("you", {"file": FOX, "new_seed": "True"}),
    "blend": ("you", {"first": FOX, "second": BOAT, "prompt": "a boat"}),
    "morph": ("you", {"first": "1", "second": "1", "template": "zoom in", "seconds": "0.5"}),
    "film": ("you", {"prompt": "a river", "seconds": "0.5"}),
    "batch": ("you", {"file": PROMPTS}),
    "compare": ("you", {"prompt": "a hill", "x": "steps", "x_values": "2, 3"}),
    "describe": ("you", {"picture": FOX}),
    "preset save": ("you", {"name": "quick", "options": "--steps 2"}),
    "preset use": ("you", {"name": "quick", "prompt": "a bee"}),
    "preset list": ("you", {}),
    "preset share": ("you", {"name": "quick"}),
    "preset delete": ("you", {"name": "quick"}),
    "wildcards list": ("you", {}),
    "models list": ("you", {}),
    "settings": ("you", {}),
    "styles list": ("you", {}),
    "help": ("you", {}),
    "vote": ("you", {"prompt": "a boat", "rounds": "1", "steps": "2"}),
    "about": ("friend", {}),
    "privacy": ("friend", {}),
    "wildcards save": ("admin", {"name": "animals", "entries": "fox, owl"}),
    "wildcards delete": ("admin", {"name": "animals"}),
    "models allow": ("admin", {"model": "starter"}),
    "models deny": ("admin", {"model": "starter"}),
    "models default": ("admin", {"model": "starter"}),
    "styles add": ("admin", {"name": "ink", "text": "an ink drawing"}),
    "styles remove": ("admin", {"name": "ink"}),
    "limits show": ("admin", {"role": "admins"}),
    "limits set": ("admin", {"name": "count", "value": "3", "role": "admins"}),
    "limits reset": ("admin", {"name": "count", "role": "admins"}),
    "channels list": ("admin", {}),
    "channels allow": ("admin", {"channel": "pictures"}),
    "channels deny": ("admin", {"channel": "lounge"}),
    "channels reset": ("admin", {"channel": "lounge"}),
    "pause": ("admin", {}),
    "resume": ("admin", {}),
    "clear": ("admin", {}),
    "safety show": ("admin", {}),
    "safety set": ("admin", {"mode": "spoiler", "report_channel": "reports"}),
    "stats": ("admin", {"days": "7"}),
    "retention": ("admin", {}),
    "blocklist list": ("admin", {}),
    "blocklist add": ("admin", {"rule": "mud"}),
    "blocklist test": ("admin", {"text": "a mud pie"}),
    "blocklist remove": ("admin", {"rule": "mud"}),
    "people list": ("admin", {}),
    "people block": ("admin", {"person": "friend"}),
    "people unblock": ("admin", {"person": "friend"}),
    "reports": ("admin", {}),
    "server": ("admin", {}),
    "webgallery show": ("admin", {}),
    "webgallery make": ("admin", {}),
    "webgallery revoke": ("admin", {}),
    "host status": ("host", {}),
    "host drain": ("host", {"on": "False"}),
    "host reload-styles": ("host", {}),
    "host painters list": ("host", {}),
    "host painters drain": ("host", {"name": "local"}),
    "host painters add": ("host", {"name": "local"}),
}
MANAGED = {
    "styles add", "styles remove", "wildcards save", "wildcards delete", "models allow", "models deny",
    "models default",
}  # fmt: skip
"""Refused to members, and listed for them beside a command of the same group that they may use."""


def painted(page: PreviewPage, prompt: str, **options: str) -> Locator:
    page.command("imagine", prompt=prompt, **options)
    return page.wait(prompt, DONE)


def commands(page: PreviewPage) -> set[str]:
    """The names of all commands that the list behind "/" offers."""
    page.offered("")
    names = {text.removeprefix("/") for text in page.find("#popup .title").all_inner_texts()}
    page.find("#words").fill("")
    return names


def test_every_command_is_listed_for_those_who_may_use_it(page: PreviewPage) -> None:
    mine = commands(page)
    assert mine == {name for name, (who, _) in COMMANDS.items() if who in ("you", "friend")} | MANAGED
    page.view_as("admin")
    admins = commands(page)
    page.view_as("host")
    assert admins | commands(page) == set(COMMANDS)


def test_a_film_plays_in_its_message(page: PreviewPage) -> None:
    page.command("film", prompt="a lake", seconds="1", fps="8", video=BOAT)
    film = page.wait("a lake", DONE).locator(".container .gallery video")
    expect(film).to_be_visible()
    if film.evaluate("film => film.canPlayType('video/mp4; codecs=\"avc1.42E01E\"')"):
        page.page.wait_for_function("film => film.currentTime > 0", arg=film.element_handle())
        assert film.evaluate("film => film.videoWidth") == 64


def test_words_and_enter_paint_and_the_picture_grows(page: PreviewPage) -> None:
    expect(page.find("#words")).to_be_focused()
    page.page.keyboard.type("a red apple")
    page.page.keyboard.press("Enter")
    message, seen = page.wait("a red apple"), set[str]()
    page.command("imagine", prompt="a long way", steps="300")
    message, end = page.wait("a long way"), time.monotonic() + TIMEOUT_S
    while not re.search("Done in|Failed", text := message.inner_text()) and time.monotonic() < end:
        seen.update(STEP.findall(text))
        time.sleep(0.1)
    assert DONE.search(text), text
    assert len(seen) > 1, seen
    assert page.picture_width(message) == 64
    for label in ("Upscale", "Vary", "Continue", "Remix", "Again", "Favourite", "Timelapse", "Recipe"):
        expect(message.get_by_role("button", name=label, exact=True)).to_be_visible()


def test_who_waits_sees_the_place_and_a_countdown(page: PreviewPage) -> None:
    page.command("imagine", prompt="a very long way", steps="600")
    page.command("imagine", prompt="a blue cat", steps="300")
    page.command("imagine", prompt="a blue dog", steps="2")
    message, seen = page.wait("a blue dog", "Queued #2"), set[str]()
    end = time.monotonic() + TIMEOUT_S
    while len(seen) < 2 and time.monotonic() < end:
        seen.update(LEFT.findall(message.inner_text()))
        time.sleep(0.2)
    assert len(seen) >= 2, seen
    page.press(message, "Cancel")
    page.wait("a blue dog", "Cancelled")
    page.press(page.message("a very long way"), "Cancel")
    page.wait("a very long way", "Cancelled by the person who requested it.")
    page.press(page.message("a blue cat"), "Cancel")


def test_finish_now_keeps_the_picture_so_far(page: PreviewPage) -> None:
    page.command("imagine", prompt="a tall tree", steps="600")
    page.press(page.wait("a tall tree", STEP), "Finish now")
    message = page.wait("a tall tree", DONE)
    assert page.picture_width(message) == 64
    assert "600 steps" not in message.inner_text()


def test_each_of_four_can_be_upscaled_and_varied(page: PreviewPage) -> None:
    message = painted(page, "a green pear", steps="2", count="4")
    assert page.picture_width(message) == 64 and message.locator(PICTURE).count() == 4
    page.press(message, "U1")
    assert page.picture_width(page.wait("a green pear", "128x128", DONE)) == 128
    page.press(page.message("a green pear", "seed", re.compile(r"\+3")), "V1")
    child = page.wait("a green pear", "start parent", "64x64", DONE)
    child.get_by_role("button", name="#pictures").click()
    expect(page.message("a green pear", "seed", re.compile(r"\+3"))).to_be_focused()


def test_forms_menus_and_downloads(page: PreviewPage) -> None:
    message = painted(page, "a yellow moon", steps="2")
    page.press(message, "Remix")
    form = page.page.get_by_role("dialog")
    expect(form.get_by_role("textbox")).to_be_focused()
    form.get_by_role("textbox").fill("a red moon")
    form.get_by_role("button", name="Submit").click()
    page.wait("a red moon", DONE)
    page.menu(message, "Show recipe", mouse=True)
    reply = page.wait("used Show recipe", "Recipe of job", "Only you can see this")
    with page.page.expect_download() as download:
        reply.locator(".file a").first.click()
    assert json.loads(Path(download.value.path()).read_text("utf-8"))
    mark = reply.get_attribute("data-id")
    reply.get_by_role("button", name="Dismiss message").click()
    expect(page.find(f'[data-id="{mark}"]')).to_have_count(0)
    page.menu(message, "Imagine like this")
    form.get_by_role("textbox").fill("a moon of cheese")
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_have_count(0)
    page.press(message, "More")
    page.press(page.wait("More for #"), "Report")
    form.get_by_role("combobox").select_option(index=1)
    form.get_by_role("button", name="Submit").click()
    page.wait("Only you can see this", re.compile("Thank", re.IGNORECASE))
    page.command("blend", steps="2")
    form.locator("input[type=file]").set_input_files([FOX, BOAT, FOX])
    form.get_by_role("textbox").fill("three in a form")
    form.get_by_role("button", name="Submit").click()
    page.wait("three in a form", DONE)


def test_a_refusal_is_seen_by_nobody_else(page: PreviewPage) -> None:
    page.command("imagine", prompt="an apple | ")
    page.wait("Only you can see this", "There is an empty prompt")
    page.view_as("admin")
    assert page.message("There is an empty prompt").count() == 0


def test_the_admins_limits_hold_for_the_member(page: PreviewPage) -> None:
    page.view_as("admin")
    page.command("limits set", name="count", value="2")
    page.wait("count is now 2")
    page.view_as("you")
    page.command("imagine", prompt="three pears", count="3")
    page.wait("This server allows at most 2 pictures at a time.")
    page.view_as("admin")
    page.command("limits reset", name="count")
    page.wait("count is now 4")


def test_a_reporter_is_told_the_result_by_direct_message(page: PreviewPage) -> None:
    painted(page, "a grey stone", steps="2")
    page.view_as("friend")
    page.press(page.wait("a grey stone", DONE), "More")
    page.press(page.wait("More for #"), "Report")
    form = page.page.get_by_role("dialog")
    form.get_by_role("combobox").select_option(index=1)
    form.get_by_role("checkbox").check()
    form.get_by_role("button", name="Submit").click()
    page.wait("Your report was saved")
    page.view_as("admin")
    page.command("safety set", report_channel="reports")
    page.wait("Reports are posted in")  # it moves the button that is pressed next
    page.command("reports")
    menu = page.wait("reported picture", "a grey stone").locator("select")
    menu.select_option(menu.locator("option", has_text="a grey stone").get_attribute("value"))
    page.press(page.wait("Prompt: a grey stone"), "Keep it")
    page.wait("nothing to do, decided")
    page.view_as("friend")
    direct = page.page.get_by_role("button", name="Reverie, unread")
    direct.click()
    expect(page.message("You reported a picture of job")).to_be_in_viewport()
    expect(page.find("#channels").get_by_role("button", name="Reverie", exact=True)).to_have_attribute(
        "aria-current", "page"
    )


def test_who_installed_the_bot_paints_in_direct_messages_and_in_a_server_without_it(page: PreviewPage) -> None:
    channels, words = page.find("#channels"), page.find("#words")
    for name, prompt in (("Reverie", "a fox alone"), ("# tea-room", "a cup of tea")):
        channels.get_by_role("button", name=name, exact=True).click()
        expect(page.find("#channel")).to_have_text(name)
        page.words(prompt)
        page.menu(page.wait(prompt, DONE), "Imagine like this", mouse=True)
        form = page.page.get_by_role("dialog")
        form.get_by_role("textbox").first.fill(f"{prompt} again")
        form.get_by_role("button", name="Submit").click()
        page.wait(f"{prompt} again", DONE)
        assert not {"vote", "batch", "server"} & commands(page)
    page.view_as("friend")
    expect(page.message("a cup of tea again")).to_be_visible()
    expect(words).to_be_disabled()
    expect(words).to_have_attribute("placeholder", re.compile("friend has not installed Reverie"))
    page.press(page.message("a cup of tea again"), "Vary")
    page.wait("Only you can see this", "person who installed me")
    page.find("#viewer").select_option(value=page.person("admin"))
    expect(page.find("#channel")).to_have_text("# pictures")
    assert "Tea Lovers" not in channels.inner_text()


def test_a_link_leads_to_a_message_of_another_channel(page: PreviewPage) -> None:
    message = painted(page, "a distant hill", steps="2")
    mark = message.get_attribute("data-id")
    page.view_as("admin")
    page.command("safety set", report_channel="reports")
    page.wait("Reports are posted in")  # it moves the button that is pressed next
    page.press(page.wait("a distant hill", DONE), "More")
    page.press(page.wait("More for #"), "Report")
    form = page.page.get_by_role("dialog")
    form.get_by_role("combobox").select_option(index=1)
    form.get_by_role("button", name="Submit").click()
    page.page.get_by_role("button", name="# reports, unread").click()
    page.wait("Prompt: a distant hill").get_by_role("button", name="#pictures").click()
    shown = page.find(f'[data-id="{mark}"]')
    expect(shown).to_be_focused()
    expect(shown).to_be_in_viewport()
    expect(page.find("#channel")).to_have_text("# pictures")


def test_a_ping_quotes_the_picture_that_it_answers(page: PreviewPage) -> None:
    page.command("settings", ping="always")
    page.words("a loud bell --steps 2")
    ping = page.wait("your picture is ready")
    expect(ping.locator(".origin")).to_have_text(re.compile(r"^@Reverie Done in [^*<]*$"))
    page.command("settings", ping="never")


def test_the_gallery_turns_its_pages_and_opens_a_picture(page: PreviewPage) -> None:
    page.command("gallery", whose="Pictures of this server")
    gallery = page.wait("Only you can see this", re.compile("gallery", re.IGNORECASE))
    gallery.locator("select").select_option(index=1)
    page.wait("Only you can see this", "Recipe")


def test_a_file_dropped_on_the_page_becomes_the_commands_picture(page: PreviewPage) -> None:
    drop = """bytes => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "fox.webp", { type: "image/webp" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    page.find("#words").fill("a fox of glass")
    page.page.evaluate(drop, list(Path(FOX).read_bytes()))
    expect(page.find("#fields .chip")).to_have_text("/imagine")
    expect(page.find("#fields .pick")).to_contain_text("fox.webp")
    page.page.keyboard.press("Enter")
    page.wait("a fox of glass", DONE)


def test_what_is_missing_or_wrong_is_said_before_sending(page: PreviewPage) -> None:
    hint = page.find("#hint.wrong")
    page.offered("imagine")
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Enter")
    expect(hint).to_have_text("prompt is required.")
    page.fill("prompt", "a cat")
    page.fill("steps", "9999")
    page.page.keyboard.press("Enter")
    expect(hint).to_have_text("steps is at most 5000.")
    page.fill("steps", "3")
    page.fill("start", "nowhere")
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Enter")
    expect(hint).to_have_text("start is one of the list.")
    page.find('#fields .option:has(.name:text-is("steps")) input').focus()
    page.page.keyboard.press("Enter")
    expect(hint).to_have_text("start is one of the list.")


def test_an_answer_that_does_not_come_looks_as_in_discord(page: PreviewPage) -> None:
    page.page.route("**/act", lambda route: route.fulfill(json={"state": "late"}))
    page.words("a silent cat")
    line = page.wait("The application did not respond", "Only you can see this")
    line.get_by_role("button", name="Dismiss message").click()
    expect(page.find("#messages")).not_to_contain_text("did not respond")
    welcome = page.find("li.message").first
    welcome.get_by_role("button", name="Vary 1").click()
    expect(welcome).to_contain_text("This interaction failed")


def test_content_that_grows_does_not_leave_the_end_behind(page: PreviewPage) -> None:
    page.command("help")
    page.wait("used /help")
    grow = """node => {
        node.scrollTop = node.scrollHeight;
        document.querySelector("#messages > li").style.paddingBottom = "400px";
        node.dispatchEvent(new Event("scroll"));
    }"""
    page.find("#scroll").evaluate(grow)
    expect(page.message("used /help")).to_be_in_viewport()


def test_a_picture_opens_large_and_closes_by_escape(page: PreviewPage) -> None:
    page.find("li.message").first.locator(".picture").nth(1).click()
    dialog = page.page.get_by_role("dialog")
    source = dialog.locator("img").get_attribute("src")
    page.page.keyboard.press("ArrowRight")
    assert dialog.locator("img").get_attribute("src") != source
    page.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.find("li.message").first.locator(".picture").nth(1)).to_be_focused()


def test_a_timelapse_is_shown_and_can_be_saved(page: PreviewPage) -> None:
    message = painted(page, "a growing tree", steps="60")
    page.press(message, "Timelapse")
    assert page.picture_width(page.wait("Only you can see this")) == 64


def test_the_newest_message_stays_in_sight_but_a_reader_is_left_alone(page: PreviewPage) -> None:
    scroll = page.find("#scroll")
    answers = page.find("#messages > li.message:not(.pending)").filter(has_text="used /help")
    before = answers.count()
    for number in range(3):
        page.command("help")
        expect(answers).to_have_count(before + number + 1)
    expect(answers.last).to_be_in_viewport()
    scroll.evaluate("node => { node.scrollTop = 0; }")
    page.page.wait_for_timeout(100)
    page.page.evaluate(SOMEBODY_ELSE, page.person("friend"))
    page.find("#newest").wait_for()
    assert scroll.evaluate("node => node.scrollTop") == 0
    page.find("#newest").click()
    expect(page.message("a friend's picture")).to_be_in_viewport()
    scroll.evaluate("node => { node.scrollTop = 0; }")
    page.menu(page.find("li.message").first, "Show recipe")
    expect(page.wait("Recipe of job")).to_be_in_viewport()


def test_it_ends_by_ctrl_c_in_the_middle_of_a_picture(browser: Browser, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(["-m", "tests.bot.preview.fake_preview", str(data)], data) as (url, process):
        page = PreviewPage(browser, url)
        page.command("imagine", prompt="a long way", steps="600")
        page.wait("a long way", STEP)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert str(data) in process.stdout.read().decode()
        expect(page.find("#connection")).to_contain_text("make run")
        page.page.close()


def test_the_web_gallery_is_read_and_searched_by_keyboard_on_a_telephone(page: PreviewPage, browser: Browser) -> None:
    painted(page, "a lonely lighthouse", steps="3", start="random")
    page.view_as("admin")
    answers = page.find("#messages > li").filter(has_text="Everyone who has this link")
    before = answers.count()
    page.command("webgallery make")
    link = answers.nth(before).get_by_role("link").get_attribute("href")
    assert link is not None
    web, faults = browser.new_page(viewport={"width": 390, "height": 760}), list[str]()
    web.on("console", lambda said: faults.append(said.text))
    web.on("requestfailed", lambda failed: faults.append(f"{failed.failure} {failed.url}"))
    web.goto(link)
    assert web.evaluate("document.scripts.length") == 0
    for key in ("Tab", "l", "o", "n", "e", "l", "y", "Tab", "Enter"):
        web.keyboard.press(key)
    tiles = web.get_by_role("listitem")
    expect(tiles).to_have_count(1)
    picture = tiles.get_by_role("img", name="a lonely lighthouse")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") == 64
    assert web.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(3):
        web.keyboard.press("Tab")
    expect(tiles.get_by_role("link", name="a lonely lighthouse")).to_be_focused()
    web.keyboard.press("Enter")
    expect(web.get_by_role("heading", name="a lonely lighthouse")).to_be_visible()
    assert web.evaluate("document.documentElement.scrollWidth") <= 390
    with web.expect_download() as download:
        web.get_by_role("link", name="Download the recipe").press("Enter")
    assert json.loads(Path(download.value.path()).read_text("utf-8"))
    web.get_by_text("Timelapse", exact=True).press("Enter")
    expect(web.get_by_role("img", name="Timelapse: a lonely lighthouse")).to_be_visible()
    revoked = page.find("#messages > li").filter(has_text="The link no longer works")
    before = revoked.count()
    page.command("webgallery revoke")
    revoked.nth(before).wait_for()
    # Pictures of a page that is left before they are there are given up.
    assert [fault for fault in faults if not fault.startswith("net::ERR_ABORTED ")] == []
    answer = web.goto(link)
    assert answer is not None and answer.status == 404
    web.close()


@pytest.mark.parametrize("mouse", [False, True], ids=["keyboard", "mouse"])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_answered(shared: PreviewPage, name: str, mouse: bool) -> None:
    who, options = COMMANDS[name]
    if shared.find("#viewer option:checked").inner_text().partition(" ")[0] != who:
        shared.view_as(who)
    # Other messages may come meanwhile, such as the ballot of a vote. On this long page nothing is awaited by `expect`,
    # which describes the whole page for its error each time it has to wait; nor are whole messages searched for a text.
    origins = shared.find("#messages > li:not(.pending) > .origin").filter(has_text=f"used /{name.split()[0]}")
    before = origins.count()
    shared.command(name, mouse=mouse, **options)
    origin = origins.nth(before)
    origin.wait_for(state="attached")
    mark = origin.evaluate("origin => origin.closest('li').dataset.id")
    answer = shared.find(f'#messages > [data-id="{mark}"]')
    answer.locator(".thinking").wait_for(state="detached")
    assert answer.locator(".wrong").count() == 0
    assert len(answer.locator(".body").inner_text()) > 5
    expect(answer).to_be_in_viewport()
