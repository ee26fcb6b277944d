"""Access to jobs: every button and command, tried by every kind of person, on public and private jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import Config
from bot.frontend.components.buttons import ACTIONS
from bot.frontend.messages.job_buttons import JobButton
from bot.jobs import JobState
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake import Channel, Interaction, Member
from tests.faults.conftest import HOST
from tests.faults.reach import forge, outcome
from tests.faults.steps import in_short_steps

PUBLIC, PRIVATE = 1, 2
MAKES = {"again", "vary", "continue", "creative", "subtle", "film"}
LOOKS = {"upscale", "show", "timelapse", "recipe", "settings", "heart", "more", "fetch"}
FORMS = {"keep", "remix", "report"}
STOPS = {"cancel", "finish"}
DELETES = {"delete", "erase"}
OUTSIDERS = ("eve", "root", "host", "ann elsewhere")


class Cast:
    """Two servers: Ann's, where she has a public and a private picture, and another."""

    def __init__(self, live: ClientOnLoopback) -> None:
        self.live, fake = live, live.fake
        self.elsewhere: Channel = fake.world.add_guild("Elsewhere").add_channel("pictures")
        other = self.elsewhere.guild
        host = Member(other, HOST, "host")
        twin = Member(other, live.ann.id, "ann")
        other.members += [host, twin]
        self.people = {
            "ann": live.ann, "bob": live.guild.add_member("bob"), "admin": live.admin,
            "eve": other.add_member("eve"), "root": other.add_member("root", manages=True), "host": host,
            "ann elsewhere": twin,
        }  # fmt: skip

    async def press(self, who: str, custom_id: str) -> Interaction:
        """Press a button as one of these people, with any custom id."""
        member = self.people[who]
        return await forge(self.live, member, self.channel(who), custom_id)

    def channel(self, who: str) -> Channel:
        """The channel that this person is in."""
        return self.elsewhere if who in OUTSIDERS else self.live.channel

    def rows(self) -> list[tuple[object, ...]]:
        """The two jobs as they are in the database."""
        with sqlite3.connect(self.live.folder / "reverie.db") as db:
            found = db.execute("SELECT * FROM jobs WHERE id <= 2 ORDER BY id").fetchall()
        db.close()
        return found

    def jobs(self) -> int:
        """Number of jobs in the database."""
        with sqlite3.connect(self.live.folder / "reverie.db") as db:
            (count,) = db.execute("SELECT count(*) FROM jobs").fetchone()
        db.close()
        return int(count)


@pytest_asyncio.fixture
async def cast(tmp_path: Path, config: Config) -> AsyncIterator[Cast]:
    config = replace(config, upscaler="net.pth")
    async with on_a_fake(ClientOnLoopback, tmp_path, config, started=False) as live:
        cast = Cast(live)
        await live.start()
        for job_id, private in ((PUBLIC, False), (PRIVATE, True)):
            await live.imagine(f"picture {job_id}", private=private, timelapse=True)
            await live.ended(job_id)
        yield cast


def expected(who: str, action: str, job_id: int) -> str:
    """The outcome required by the rules."""
    if who in OUTSIDERS:
        return "unknown"
    if action in STOPS:
        return "not theirs" if who == "bob" else "not now"
    if action in DELETES:
        return "not theirs" if who == "bob" else "done"
    if job_id == PRIVATE and who != "ann":
        return "unknown"
    return "form" if action in FORMS else "done"


def test_every_button_has_a_rule() -> None:
    assert set(ACTIONS) == MAKES | LOOKS | FORMS | STOPS | DELETES


@pytest.mark.parametrize("who", ["bob", "admin", *OUTSIDERS, "ann"])
async def test_every_button_does_what_it_may_for_each_person(cast: Cast, who: str) -> None:
    before, table = cast.rows(), {}
    for action in sorted(ACTIONS, key=lambda name: name == "erase"):
        for job_id in (PUBLIC, PRIVATE):
            sent = await cast.press(who, f"reverie:{action}:{job_id}:1")
            found = await outcome(sent)
            table[action, job_id] = (found, expected(who, action, job_id))
            if action != "erase":
                assert cast.rows() == before, action
    assert {key: value for key, value in table.items() if value[0] != value[1]} == {}
    kept = 0 if who in ("ann", "admin") else 2
    made = len(MAKES) * (2 if who == "ann" else 1 if who in ("bob", "admin") else 0)
    await cast.live.fake.until(lambda: len(cast.rows()) <= kept and cast.jobs() >= kept + made)
    assert (len(cast.rows()), cast.jobs()) == (kept, kept + made)


@pytest.mark.parametrize("who", OUTSIDERS)
async def test_no_command_reaches_a_job_of_another_server(cast: Cast, who: str) -> None:
    before = cast.rows()
    for name in ("recipe", "cancel"):
        for job_id in (PUBLIC, PRIVATE):
            sent = await cast.live.fake.type_command(cast.channel(who), cast.people[who], name, job=job_id)
            assert await outcome(await sent.answered()) == "unknown"
    gallery = await cast.live.fake.type_command(cast.channel(who), cast.people[who], "gallery", whose="server")
    await gallery.answered()
    seen = gallery.text + "".join(item.said() for item in gallery.followups)
    assert "picture 1" not in seen and "picture 2" not in seen
    opened = await forge(cast.live, cast.people[who], cast.channel(who), "reverie-open", values=["1:1"])
    assert await outcome(opened) == "unknown"
    assert cast.rows() == before


