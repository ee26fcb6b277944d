"""The local preview's server: the same client, and what the page asks of it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import aiohttp
import discord
import pytest

from bot.config import Config, Discord, Timing
from bot.errors import ConfigError
from bot.frontend.client import Reverie
from bot.frontend.preview import world
from bot.frontend.preview.server import listen, staged
from bot.jobs import own_place
from bot.service import Requester
from bot.waiting import ExternalWait
from bot.wiring import build
from docs.strips import EXAMPLES
from tests.bot.fake_dream import FakeDreamer
from tests.bot.frontend.client_in_simcord import SETTINGS
from tests.discord_fake.components import media, walk
from tests.discord_fake.world import said as texts_of

PATIENCE_S = 30.0
REQUESTER = Requester(guild_id=world.GUILD_ID, channel_id=1, user_id=1)


@dataclass
class Visitor:
    """A browser without a screen: it acts, and reads the channel."""

    session: aiohttp.ClientSession
    url: str
    server: dict[str, Any]
    clients: list[Reverie]

    @property
    def client(self) -> Reverie:
        return self.clients[-1]

    def person(self, name: str) -> str:
        return next(one["id"] for one in self.server["people"] if one["name"] == name)

    async def act(self, kind: str, who: str = "you", **action: object) -> dict[str, Any]:
        body = {"kind": kind, "as": self.person(who), **action}
        headers = {"Origin": self.url.rstrip("/")}
        async with self.session.post(f"{self.url}act", json=body, headers=headers) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def slash(self, name: str, who: str = "you", channel: str = "", **options: object) -> dict[str, Any]:
        return await self.act("slash", who, name=name, options=options, channel=channel)

    async def commands(self, who: str, channel: str) -> dict[str, Any]:
        place = {"as": self.person(who), "channel": channel}
        async with self.session.get(f"{self.url}commands", params=place) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def all_done(self, who: str = "you", channel: str = "") -> list[dict[str, Any]]:
        """All messages of a channel, as soon as there is one and each shows a finished picture."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = await self.messages(who, channel)
            if found and all(said(message).startswith("**Done**") for message in found):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError([said(message) for message in await self.messages(who, channel)])

    async def messages(self, who: str = "you", channel: str = "") -> list[dict[str, Any]]:
        return (await first_event(self.session, self.url, self.person(who), channel))["messages"]

    async def sees(self, fits: Callable[[dict[str, Any]], bool], who: str = "you") -> dict[str, Any]:
        """The message that fits, as soon as it is there."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for message in await self.messages(who):
                if fits(message):
                    return message
            await asyncio.sleep(0.1)
        raise AssertionError([said(message) for message in await self.messages(who)])


def said(message: dict[str, Any]) -> str:
    """All texts of a message."""
    return texts_of(message["content"], message["embeds"], message["components"])


def ids_in(message: dict[str, Any]) -> list[str]:
    """The buttons of a message."""
    return [item["custom_id"] for item in walk(message["components"]) if "custom_id" in item]


async def first_event(session: aiohttp.ClientSession, url: str, who: str = "", channel: str = "") -> dict[str, Any]:
    async with session.get(f"{url}events", params={"as": who, "channel": channel}) as response:
        line = await response.content.readline()
        found: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
        return found


@asynccontextmanager
async def visiting(folder: Path, config: Config, engine: FakeDreamer | None = None) -> AsyncIterator[Visitor]:
    clients: list[Reverie] = []

    def built(wait: ExternalWait) -> Reverie:
        made = build(config, folder, engine or FakeDreamer(), SETTINGS, external_wait=wait, shard_count=1)
        clients.append(made)
        return made

    async with staged(built, listen(0)) as page, aiohttp.ClientSession(read_bufsize=2**22) as session:
        yield Visitor(session, page.url, (await first_event(session, page.url))["server"], clients)


async def test_a_picture_grows_in_its_message_while_nobody_acts(tmp_path: Path, config: Config) -> None:
    config = replace(config, timing=Timing(preview_s=0.5, snapshot_s=1.0), discord=Discord(edit_interval_s=1.0))
    engine = FakeDreamer(step_s=0.02)
    engine.hold(150)
    async with visiting(tmp_path, config, engine) as visitor:
        assert await visitor.slash("imagine", prompt="a red apple", steps="300") == {"state": "done"}
        await visitor.sees(lambda message: "` step " in said(message) and bool(message["attachments"]))
        engine.open.set()
        done = await visitor.sees(lambda message: said(message).startswith("**Done**"))
        assert media(done["components"]) == [done["attachments"][0]["url"]]
        path = done["attachments"][0]["url"].removeprefix("https://cdn.simcord.invalid/")
        async with visitor.session.get(f"{visitor.url}files/{path}") as response:
            assert (response.content_type, (await response.read())[1:4]) == ("image/png", b"PNG")


async def test_it_begins_without_a_warning(tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture) -> None:
    async with visiting(tmp_path, config):
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_first_message_shows_four_pictures_whose_buttons_work(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        (welcome,) = await visitor.messages()
        assert len(said(welcome).split("\n")) == 3
        described = [item["description"] for item in welcome["attachments"]]
        assert described == [f"AI-generated picture for the prompt: {words}" for words in EXAMPLES.values()]
        buttons = ids_in(welcome)
        assert len(buttons) == 8
        for button in (buttons[0], buttons[4]):
            answer = await visitor.act("click", message=welcome["id"], custom_id=button)
            assert answer == {"state": "done"}, button
        await visitor.sees(lambda message: said(message).startswith("**Done**"))


async def test_a_second_start_shows_the_pictures_of_the_first_again(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        await visitor.slash("imagine", prompt="a red apple")
        before = await visitor.sees(lambda message: said(message).startswith("**Done**"))
        await visitor.slash("imagine", prompt="a secret", private=True)
        while await visitor.client.service.store.jobs.under_way():
            await asyncio.sleep(0.05)
    async with visiting(tmp_path, config) as visitor:
        welcome, shown = await visitor.messages()
        assert len(welcome["attachments"]) == 4
        assert said(shown) == said(before) and "a red apple" in said(shown)
        assert ids_in(shown) == ids_in(before)
        answer = await visitor.act("click", message=shown["id"], custom_id=ids_in(shown)[0])
        assert answer == {"state": "done"}
        await visitor.sees(lambda message: said(message).startswith("**Done**") and message["id"] != shown["id"])


async def test_a_picture_that_was_interrupted_grows_on_in_the_page(tmp_path: Path, config: Config) -> None:
    config = replace(config, timing=Timing(preview_s=0.2, snapshot_s=1.0), discord=Discord(edit_interval_s=1.0))

    def grows(message: dict[str, Any]) -> bool:
        return "` step " in said(message)

    first, second = FakeDreamer(step_s=0.02), FakeDreamer(step_s=0.02)
    first.hold(100)
    async with visiting(tmp_path, config, first) as visitor:
        await visitor.slash("imagine", prompt="a red apple", steps="200")
        await visitor.sees(grows)
        (before,) = await visitor.client.service.store.jobs.under_way()
        await visitor.client.service.store.jobs.change(before.id, created_at=time.time() - 60)
        service = visitor.client.service
        await first.let_go(service.drain(), lambda: service.submissions.closed)
    second.hold(150)
    async with visiting(tmp_path, config, second) as visitor:
        shown = await visitor.sees(grows)
        second.open.set()
        await visitor.sees(lambda message: said(message).startswith("**Done**") and message["id"] == shown["id"])
        assert (await visitor.client.service.archive.job(REQUESTER, before.id)).message_id == int(shown["id"])


async def test_direct_messages_are_their_owners_and_marked_until_they_are_read(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        friend = visitor.person("friend")
        assert visitor.server["direct"] is None
        await (await visitor.client.create_dm(discord.Object(int(friend)))).send("The picture was deleted.")
        direct = (await first_event(visitor.session, visitor.url, friend))["server"]["direct"]
        assert (direct["name"], direct["unread"]) == ("Reverie", True)
        read = await first_event(visitor.session, visitor.url, friend, direct["id"])
        assert [message["content"] for message in read["messages"]] == ["The picture was deleted."]
        assert read["server"]["direct"]["unread"] is False
        stranger = await first_event(visitor.session, visitor.url, visitor.person("you"), direct["id"])
        assert stranger["server"]["direct"] is None
        assert stranger["channel"] == stranger["server"]["channels"][0]["id"]


async def test_a_channel_that_is_set_is_chosen_in_the_menu(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        admins = (await first_event(visitor.session, visitor.url, visitor.person("admin")))["server"]
        reports = next(one["id"] for one in admins["channels"] if one["name"] == "reports")
        await visitor.slash("safety set", "admin", report_channel=reports)
        await visitor.slash("server", "admin")
        components = (await visitor.messages("admin"))[-1]["components"]
        menus = [item for row in components for item in row["components"] if item["type"] == 8]
        assert menus[0]["default_values"] == [{"id": reports, "type": "channel"}]


async def test_people_act_at_the_same_time(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config, FakeDreamer(step_s=0.05)) as visitor:
        people = [one["name"] for one in visitor.server["people"]]
        assert people == ["you", "friend", "admin", "host"]
        answers = await asyncio.gather(
            *(visitor.slash("imagine", name, prompt=f"a picture for {name}") for name in people for _ in range(3)),
            visitor.slash("queue"),
            visitor.slash("host status", "host"),
        )
        assert answers == [{"state": "done"}] * len(answers)


async def test_the_hosts_commands_work_for_the_host_only(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        assert await visitor.slash("host status", "host") == {"state": "done"}
        answer = (await visitor.messages("host"))[-1]
        assert answer["flags"] & 64
        assert re.search(r"up \d\d? s", answer["content"])
        assert await visitor.slash("host status", "you") == {"state": "refused"}
        assert answer["id"] not in [message["id"] for message in await visitor.messages("you")]


async def test_a_form_is_shown_and_submitted(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        (welcome,) = await visitor.messages()
        answer = await visitor.act("menu", name="Imagine like this", message=welcome["id"])
        assert answer["state"] == "form"
        fields = [item["component"]["custom_id"] for item in answer["modal"]["components"]]
        values = {fields[0]: "a green boat"}
        sent = await visitor.act("submit", form=answer["form"], values=values | {fields[1]: [_first_value(answer)]})
        assert sent == {"state": "done"}
        await visitor.sees(lambda message: "a green boat" in said(message))


def _first_value(answer: dict[str, Any]) -> str:
    return str(answer["modal"]["components"][1]["component"]["options"][0]["value"])


async def test_choices_are_completed_while_typing(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        typed = {"prompt": "a cat", "steps": "12x"}
        answer = await visitor.act("complete", name="imagine", option="size", value="51", options=typed)
        assert answer["state"] == "choices"
        assert any(choice["value"].startswith("51") for choice in answer["choices"])


async def test_an_answer_that_does_not_come_in_time_is_late(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        fault = {"method": "POST", "path": "/interactions/*", "status": 500, "code": 0, "message": "", "times": None}
        visitor.client.http.backend.faults.append(fault)  # type: ignore[attr-defined]  # simcord's
        answer = await visitor.slash("about")
        assert answer == {"state": "late"}


async def test_a_file_is_attached_to_a_command(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        (welcome,) = await visitor.messages()
        path = welcome["attachments"][0]["url"].removeprefix("https://cdn.simcord.invalid/")
        async with visitor.session.get(f"{visitor.url}files/{path}") as response:
            picture = await response.read()
        form = aiohttp.FormData()
        form.add_field(
            "action", json.dumps({"kind": "slash", "as": visitor.person("you"), "name": "again", "options": {}})
        )
        form.add_field("file", picture, filename="boat.png")
        async with visitor.session.post(
            f"{visitor.url}act", data=form, headers={"Origin": visitor.url[:-1]}
        ) as response:
            assert await response.json() == {"state": "done"}
        await visitor.sees(lambda message: said(message).startswith("**Done**"))


async def test_dismissed_answers_are_gone_for_their_owner(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        await visitor.slash("about")
        answer = (await visitor.messages())[-1]
        body = {"as": visitor.person("you"), "message": answer["id"]}
        await visitor.session.post(f"{visitor.url}dismiss", json=body, headers={"Origin": visitor.url[:-1]})
        assert answer["id"] not in [message["id"] for message in await visitor.messages()]


async def test_other_sites_and_other_host_names_are_refused(tmp_path: Path, config: Config) -> None:
    async with visiting(tmp_path, config) as visitor:
        body = {"kind": "slash", "as": visitor.person("host"), "name": "host drain", "options": {}}
        for headers in ({}, {"Origin": "https://example.org"}, {"Origin": "null"}):
            async with visitor.session.post(f"{visitor.url}act", json=body, headers=headers) as response:
                assert response.status == 403
        async with visitor.session.get(visitor.url, headers={"Host": "example.org"}) as response:
            assert response.status == 403
        async with visitor.session.get(visitor.url) as response:
            assert response.status == 200
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        for path in ("static/..%2fserver.py", "static/nothing.js", "files/attachments/1/2/x.png"):
            async with visitor.session.get(f"{visitor.url}{path}") as response:
                assert response.status == 404


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "slash", "name": "imagine", "options": {"prompt": "a cat", "steps": "many"}},
        {"kind": "slash", "name": "imagine", "options": {}},
        {"kind": "slash", "name": "nothing", "options": {}},
        {"kind": "slash", "name": "limits show", "options": {}},
        {"kind": "click", "message": "1", "custom_id": "x"},
        {"kind": "select", "message": "x", "custom_id": "x", "values": []},
        {"kind": "submit", "form": "7", "values": {}},
        {"kind": "submit", "form": "7"},
        {"kind": "other"},
        {},
    ],
)
async def test_what_discord_would_not_send_is_refused(tmp_path: Path, config: Config, action: dict[str, Any]) -> None:
    async with visiting(tmp_path, config) as visitor:
        assert await visitor.act(str(action.get("kind", "")), **{k: v for k, v in action.items() if k != "kind"}) == {
            "state": "refused"
        }


def test_a_port_in_use_is_told_in_words() -> None:
    with listen(0) as listener, pytest.raises(ConfigError, match="already in use"):
        listen(listener.getsockname()[1])


@pytest.mark.parametrize("year", [1971, 2004, 2300])
async def test_pictures_are_generated_with_a_clock_that_is_wrong_by_years(
    year: int, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift_s = datetime(year, 1, 1, tzinfo=UTC).timestamp() - time.time()

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=shift_s)

    monkeypatch.setattr(world, "datetime", Wrong)
    async with visiting(tmp_path, config) as visitor:
        await visitor.slash("imagine", prompt="a red apple")
        await visitor.sees(lambda message: said(message).startswith("**Done**"))


async def test_who_installed_the_bot_paints_in_direct_messages(tmp_path: Path, config: Config) -> None:
    config = replace(config, install="everybody")
    async with visiting(tmp_path, config) as visitor:
        direct = visitor.server["direct"]["id"]
        with_fox = {"name": "imagine", "options": {"prompt": "a fox"}}
        assert await visitor.act("slash", channel=direct, **with_fox) == {"state": "done"}
        (done,) = await visitor.all_done(channel=direct)
        for button in ("reverie:vary:5:1", "reverie:recipe:5:1"):
            assert button in ids_in(done)
            assert await visitor.act("click", channel=direct, message=done["id"], custom_id=button) == {"state": "done"}
        form = await visitor.act("menu", channel=direct, name="Imagine like this", message=done["id"])
        assert form["state"] == "form"
        choices = await visitor.act("complete", channel=direct, name="imagine", option="size", value="51")
        assert choices["state"] == "choices"
        varied = await visitor.client.service.store.jobs.get(6)
        assert varied is not None and varied.guild_id == own_place(int(visitor.person("you")))
        assert "a fox" not in "".join(map(said, await visitor.messages("friend", direct)))
        assert (await visitor.slash("vote", channel=direct, prompt="a fox"))["state"] == "refused"
    async with visiting(tmp_path, config) as visitor:
        shown = await visitor.messages(channel=direct)
        assert "a fox" in said(shown[0]) and ids_in(shown[0]) == ids_in(done)


async def test_who_installed_the_bot_paints_in_a_server_without_it(tmp_path: Path, config: Config) -> None:
    config = replace(config, install="everybody")
    async with visiting(tmp_path, config) as visitor:
        room, silent = (one["id"] for one in visitor.server["elsewhere"]["channels"])
        assert list(visitor.client.guilds) == [visitor.client.get_guild(world.GUILD_ID)]
        assert await visitor.slash("imagine", channel=room, prompt="a fox") == {"state": "done"}
        (done,) = await visitor.all_done(channel=room)
        assert said((await visitor.messages("friend", room))[0]) == said(done)
        button = {"message": done["id"], "custom_id": "reverie:vary:5:1", "channel": room}
        await visitor.act("click", "friend", **button)
        assert "person who installed me" in said((await visitor.messages("friend", room))[-1])
        assert (await visitor.slash("imagine", "friend", channel=room, prompt="an owl"))["state"] == "refused"
        assert (await visitor.commands("friend", room))["commands"] == []
        names = {item["name"] for item in (await visitor.commands("you", room))["commands"]}
        assert {"imagine", "blend", "describe", "preset use"} < names and not {"vote", "limits set"} & names
        assert await visitor.slash("imagine", channel=silent, prompt="a secret") == {"state": "done"}
        await visitor.all_done(channel=silent)
        assert not await visitor.messages("friend", silent)
        friend = (await first_event(visitor.session, visitor.url, visitor.person("friend")))["server"]
        assert [one["unread"] for one in friend["elsewhere"]["channels"]] == [False, False]
        admin = (await first_event(visitor.session, visitor.url, visitor.person("admin")))["server"]
        assert admin["elsewhere"] is None and admin["direct"] is not None


async def test_a_picture_later_than_fifteen_minutes_comes_as_a_direct_message(tmp_path: Path, config: Config) -> None:
    config = replace(config, install="everybody")
    engine = FakeDreamer()
    engine.open.clear()
    async with visiting(tmp_path, config, engine) as visitor:
        room, direct = visitor.server["elsewhere"]["channels"][0]["id"], visitor.server["direct"]["id"]
        await visitor.slash("imagine", channel=room, prompt="a fox")
        (message,) = await visitor.messages(channel=room)
        backend = visitor.client.http.backend  # type: ignore[attr-defined]  # simcord's
        for interaction in backend.interactions.values():
            interaction.expires_at = backend.now_iso()
        engine.open.set()
        (sent,) = await visitor.all_done(channel=direct)
        assert sent["attachments"] and not (await visitor.messages(channel=room))[0]["attachments"]
        fetch = next(item for item in ids_in(message) if item.startswith("reverie:fetch"))
        await visitor.act("click", channel=room, message=message["id"], custom_id=fetch)
        (fetched,) = await visitor.all_done(channel=room)
        assert fetched["id"] == message["id"] and fetched["attachments"]
