"""Words and options that could break the bot, over sockets: each is answered, and the bot continues."""

from __future__ import annotations

import logging
import math
import random
from typing import Any

import discord
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import Limits
from bot.errors import BotError
from bot.frontend.words import as_typed
from bot.log import JsonLines, TextLines
from bot.service import requests as wishes
from bot.service.values import JobSpec
from generator import InvalidRequest, Settings, parse_story
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import TOKEN
from tests.discord_fake.components import texts
from tests.discord_fake.markdown import read
from tests.faults.steps import in_short_steps

PROMPTS = [
    "\x00\x01\x1b[31mred\x1b[0m", "\ud800\udfff", "\ud83d", "a" * 6_000, "😀" * 3_000, "\u202eelppa der a\u202c",
    "قطة حمراء", "z\u0300\u0301\u0302\u0303" * 400, "e" + "\u0301" * 1_900, "@everyone @here <@1> <@&1> <#1>",
    "**a** _b_ ~~c~~ ||d|| `e` ```f``` > g", "[a](https://example.org) <https://example.org>", "a:1e308", "a:nan",
    "a:inf", "a:-inf:nan", "a:1:1:1:1:1", ":" * 500, "|" * 500, "^" * 500, "a|b^c|d:2^e:-1|f" * 50,
    "^|:^|:", "\\" * 999,
    "{0.__class__}", "{prompt}", "%s%n%d", "${jndi:ldap://example.org/a}", "'; DROP TABLE jobs; --",
    "../../../etc/passwd", "<t:9999999999999:R>", "\ufdfa" * 1_500, "\u200b" * 1_000, "a\nb\rc\u2028d\u0085e",
    "/imagine /imagine", "-",
    " \t ",
    "a | fog:-0.5 ^ " * 40, "10:30", "١٢:٣", "a:" + "9" * 400, "\N{HANGUL FILLER}", "\U000e0041" * 100, "\uffff\ufffe",
]  # fmt: skip


async def test_every_odd_prompt_is_answered_and_the_next_person_notices_nothing(live: ClientOnLoopback) -> None:
    taken = 0
    for number, prompt in enumerate(PROMPTS):
        person = live.guild.add_member(f"person {number}")
        sent = await live.fake.type_imagine(live.channel, person, prompt)
        assert sent.callback is not None and sent.text.strip(), prompt
        assert "Something went wrong" not in sent.text, prompt
        taken += not sent.ephemeral
    assert taken > 20
    await live.ended(taken)
    for message in live.channel.posts():
        _, words = texts(message.components)
        assert read(words.rpartition("\n-# ")[0])[1] == []


OPTIONS: dict[str, list[Any]] = {
    "size": ["0x0", "99999x99999", "-1x5", "1e9", "512", "x", "\u0665\u0660x\u0665\u0660", "64x64x64", "\ud800", None],
    "steps": [0, -1, 10**30, 5_001, 1.5, None, True],
    "seed": [-1, 2**32, 2**64, 1e308],
    "start": ["parent", "nothing", "", "init"],
    "image_weight": [1e308, -1e308, 101],
    "negative": ["", "a" * 1_001, "|" * 900, "a" * 6_000],
    "count": [0, 5, -1, 10**18],
    "learning_rate": [0, 1e308, -1, 0.00001],
    "cutouts": [0, 10**9],
    "noise": [-0.1, 1e308],
    "style": ["nobody", "", "a" * 6_000, "../x"],
    "private": [1, None],
    "timelapse": [5],
    "optimiser": ["sgd", ""],
}  # fmt: skip
"""Of the kind that Discord lets through: it reads a number where one is asked for."""


async def test_options_out_of_range_are_taken_or_refused_with_a_sentence(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    for name, values in OPTIONS.items():
        for value in values:
            person = live.guild.add_member(f"{name} {value}"[:30])
            sent = await live.fake.type_imagine(live.channel, person, **{"prompt": "a", name: value})
            assert sent.callback is not None and sent.text.strip(), (name, value)
            assert "Something went wrong" not in sent.text, (name, value)
    live.engine.open.set()


async def test_numbers_of_jobs_that_there_cannot_be_are_unknown(live: ClientOnLoopback) -> None:
    for name in ("recipe", "cancel"):
        for job in (2**53, 0, -1):  # Discord takes no larger numbers.
            sent = await (await live.fake.type_command(live.channel, live.ann, name, job=job)).answered()
            assert "Something went wrong" not in sent.text, (name, job)


async def test_a_number_that_the_database_cannot_hold_is_refused_in_every_option(live: ClientOnLoopback) -> None:
    asked = 0
    for command in live.client.tree.walk_commands():
        options = getattr(command, "parameters", ())
        for option in options:
            if option.type is not discord.AppCommandOptionType.integer:
                continue
            for number in (2**63, -(2**70), 10**400):
                given = {option.name: number}
                sent = await live.fake.type_command(live.channel, live.admin, command.qualified_name, **given)
                text, _ = read((await sent.answered()).text)
                assert text == f"The number for {option.name} is far too large. Enter a smaller one.", command.name
                asked += 1
    assert asked > 20


async def test_the_longest_prompt_is_answered_without_holding_up_anybody(live: ClientOnLoopback) -> None:
    for prompt in ("\ufdfa" * 2_000, "e" + "\u0301" * 1_990, " ^ ".join(["a|b|c"] * 31), "*_`~|>" * 300):
        person = live.guild.add_member(str(random.random()))
        await in_short_steps(live.fake.type_imagine(live.channel, person, prompt))


@given(st.text(alphabet=st.characters(), max_size=400) | st.text(alphabet="a:|^\\ 0.5-e+nif\ud800`*_<@>", max_size=400))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_read_or_refused_and_shown_without_effect(text: str) -> None:
    try:
        scenes = parse_story(wishes.compose(text, "", ""))
    except InvalidRequest as refused:
        assert str(refused).endswith(".")
    else:
        assert all(math.isfinite(prompt.weight) for scene in scenes for prompt in scene.prompts)
        assert not any("\ud800" <= char <= "\udfff" for scene in scenes for p in scene.prompts for char in p.text)
    assert read(as_typed(text, 900))[1] == []


@given(st.dictionaries(st.sampled_from(sorted(Settings().as_dict())), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=4),
    st.lists(st.integers(), max_size=3),
), max_size=3))  # fmt: skip
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_of_any_setting_is_taken_or_refused_with_a_sentence(given_: dict[str, object]) -> None:
    try:
        wishes.build(JobSpec(prompt="a", settings=given_), Limits(), settings=Settings(), models="starter")
    except BotError as refused:
        assert refused.sentence.said("en").endswith(".")


@pytest.mark.parametrize("lines", [TextLines(TOKEN), JsonLines(TOKEN)])
@pytest.mark.parametrize("prompt", ["\x1b[2J", "\r\n2026-01-01 ERROR bot: forged", "\u2028forged", TOKEN, "a\x00b"])
def test_nothing_that_people_type_forges_a_line_of_the_log_or_shows_a_secret(
    lines: logging.Formatter, prompt: str
) -> None:
    try:
        raise ValueError(f"about {prompt}")
    except ValueError as exc:
        record = logging.LogRecord("bot", logging.ERROR, "", 1, "failed: %s", (prompt,), (ValueError, exc, None))
    written = lines.format(record)
    assert TOKEN not in written
    assert "\x1b" not in written and "\x00" not in written and "\u2028" not in written
    assert not [line for line in written.splitlines() if line.startswith("2026-01-01")]
