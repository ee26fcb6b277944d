"""The preview in a browser, by typing and clicking: real page, real bot, real starter models."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator

from tests.bot.preview.preview_in_browser import TIMEOUT_S, PreviewPage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
STEP = re.compile(r"step (\d+) of \d+")
LEFT = re.compile(r"in (\d+ \w+|a \w+)")
DONE = re.compile("Done in")


def generated(page: PreviewPage, prompt: str, **options: str) -> Locator:
    page.command("imagine", prompt=prompt, **options)
    return page.wait(prompt, DONE)


def test_a_message_shows_previews_and_then_the_finished_picture(page: PreviewPage) -> None:
    page.command("imagine", prompt="a red apple", steps="300")
    message, seen = page.wait("a red apple"), set[str]()
    end = time.monotonic() + TIMEOUT_S
    while not re.search("Done in|Failed", text := message.inner_text()) and time.monotonic() < end:
        seen.update(STEP.findall(text))
        time.sleep(0.2)
    assert DONE.search(text), text
    assert len(seen) > 1, seen
    assert page.picture_width(message) == 64
    for label in ("Again", "Vary", "Continue", "Remix", "Upscale", "Timelapse", "Recipe", "Delete", "Report"):
        assert message.get_by_text(label, exact=True).is_visible()


def test_a_waiting_job_shows_its_place_and_a_countdown(page: PreviewPage) -> None:
    page.command("imagine", prompt="a long way", steps="600", size="128x128")
    page.command("imagine", prompt="a blue cat", steps="2")
    message, seen = page.wait("a blue cat", "Queued #1"), set[str]()
    end = time.monotonic() + TIMEOUT_S
    while len(seen) < 2 and time.monotonic() < end:
        seen.update(LEFT.findall(message.inner_text()))
        time.sleep(0.3)
    assert len(seen) >= 2, seen
    page.press(message, "Cancel")
    page.wait("a blue cat", "Cancelled")
    page.press(page.message("a long way"), "Cancel")
    page.wait("a long way", "Cancelled by the person who requested it.")


def test_finish_now_keeps_the_picture_so_far(page: PreviewPage) -> None:
    page.command("imagine", prompt="a tall tree", steps="600")
    page.press(page.wait("a tall tree", STEP), "Finish now")
    message = page.wait("a tall tree", DONE)
    assert page.picture_width(message) == 64
    assert "600 steps" not in message.inner_text()


def test_each_of_four_can_be_upscaled_and_varied(page: PreviewPage) -> None:
    message = generated(page, "a green pear", steps="2", count="4")
    assert page.picture_width(message) > 2 * 64
    page.press(message, "U1")
    assert page.picture_width(page.wait("a green pear", "128x128", DONE)) == 128
    page.press(page.message("a green pear", "seed", re.compile(r"\+3")), "V1")
    page.wait("a green pear", "start parent", "64x64", DONE)


def test_vary_and_recipe(page: PreviewPage) -> None:
    message = generated(page, "a yellow moon", steps="2")
    page.press(message, "Vary")
    page.wait("a yellow moon", "start parent", DONE)
    page.press(message, "Recipe")
    reply = page.wait("Recipe of job", "To make the same picture again")
    assert "Only you can see this" in reply.inner_text()


def test_a_refusal_is_visible_only_to_the_requester(page: PreviewPage) -> None:
    page.command("imagine", prompt="an apple | ")
    page.wait("Only you can see this", "There is an empty prompt")
    page.view_as("admin")
    page.page.wait_for_timeout(500)
    assert page.message("There is an empty prompt").count() == 0


def test_the_admin_has_commands_that_the_member_lacks(page: PreviewPage) -> None:
    page.page.locator("#channel-composer-input").click()
    page.page.keyboard.type("/limits")
    page.page.wait_for_timeout(500)
    assert page.page.locator('.command-popup [role="option"]').filter(has_text="/limits").count() == 0
    page.page.keyboard.press("Escape")
    page.page.locator("#channel-composer-input").fill("")
    page.view_as("admin")
    page.command("limits set", name="count", value="2")
    page.wait("count is now 2")
    page.view_as("you")
    page.command("imagine", prompt="three pears", count="3")
    page.wait("This server allows at most 2 pictures at a time.")
    page.view_as("admin")
    page.command("limits set", name="count")
    page.wait("count is now 4")
