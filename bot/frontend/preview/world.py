"""The simulated Discord of the preview: a server with channels and people, on the real clock. Event loop.

simcord waits after each action until the bot is idle, and allows one action at a time. Here the bot works while people
act, as on Discord; therefore `World` overrides simcord's wait. Some private names of simcord are used, for lack of
public ones; it is pinned, and the tests that drive the page fail if a name is gone.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from typing import Any, TypeVar

import discord
import simcord
from simcord._clock import Clock
from simcord._settlement import _active_callbacks, _run_due_virtual_callbacks
from simcord.backend import Backend
from simcord.backend.access import channel_accessible
from simcord.backend.models import Interaction, Message
from simcord.enums import AppCommandType, InteractionType

from bot.waiting import FOR_A_TIME

RESPONSE_S = 3.0
"""Discord's time limit for the first answer to an interaction."""
TICK_S = 0.02
TURN_S = 0.1
"""Interval at which simcord's own timers are run, and changes are looked for."""
BUSY_S = 60.0
LAST = datetime(2080, 1, 1, tzinfo=UTC)
GUILD_ID = 1_000_000_000_000_000_001
"""Constant, so that the server's gallery and settings persist."""
ELSEWHERE_ID = GUILD_ID + 1
"""The server that the bot is not in."""
BY_USER = 1
"""Discord's number for an app that a person installed; 0 is a server's."""
KEPT_FILES = 400
"""Number of files of replaced messages that stay available for pages that still show them."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class RealClock(Clock):
    """simcord's clock, on the real time. simcord lets the bot read `elapsed` as `time.monotonic`.

    Ids derive from the time, and those before Discord's first year or after LAST are no ids that a database can hold.
    So a clock that is wrong by years is not believed at the start, and the time is counted on from there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start, self._began_s = max(self._epoch, min(datetime.now(UTC), LAST)), monotonic()

    @property
    def elapsed(self) -> float:
        """The real `time.monotonic`."""
        return monotonic()

    @elapsed.setter
    def elapsed(self, value: float) -> None:
        pass

    def now(self) -> datetime:
        """The real time."""
        return self._start + timedelta(seconds=monotonic() - self._began_s)


class Discord(Backend):
    """Discord's side, which simcord knows with servers of the bot only: the bot hears nothing of `outside` servers.

    There the commands are those of people who installed the bot for themselves, `installed`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outside: set[int] = set()
        self.installed: set[int] = set()

    def emit(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tell the bot of an event; of an interaction with the one who installed it."""
        key = "id" if event.startswith("GUILD_") and "guild_id" not in payload else "guild_id"
        guild_id = int(payload.get(key) or 0)
        if event == "INTERACTION_CREATE":
            payload = {**payload, "authorizing_integration_owners": self._installed_by(guild_id, payload)}
            if guild_id:
                payload["guild"] = {"id": str(guild_id), "locale": "en-US", "features": []}
        elif guild_id in self.outside:
            self.transcript.append(("DROPPED", event, payload))
            return
        super().emit(event, payload)

    def visible_commands(
        self, *, user_id: int, channel_id: int, type: int = AppCommandType.CHAT_INPUT
    ) -> list[dict[str, Any]]:
        """The commands that a person may use in a channel."""
        found = super().visible_commands(user_id=user_id, channel_id=channel_id, type=type)
        if self.get_channel(channel_id).guild_id not in self.outside:
            return found
        return [
            command
            for command in found
            if user_id in self.installed and BY_USER in (command.get("integration_types") or ())
        ]

    def _installed_by(self, guild_id: int, payload: Mapping[str, Any]) -> dict[str, str]:
        """The server that installed the bot, or the person; below an earlier message the person whose message it is."""
        if guild_id and guild_id not in self.outside:
            return {"0": str(guild_id)}
        person: Mapping[str, Any] = payload.get("user") or payload["member"]["user"]
        if payload["type"] != InteractionType.APPLICATION_COMMAND:
            person = ((payload.get("message") or {}).get("interaction_metadata") or {}).get("user") or person
        return {str(BY_USER): str(person["id"])}


