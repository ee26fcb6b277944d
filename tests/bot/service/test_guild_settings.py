"""Decisions of a server's admins, and their refusal to everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.config import Caps, Config, Limits
from bot.errors import Blocked, InvalidJobSpec, NotFound, NotOwner, OverLimit, WrongChannel
from bot.jobs import JobState, Origin
from bot.service import FollowUp, JobSpec, Requester, Safety, Service
from bot.service.guild_settings import GuildRecords, check_limit, effective_limits, shortest_retention
from bot.store import GuildTable
from bot.store.connection import Database
from bot.texts import Sentence
from tests.bot.real_service import CHANNEL, GUILD, QUICK, RealService, requester

ADMIN = requester(manages=True)

AdminCall = Callable[[Service, Requester], Awaitable[object]]
CHANGES: list[AdminCall] = [
    lambda service, who: service.guilds.set_limit(who, "steps", 10),
    lambda service, who: service.guilds.set_channel(who, 1, True),
    lambda service, who: service.guilds.pause(who),
    lambda service, who: service.guilds.resume(who),
    lambda service, who: service.guilds.block_person(who, 5),
    lambda service, who: service.guilds.unblock_person(who, 5),
    lambda service, who: service.guilds.retention_plan(who, 3),
    lambda service, who: service.waiting.of_server(who),
    lambda service, who: service.waiting.cancel(who, [], Sentence.of("queue_cleared")),
    lambda service, who: service.reports.page(who, page=1, per_page=5),
    lambda service, who: service.reports.get(who, 1),
    lambda service, who: service.reports.close(who, 1),
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
CAPS = Caps(steps=1000, daily=50)


@pytest.mark.parametrize("change", CHANGES)
async def test_members_cannot_change_server_settings(bench: RealService, change: AdminCall) -> None:
    with pytest.raises(NotOwner):
        await change(bench.service, requester())


async def test_limits_apply_from_the_next_request_and_can_be_reset(bench: RealService) -> None:
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


async def test_a_limit_beyond_the_cap_is_refused_and_nothing_changes(bench: RealService) -> None:
    with pytest.raises(OverLimit, match="2000"):
        await bench.service.guilds.set_limit(ADMIN, "steps", 2001)
    with pytest.raises(InvalidJobSpec):
        await bench.service.guilds.set_limit(ADMIN, "colour", 1)
    assert (await bench.service.guilds.limits(GUILD)).steps == 600


async def test_a_role_can_have_more_running_jobs_also_after_a_restart(tmp_path: Path, config: Config) -> None:
    bench = RealService(tmp_path / "data", config)
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
    view = await bench.service.view(ben[1].id)
    assert view is not None and view.place is not None and view.place.place == 1
    bench.engine.open.set()
    await bench.service.close()


async def test_a_role_with_priority_goes_first(bench: RealService) -> None:
    await bench.service.guilds.set_limit(ADMIN, "priority", 5, role_id=9)
    bench.engine.open.clear()
    first = await bench.imagine("first")
    await bench.reaches(first.id, JobState.RUNNING)
    await bench.imagine("ordinary")
    favoured = await bench.imagine("favoured", who=requester(7, role_ids=frozenset({9})))
    view = await bench.service.view(favoured.id)
    assert view is not None and view.place is not None
    assert view.place.place == 1


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
    bench: RealService, rules: dict[int, bool], parents: tuple[int, ...], is_open: bool
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


async def test_a_refusal_in_a_closed_channel_names_the_open_ones(bench: RealService) -> None:
    await bench.service.guilds.set_channel(ADMIN, 999, True)
    with pytest.raises(WrongChannel, match="<#999>"):
        await bench.imagine()


async def test_styles_are_the_servers_and_the_hosts(bench: RealService) -> None:
    words = bench.service.words
    words.host_styles = {"Ink": "black ink", "oil": "an oil painting"}
    added = await words.add_style(ADMIN, "ink ", "  blue   ink:0.5 ")
    assert (added.name, added.text) == ("ink", "blue ink:0.5")
    assert [(style.name, style.own) for style in await words.styles(GUILD)] == [("ink", True), ("oil", False)]
    spec = JobSpec(prompt="an apple", settings=QUICK, style="INK")
    assert (await bench.service.submissions.submit(requester(), spec)).job.prompt == "an apple | blue ink:0.5"
    await words.remove_style(ADMIN, "INK")
    assert (await words.style(GUILD, "ink")).text == "black ink"
    with pytest.raises(NotFound, match="belongs to the host of this bot"):
        await words.remove_style(ADMIN, "ink")
    with pytest.raises(NotFound):
        await bench.service.submissions.submit(requester(), JobSpec(prompt="an apple", style="nothing"))


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
async def test_a_style_that_cannot_be_is_refused(bench: RealService, name: str, text: str) -> None:
    with pytest.raises(InvalidJobSpec):
        await bench.service.words.add_style(ADMIN, name, text)


async def test_the_blocklist_says_which_rule_hit_wherever_the_word_stands(bench: RealService) -> None:
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
            await bench.service.submissions.submit(requester(), spec)
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


async def test_a_word_that_was_forbidden_later_holds_for_whatever_goes_on_from_a_picture(bench: RealService) -> None:
    job = await bench.post((await bench.imagine("a bad word")).id)
    file = (await bench.service.archive.file(requester(), job.id, 1, limit_bytes=10**7)).data
    await bench.service.words.add_block(ADMIN, "bad word")
    for change in (FollowUp(kind=Origin.AGAIN), FollowUp(kind=Origin.REMIX, prompt="a good word")):
        with pytest.raises(Blocked, match="bad word"):
            await bench.service.submissions.go_on(requester(), job.id, 1, change)
    with pytest.raises(Blocked, match="bad word"):
        await bench.service.submissions.again_from_file(requester(), file)
    await bench.service.words.remove_block(ADMIN, "bad word")
    with pytest.raises(InvalidJobSpec):
        await bench.service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.AGAIN, count=9))


async def test_safety_and_the_channel_for_reports(bench: RealService) -> None:
    guilds = bench.service.guilds
    assert await guilds.safety(GUILD) == (Safety.SPOILER, None)
    assert await guilds.set_safety(ADMIN, mode=Safety.REFUSE, report_channel_id=4) == (Safety.REFUSE, 4)
    assert await guilds.set_safety(ADMIN, report_channel_id=0) == (Safety.REFUSE, None)


async def test_retention_is_never_longer_than_the_hosts(bench: RealService) -> None:
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


async def test_statistics_add_up(bench: RealService) -> None:
    await bench.post((await bench.imagine()).id)
    await bench.post((await bench.imagine(who=requester(guild_id=7))).id)
    here = await bench.service.guilds.statistics(GUILD)
    everywhere = await bench.service.guilds.statistics(None, days=10**6)
    assert (here.pictures, everywhere.pictures, everywhere.days) == (1, 2, 366)
    assert here.waited_most_s >= here.waited_mean_s >= 0
    assert here.paint_s > 0


def test_the_server_goes_before_the_host_and_roles_before_the_server() -> None:
    limits = effective_limits(Limits(), {"steps": 100, "count": 2}, [{"steps": 200}, {"steps": 50}], CAPS)
    assert (limits.steps, limits.count, limits.size_px) == (200, 2, Limits().size_px)


def test_a_role_can_have_less_than_the_server() -> None:
    assert effective_limits(Limits(), {"steps": 100}, [{"steps": 50}], CAPS).steps == 50


def test_of_several_roles_the_best_holds_whatever_best_means() -> None:
    roles = [{"cooldown_s": 60, "daily": 10, "priority": 1}, {"cooldown_s": 5, "daily": 0, "priority": 3}]
    limits = effective_limits(Limits(), {}, roles, Caps())
    assert (limits.cooldown_s, limits.daily, limits.priority) == (5, 0, 3)


def test_a_cap_that_was_lowered_later_still_holds() -> None:
    assert effective_limits(Limits(), {"steps": 4000, "daily": 0}, [], CAPS).steps == 1000
    assert effective_limits(Limits(), {"daily": 0}, [], CAPS).daily == 50


@pytest.mark.parametrize(("name", "value"), [("steps", 1000), ("daily", 50), ("cooldown_s", 86_400), ("priority", 9)])
def test_an_admin_may_go_up_to_the_cap(name: str, value: int) -> None:
    check_limit(name, value, CAPS)


def test_a_value_that_cannot_be_is_answered_with_what_the_host_allows() -> None:
    with pytest.raises(InvalidJobSpec, match="from 1 to 1000"):
        check_limit("steps", 0, CAPS)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("steps", 1001, OverLimit),
        ("daily", 0, OverLimit),
        ("steps", 0, InvalidJobSpec),
        ("steps", 10**9, InvalidJobSpec),
        ("priority", 10, InvalidJobSpec),
        ("colour", 1, InvalidJobSpec),
        ("__class__", 1, InvalidJobSpec),
    ],
)
def test_beyond_it_there_is_a_sentence(name: str, value: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        check_limit(name, value, CAPS)


class HeldTable(GuildTable):
    """Returns the rules that it has read only when a test allows it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.was_read, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def rules(self, guild_id: int) -> tuple[str, ...]:
        found = await super().rules(guild_id)
        self.was_read.set()
        await self.may_go_on.wait()
        return found


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "reverie.db")
    await database.open()
    yield database
    await database.close()


