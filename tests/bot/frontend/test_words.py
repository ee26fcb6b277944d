"""User text has no effect in Discord, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.frontend.words import as_typed, said_plainly, within
from bot.jobs import JobState
from bot.texts import Sentence
from tests.bot.frontend.client_in_simcord import ClientInSimcord
from tests.discord_fake.components import texts as texts_in
from tests.discord_fake.markdown import read

PARTS = [
    "[a](https://evil.example/1)", "[b](<https://evil.example/2>)", "[c][d](https://evil.example/3 'e')",
    "https://evil.example/4", "<https://evil.example/5>", "<t:0:R>", "<t:1>", "<#1>", "<@2>", "<@!3>", "<@&4>",
    "</ban:5>", "<:evil:6>", "<a:evil:7>", "<id:guide>", ":evil:", "@everyone", "@here", "**evil**", "*evil*",
    "__evil__", "_evil_", "~~evil~~", "||evil||", "`evil`", "```evil```", "# evil", "-# evil", "> evil", "- evil",
    "* evil", "+ evil", "1. evil", "<evil@evil.example>", "<tel:+1>", "\\", "\\[", "\\\\", "[", "]", "(", ")", "<", ">",
    " ", "a", "1", "\n", "\u2028", "\u202e", "é", "猫", ":", "@",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=5), max_size=30).map("".join)


@given(TEXTS)
@settings(max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
def test_words_are_shown_as_typed_and_nothing_of_them_has_an_effect(text: str) -> None:
    shown, effects = read(as_typed(text, 10_000))
    turning = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    assert effects == []
    assert shown == " ".join(text.translate(turning).split())


@given(TEXTS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_words_within_a_sentence_have_no_effect_but_our_links_do(text: str) -> None:
    nested = Sentence.of("picture_says", message=Sentence.of("style_unknown", name=text))
    _, effects = read(said_plainly(nested, "en"))
    assert effects == []
    _, effects = read(said_plainly(Sentence.of("channel_closed", channel="<#5>"), "de"))
    assert [effect.source for effect in effects] == ["<#5>"]


@given(TEXTS, st.integers(1, 40))
def test_a_cut_never_leaves_half_an_escape(text: str, most: int) -> None:
    shown, effects = read(as_typed(text, most))
    assert effects == [] and len(shown) <= most


def test_complete_parts_are_kept_while_they_fit() -> None:
    assert within(["ab", "cd", "ef"], 5) == "ab\ncd"
    assert within(["ab"], 1) == "" and within([], 5) == ""


HOSTILE = " ".join(
    part
    for part in PARTS
    if ("evil" in part or part.startswith(("<", "@h", "@e"))) and len(part) > 1 and "|" not in part and "__" not in part
)
SHORT = "[x](https://evil.example) <t:0:R> <#1>"


async def test_nothing_that_the_bot_sends_gives_a_persons_words_an_effect(stage: ClientInSimcord) -> None:
    ann, admin, channel = stage.ann, stage.admin, stage.channel
    await stage.service.guilds.set_safety(stage.requester(admin), report_channel_id=channel.id)
    await admin.slash(channel, "styles add", name="night", text=HOSTILE[:300])
    await ann.slash(channel, "styles list")
    await ann.slash(channel, "imagine", prompt="a", style=SHORT)
    stage.engine.open.clear()
    await ann.slash(channel, "imagine", prompt=f"{HOSTILE} | {SHORT}:0.5", style="night", negative=SHORT)
    await ann.slash(channel, "imagine", prompt=HOSTILE)
    await ann.slash(channel, "queue")
    await ann.slash(channel, "cancel", job=2)
    stage.engine.open.set()
    await stage.ended(1, JobState.DONE)
    finished_job = next(item for item in channel.history() if item.attachments)
    await ann.slash(channel, "gallery")
    await ann.slash(channel, "recipe", job=1)
    form = await stage.click_more(ann, finished_job, "Report")
    await ann.submit_modal(form, {"reason": ["other"], "details": HOSTILE})
    for command in ("add", "list", "test", "remove", "remove"):
        given_ = {} if command == "list" else {"text" if command == "test" else "rule": SHORT}
        await admin.slash(channel, f"blocklist {command}", **given_)
        if command == "list":
            await ann.slash(channel, "imagine", prompt=SHORT)
    await admin.slash(channel, "styles remove", name=SHORT)
    texts = [text for call in stage.env.http_requests for text in texts_of(call.json)]
    told = [text for text in texts if "evil" in text]
    assert len(told) >= 12, told
    for text in texts:
        _, effects = read(text)
        ours = [effect.source for effect in effects if effect.kind != "emphasis"]
        assert not [part for part in ours if "evil" in part or part in HOSTILE], text


def texts_of(body: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the parts of a message read as markdown: its content, and the texts of its embeds and components."""
    message = body.get("data", body) if isinstance(body, dict) else {}
    if not isinstance(message, dict):
        return
    yield message.get("content") or ""
    for embed in message.get("embeds") or []:
        yield from (embed.get("title") or "", embed.get("description") or "")
        for item in embed.get("fields") or []:
            yield from (item["name"], item["value"])
    # The small print of a recipe is ours.
    yield from (text.replace("\n-# ", "\n") for text in texts_in(message.get("components") or []))


@pytest.mark.parametrize("text", ["1. one", "12.5 apples", "-# small", "# head", "a - b", "a # b"])
def test_only_what_begins_a_line_is_escaped_for_that(text: str) -> None:
    assert as_typed(text, 100).count("\\") == (0 if text.startswith("a") else 1)