class World(simcord.Env):
    """A simulated Discord in which people act at any time, and the bot answers when it can.

    Attributes:
        revision: grows soon after each change of a message.
    """

    def __init__(self, client: discord.Client) -> None:
        super().__init__(client, check_errors=False, settle_timeout=BUSY_S)
        self.backend: Discord = Discord()
        self.revision = 0
        self._seen: list[Interaction] = []
        self._register_dispatch_observer(self._seen.append)

    async def _settle_internal(self, *, dispatch: str | None = None, **limits: Any) -> None:  # noqa: ANN401 - simcord's
        """Wait until the bot is idle, but not after a person's action (`dispatch`), nor when a timer is due."""
        if "_deadline" in limits:
            self._run_due()
        elif dispatch is None:
            await super()._settle_internal(**limits)

    async def interact(self, act: Callable[[], Awaitable[object]]) -> Interaction:
        """Let a person act by one of simcord's actors; return the interaction that this begins.

        Raises:
            SetupError, BackendError: if Discord would not let the person do it.
        """
        self._seen.clear()
        await act()  # Nothing in it is waited for, so that no other action comes between.
        return self._seen.pop()

    async def answered(self, interaction: Interaction) -> bool:
        """Wait for the bot's first answer; False if it does not come within Discord's limit."""
        end = asyncio.get_running_loop().time() + RESPONSE_S
        while not interaction.responded and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(TICK_S)
        return interaction.responded

    async def run_timers(self) -> None:
        """Run the bot's timers that simcord stops while nobody acts, and forget its own records, for ever."""
        while True:
            await asyncio.sleep(TURN_S)
            self._run_due()
            advance = self._real_advance_task
            if advance is not None and advance.done():
                self._real_advance_task = None
                if not advance.cancelled() and (error := advance.exception()) is not None:
                    # One timer's error must not stop the others.
                    _log.error("a timer of the bot failed", exc_info=error)
            if self.backend.transcript:
                self.revision += 1
                self._forget()

    def _run_due(self) -> None:
        """Run the bot's timers that are due. simcord's wait for an idle bot does so too, but looks at all tasks."""
        now = self._settlement_state()
        _active_callbacks(now)  # This forgets the cancelled ones.
        _run_due_virtual_callbacks(now, inf)

    def _forget(self) -> None:
        """Drop simcord's logs, and files that no message has shown for some time."""
        self.backend.transcript.clear()
        self.backend.http_requests.clear()
        files = self.backend.cdn._blobs
        if len(files) > 2 * KEPT_FILES:
            shown = {
                file["url"]
                for channel in self.backend.messages.values()
                for message in channel.values()
                for file in message.attachments
            }
            for url in list(files)[:-KEPT_FILES]:
                if url not in shown:
                    del files[url]


class Waits:
    """Register the bot's waits with simcord; timed waits follow the real clock."""

    world: World | None = None

    async def __call__(self, awaitable: Awaitable[T], reason: str, /) -> T:
        """The result of `awaitable`."""
        if self.world is None:
            return await awaitable
        if reason == FOR_A_TIME:
            # A separate context hides the task from simcord, which would otherwise wait for its end.
            awaitable = contextvars.Context().run(asyncio.create_task, _result(awaitable))
        result: T = await self.world.external_wait(awaitable, reason=reason)
        return result


@dataclass(frozen=True)
class Person:
    """Somebody in the server whose place the visitor can take."""

    actor: simcord.MemberActor
    role: str
    """Role in the server, in a word."""


@dataclass(frozen=True)
class Scene:
    """The server as the preview furnishes it; the first channel and person are those that the page opens with."""

    world: World
    guild: simcord.GuildHandle
    channels: Mapping[int, simcord.ChannelHandle]
    people: Mapping[int, Person]
    roles: Mapping[int, simcord.RoleHandle]
    host_id: int
    bot_id: int
    elsewhere: Elsewhere | None = None

    def direct(self, person_id: int) -> simcord.ChannelHandle | None:
        """The direct messages between a person and the bot; None before the first, where nobody can paint in them."""
        backend = self.world.backend
        if self.elsewhere is None and not backend.messages.get(backend.dm_channels.get(person_id, 0)):
            return None
        return simcord.ChannelHandle(self.world, None, backend.get_dm_channel(person_id))

    def channels_of(self, person_id: int) -> dict[int, simcord.ChannelHandle]:
        """All channels that a person sees: of both servers, and the direct messages."""
        found = dict(self.channels)
        if self.elsewhere is not None and person_id in self.elsewhere.people:
            found |= self.elsewhere.channels
        direct = self.direct(person_id)
        found |= {} if direct is None else {direct.id: direct}
        backend = self.world.backend
        return {key: one for key, one in found.items() if channel_accessible(backend, key, person_id, history=True)}

    def actor(self, person_id: int, channel_id: int) -> simcord.MemberActor | simcord.UserHandle:
        """The person as a member of the channel's server, or alone with the bot."""
        if self.elsewhere is not None and channel_id in self.elsewhere.channels:
            return self.elsewhere.people[person_id]
        actor = self.people[person_id].actor
        return actor if channel_id in self.channels else actor.user