async def test_a_record_read_while_a_change_is_written_is_not_kept(database: Database) -> None:
    table = HeldTable(database)
    records = GuildRecords(table)
    reading = asyncio.create_task(records.of(GUILD))
    await table.was_read.wait()
    async with records.changing(ADMIN) as writable:
        await writable.add_rule(GUILD, "cat")
    table.may_go_on.set()
    await reading
    assert (await records.of(GUILD)).rules == ("cat",)


async def test_a_change_that_breaks_off_halfway_is_read_as_far_as_it_was_written(database: Database) -> None:
    records = GuildRecords(GuildTable(database))
    assert (await records.of(GUILD)).settings == {}
    with pytest.raises(ZeroDivisionError):
        async with records.changing(ADMIN) as table:
            await table.put_setting(GUILD, "steps", "9")
            raise ZeroDivisionError
    assert (await records.of(GUILD)).settings == {"steps": "9"}


async def test_a_record_is_read_once_and_forgotten_with_its_server(database: Database) -> None:
    records = GuildRecords(GuildTable(database))
    async with records.changing(ADMIN) as table:
        await table.add_rule(GUILD, "cat")
    known = await records.of(GUILD)
    assert known is await records.of(GUILD)
    await records.forget(GUILD)
    assert (await records.of(GUILD)).rules == ()