@pytest.mark.parametrize("who", ["bob", "eve", "host", "ann elsewhere"])
async def test_only_admins_can_use_admin_commands(cast: Cast, who: str) -> None:
    commands: dict[str, dict[str, object]] = {
        "pause": {}, "resume": {}, "clear": {}, "limits set": {"name": "steps", "value": 1},
        "limits reset": {"name": "steps"}, "reports": {}, "server": {}, "people list": {},
        "blocklist list": {}, "blocklist add": {"rule": "a"}, "blocklist remove": {"rule": "a"},
        "safety set": {"mode": "off"}, "retention": {"days": 1}, "styles add": {"name": "x", "text": "y"},
        "styles remove": {"name": "x"}, "webgallery show": {}, "webgallery make": {}, "webgallery revoke": {},
    }  # fmt: skip
    for name, options in commands.items():
        sent = await cast.live.fake.type_command(cast.channel(who), cast.people[who], name, **options)
        assert await outcome(await sent.answered()) == "not theirs", name
    status = await cast.live.fake.type_command(cast.channel(who), cast.people[who], "host status")
    assert await outcome(await status.answered()) == ("done" if who == "host" else "not theirs")


@pytest.mark.parametrize("who", ["admin", "root"])
async def test_an_admin_decides_for_one_server_only(cast: Cast, who: str) -> None:
    await (await cast.live.fake.type_command(cast.channel(who), cast.people[who], "pause")).answered()
    paused = cast.live.client.service.guilds.paused
    assert await paused(cast.live.guild.id) == (who == "admin")
    assert await paused(cast.elsewhere.guild.id) == (who == "root")


ODD = [
    "reverie:cancel:0:1", "reverie:cancel:999999999999999999:1", "reverie:show:999999999999999999:9",
    "reverie:vary:1:0", "reverie:vary:1:9", "reverie:recipe:1:0", "reverie:timelapse:1:9", "reverie:nonsense:1:1",
    "reverie:show:\u0661:\u0661", "reverie-gallery:server:999999999", "reverie-gallery:mine:0", *(
        f"{name}:{value}"
        for name in ("reverie-sure:clear", "reverie-sure:retention", "reverie-sure:person", "reverie-case:yesperson",
                     "reverie-case:keep", "reverie-case:word", "reverie-case:yesdelete", "reverie-cases")
        for value in ("0", "1", "999999999")
    ),
    "reverie-sure:person:8999999999999999999", "reverie-sure:rule:0123456789abcdef",
    "reverie-case:hide:999999999999999999",
    *(f"reverie-server:{what}" for what in ("pause", "resume", "retention", "word", "inbox", "refresh")),
]  # fmt: skip
SILENT = [
    "", "reverie", "reverie:", "reverie:show:1", "reverie:show:1:1:1", "reverie:show:-1:1", "reverie:show:1:10",
    "reverie:show:1; DROP TABLE jobs:1", "reverie:show:../../etc/passwd:1", "reverie:SHOW:1:1",
    "reverie:show:9999999999999999999:1", "reverie-gallery:others:1",
    "reverie-sure:person:abc", "reverie-sure:rule:12", "reverie-sure:person:9999999999999999999",
    "reverie-case:yeskeep:1", "reverie-server:nothing", "\ud800", "reverie:show:1:1\n", "x" * 100,
]  # fmt: skip


async def test_odd_custom_ids_end_in_a_sentence_or_in_nothing(cast: Cast) -> None:
    before = cast.rows()
    for custom_id in ODD:
        sent = await in_short_steps(cast.press("bob", custom_id))
        assert sent.callback is not None, custom_id
        assert "Something went wrong" not in sent.text, custom_id
    for custom_id in SILENT:
        sent = await forge(cast.live, cast.people["bob"], cast.live.channel, custom_id, wait_s=0.05)
        assert "Something went wrong" not in sent.text, custom_id
    for values in ([], ["1"], ["1:1:1"], ["a:b"], ["999999999999999999:9"], ["2:1"], ["../1:1"]):
        sent = await forge(cast.live, cast.people["bob"], cast.live.channel, "reverie-open", values=values)
        assert await outcome(sent) == "unknown", values
    assert cast.rows() == before
    answer = await cast.live.imagine("still there")
    assert answer.message is not None
    await cast.live.ended(3, JobState.DONE)


@given(st.text(max_size=100) | st.from_regex(r"reverie:[a-z]{1,14}:\d{0,20}:\d{0,2}", fullmatch=True))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_a_custom_id_has_valid_numbers_or_is_ignored(custom_id: str) -> None:
    found = JobButton.__discord_ui_compiled_template__.fullmatch(custom_id)
    if found is not None:
        assert 0 <= int(found["job"]) < 2**63 and 0 <= int(found["number"]) <= 9
