"""What the admins of a server decide, and that nobody else does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.config import Config
from bot.errors import Blocked, InvalidJobSpec, NotFound, NotOwner, OverLimit, WrongChannel
from bot.jobs import JobState
from bot.service import JobSpec, Requester, Safety, Service
from bot.service.guild_settings import shortest_retention
from tests.bot.bench import CHANNEL, GUILD, QUICK, Bench, requester

ADMIN = requester(manages=True)

Change = Callable[[Service, Requester], Awaitable[object]]
CHANGES: list[Change] = [
    lambda service, who: service.guilds.set_limit(who, "steps", 10),
    lambda service, who: service.guilds.set_channel(who, 1, True),
    lambda service, who: service.guilds.pause(who),
    lambda service, who: service.guilds.resume(who),
    lambda service, who: service.guilds.clear(who),
    lambda service, who: service.guilds.set_safety(who, mode=Safety.OFF),
    lambda service, who: service.guilds.set_retention(who, 3),
    lambda service, who: service.words.add_style(who, "ink", "ink"),
    lambda service, who: service.words.remove_style(who, "ink"),
    lambda service, who: service.words.add_block(who, "cat"),
    lambda service, who: service.words.remove_block(who, "cat"),
    lambda service, who: service.words.blocklist(who),
    lambda service, who: service.host.status(who),
    lambda service, who: service.host.drain(who),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_who_does_not_manage_the_server_changes_nothing(bench: Bench, change: Change) -> None:
    with pytest.raises(NotOwner):
        await change(bench.service, requester())


async def test_limits_hold_from_the_next_wish_on_and_go_back(bench: Bench) -> None:
    guilds = bench.service.guilds
    assert (await guilds.set_limit(ADMIN, "steps", 3)).steps == 3
    with pytest.raises(OverLimit, match="3"):
        await bench.imagine(steps=4)
    assert (await guilds.set_limit(ADMIN, "steps", 9, role_id=5)).steps == 9
    await bench.imagine(steps=4, who=requester(role_ids=frozenset({5})))
    assert await guilds.role_limits(GUILD) == {5: {"steps": 9}}
    assert (await guilds.set_limit(ADMIN, "steps", None)).steps == 600
    await guilds.set_limit(ADMIN, "steps", None, role_id=5)
    assert await guilds.role_limits(GUILD) == {}
    await bench.imagine(steps=4)


async def test_a_limit_beyond_the_cap_is_refused_and_nothing_changes(bench: Bench) -> None:
    with pytest.raises(OverLimit, match="2000"):
        await bench.service.guilds.set_limit(ADMIN, "steps", 2001)
    with pytest.raises(InvalidJobSpec):
        await bench.service.guilds.set_limit(ADMIN, "colour", 1)
    assert (await bench.service.guilds.limits(GUILD)).steps == 600


async def test_a_role_may_have_more_painted_at_once_also_after_a_restart(tmp_path: Path, config: Config) -> None:
    bench = Bench(tmp_path / "data", config)
    bench.workers = 2
    await bench.start()
    await bench.service.guilds.set_limit(ADMIN, "running", 2, role_id=9)
    bench.engine.open.clear()
    ann = [await bench.imagine(who=requester(1, role_ids=frozenset({9}))) for _ in range(2)]
    for job in ann:
        await bench.reaches(job.id, JobState.RUNNING)
    await bench.crash()
    for job in ann:
        await bench.reaches(job.id, JobState.RUNNING)
    bench.engine.open.set()
    await bench.post(ann[0].id)
    await bench.post(ann[1].id)
    bench.engine.open.clear()
    ben = [await bench.imagine(who=requester(2)) for _ in range(2)]
    await bench.reaches(ben[0].id, JobState.RUNNING)
    assert (await bench.service.places())[ben[1].id].place == 1
    bench.engine.open.set()
    await bench.service.close()


async def test_a_role_with_priority_goes_first(bench: Bench) -> None:
    await bench.service.guilds.set_limit(ADMIN, "priority", 5, role_id=9)
    bench.engine.open.clear()
    first = await bench.imagine("first")
    await bench.reaches(first.id, JobState.RUNNING)
    await bench.imagine("ordinary")
    favoured = await bench.imagine("favoured", who=requester(7, role_ids=frozenset({9})))
    assert (await bench.service.places())[favoured.id].place == 1


@pytest.mark.parametrize(
    ("rules", "parents", "is_open"),
    [
        ({}, (), True),
        ({CHANNEL: False}, (), False),
        ({CHANNEL: True}, (), True),
        ({999: True}, (), False),
        ({999: False}, (), True),
        ({50: True}, (50,), True),
        ({50: False}, (50,), False),
        ({50: False, CHANNEL: True}, (50,), True),
        ({50: True, CHANNEL: False}, (50,), False),
        ({50: True, 51: False}, (50, 51), False),
    ],
)
async def test_channels_can_be_opened_and_closed(
    bench: Bench, rules: dict[int, bool], parents: tuple[int, ...], is_open: bool
) -> None:
    for channel_id, allowed in rules.items():
        await bench.service.guilds.set_channel(ADMIN, channel_id, allowed)
    who = requester(parent_channel_ids=frozenset(parents))
    if is_open:
        await bench.imagine(who=who)
    else:
        with pytest.raises(WrongChannel):
            await bench.imagine(who=who)
    assert await bench.service.guilds.channels(GUILD) == rules
    for channel_id in rules:
        await bench.service.guilds.set_channel(ADMIN, channel_id, None)
    await bench.imagine(who=who)


async def test_a_closed_channel_says_where_else(bench: Bench) -> None:
    await bench.service.guilds.set_channel(ADMIN, 999, True)
    with pytest.raises(WrongChannel, match="<#999>"):
        await bench.imagine()


async def test_styles_are_the_servers_and_the_hosts(bench: Bench) -> None:
    words = bench.service.words
    words.host_styles = {"Ink": "black ink", "oil": "an oil painting"}
    added = await words.add_style(ADMIN, "ink ", "  blue   ink:0.5 ")
    assert (added.name, added.text) == ("ink", "blue ink:0.5")
    assert [(style.name, style.own) for style in await words.styles(GUILD)] == [("ink", True), ("oil", False)]
    spec = JobSpec(prompt="an apple", settings=QUICK, style="INK")
    assert (await bench.service.submit(requester(), spec)).job.prompt == "an apple | blue ink:0.5"
    await words.remove_style(ADMIN, "INK")
    assert (await words.style(GUILD, "ink")).text == "black ink"
    with pytest.raises(NotFound, match="is the host's and stays"):
        await words.remove_style(ADMIN, "ink")
    with pytest.raises(NotFound):
        await bench.service.submit(requester(), JobSpec(prompt="an apple", style="nothing"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "x"),
        ("x" * 33, "x"),
        ("a|b", "x"),
        ("ok", ""),
        ("ok", "x" * 301),
        ("ok", "a ^ b"),
        ("ok", "a:999"),
        ("ok", "|"),
    ],
)
async def test_a_style_that_cannot_be_is_refused(bench: Bench, name: str, text: str) -> None:
    with pytest.raises(InvalidJobSpec):
        await bench.service.words.add_style(ADMIN, name, text)


async def test_the_blocklist_says_which_rule_hit_wherever_the_word_stands(bench: Bench) -> None:
    words = bench.service.words
    assert await words.add_block(ADMIN, "  Bad  WORD ") == "bad word"
    words.host_rules = ("forbidden",)
    await words.add_style(ADMIN, "trick", "a bad word")
    for spec in (
        JobSpec(prompt="a BAD word", settings=QUICK),
        JobSpec(prompt="an apple", negative="bad word", settings=QUICK),
        JobSpec(prompt="an apple", style="trick", settings=QUICK),
    ):
        with pytest.raises(Blocked, match="bad word"):
            await bench.service.submit(requester(), spec)
    with pytest.raises(Blocked, match="forbidden"):
        await bench.imagine("something forbidden")
    assert await words.find_block(GUILD, "a good word") is None
    assert await words.find_block(GUILD + 1, "a bad word") is None
    await words.remove_block(ADMIN, "BAD word")
    await bench.imagine("a bad word")
    with pytest.raises(NotFound):
        await words.remove_block(ADMIN, "bad word")
    for rule in ("", "  ", "**", "x" * 101):
        with pytest.raises(InvalidJobSpec):
            await words.add_block(ADMIN, rule)


async def test_safety_and_the_channel_for_reports(bench: Bench) -> None:
    guilds = bench.service.guilds
    assert await guilds.safety(GUILD) == (Safety.SPOILER, None)
    assert await guilds.set_safety(ADMIN, mode=Safety.REFUSE, report_channel_id=4) == (Safety.REFUSE, 4)
    assert await guilds.set_safety(ADMIN, report_channel_id=0) == (Safety.REFUSE, None)


async def test_retention_is_never_longer_than_the_hosts(bench: Bench) -> None:
    guilds = bench.service.guilds
    assert await guilds.set_retention(ADMIN, 5) == 5
    assert await guilds.set_retention(ADMIN, 0) == 90
    assert await guilds.set_retention(ADMIN, 1000) == 90
    assert await guilds.set_retention(ADMIN, None) == 90
    with pytest.raises(InvalidJobSpec):
        await guilds.set_retention(ADMIN, -1)


@pytest.mark.parametrize(
    ("host", "guild", "days"), [(90, None, 90), (90, 5, 5), (90, 0, 90), (0, 0, 0), (0, None, 0), (0, 400, 400)]
)
def test_of_two_times_the_shorter_holds(host: int, guild: int | None, days: int) -> None:
    assert shortest_retention(host, guild) == days


async def test_statistics_add_up(bench: Bench) -> None:
    await bench.post((await bench.imagine()).id)
    await bench.post((await bench.imagine(who=requester(guild_id=7))).id)
    here = await bench.service.guilds.statistics(GUILD)
    everywhere = await bench.service.guilds.statistics(None, days=10**6)
    assert (here.pictures, everywhere.pictures, everywhere.days) == (1, 2, 366)
    assert here.waited_most_s >= here.waited_mean_s >= 0
    assert here.paint_s > 0