@dataclass(frozen=True)
class Elsewhere:
    """A server that the bot is not in, and the people of the first one who are members there."""

    guild: simcord.GuildHandle
    channels: Mapping[int, simcord.ChannelHandle]
    people: Mapping[int, simcord.MemberActor]


def furnish(world: World, name: str, elsewhere: str | None = None) -> Scene:
    """Create the server, and another one without the bot if `elsewhere` names it.

    Ids derive from simcord's own clock, which starts afresh: they are the same at every start. Later additions go to
    the end, so that ids in existing databases stay valid.
    """
    world.backend.edit_bot_profile("Reverie")
    guild = world.create_guild(name, id=GUILD_ID)
    bot = simcord.UserHandle(world, world.backend.bot_user)
    # The page shows no threads: many pictures asked for at once come into the channel.
    plain = {bot: discord.PermissionOverwrite(create_public_threads=False)}
    channels = [guild.create_text_channel("pictures", overwrites=plain)]  # type: ignore[arg-type]  # a dict's key is invariant
    you = guild.add_member(world.create_user("you"))
    admins = guild.create_role("admins", permissions=discord.Permissions(manage_guild=True, manage_messages=True))
    admin = guild.add_member(world.create_user("admin"), roles=[admins])
    friend = guild.add_member(world.create_user("friend"))
    hosts = guild.create_role("hosts", permissions=discord.Permissions(administrator=True))
    host = guild.add_member(world.create_user("host"), roles=[hosts])
    channels.append(guild.create_text_channel("lounge", overwrites=plain))  # type: ignore[arg-type]
    seen, unseen = discord.PermissionOverwrite(view_channel=True), discord.PermissionOverwrite(view_channel=False)
    overwrites = {guild.default_role: unseen, admins: seen, bot: seen}
    channels.append(guild.create_text_channel("reports", overwrites=overwrites))  # type: ignore[arg-type]  # a dict's key is invariant
    people = [Person(you, "member"), Person(friend, "member"), Person(admin, "admin"), Person(host, "host")]
    for person in people:
        world.backend.get_dm_channel(person.actor.id)
    return Scene(
        world,
        guild,
        {channel.id: channel for channel in channels},
        {person.actor.id: person for person in people},
        {role.id: role for role in (admins, hosts)},
        host.id,
        bot.id,
        None if elsewhere is None else _without_the_bot(world, elsewhere, you, friend),
    )


def _without_the_bot(world: World, name: str, installer: simcord.MemberActor, friend: simcord.MemberActor) -> Elsewhere:
    """A server without the bot, which one of two people installed for themselves; its last channel forbids apps."""
    backend, apps = world.backend, discord.Permissions(use_external_apps=True)
    backend.outside.add(ELSEWHERE_ID)
    backend.installed.add(installer.id)
    guild = world.create_guild(name, id=ELSEWHERE_ID)
    stored = backend.get_guild(ELSEWHERE_ID)
    del stored.members[backend.bot_user.id]
    stored.everyone_role.permissions |= apps.value
    silent = {guild.default_role: discord.PermissionOverwrite(use_external_apps=False)}
    channels = [guild.create_text_channel("tea-room"), guild.create_text_channel("no-apps", overwrites=silent)]  # type: ignore[arg-type]
    people = [guild.add_member(person.user) for person in (installer, friend)]
    return Elsewhere(guild, {one.id: one for one in channels}, {one.id: one for one in people})


def messages(world: World, channel_id: int) -> list[Message]:
    """The messages of a channel, oldest first."""
    return sorted(
        world.backend.messages.get(channel_id, {}).values(), key=lambda message: (message.timestamp, message.id)
    )


async def _result(awaitable: Awaitable[T]) -> T:
    return await awaitable
