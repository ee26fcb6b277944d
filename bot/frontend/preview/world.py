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
from time import monotonic
from typing import Any, TypeVar

import discord
import simcord
from simcord._clock import Clock
from simcord.backend.models import Interaction, Message

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


class World(simcord.Env):
    """A simulated Discord in which people act at any time, and the bot answers when it can.

    Attributes:
        revision: grows soon after each change of a message.
    """

    def __init__(self, client: discord.Client) -> None:
        super().__init__(client, check_errors=False, settle_timeout=BUSY_S)
        self.revision = 0
        self._seen: list[Interaction] = []
        self._register_dispatch_observer(self._seen.append)

    async def _settle_internal(self, *, dispatch: str | None = None, **limits: Any) -> None:  # noqa: ANN401 - simcord's
        """Wait until the bot is idle, but not after a person's action (`dispatch`)."""
        if dispatch is None:
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
            try:
                await super()._settle_internal(timeout=0.01)
            except TimeoutError:
                pass  # The bot is busy.
            except Exception:  # One timer's error must not stop the others.
                _log.exception("a timer of the bot failed")
            if self.backend.transcript:
                self.revision += 1
                self._forget()

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

    def direct(self, person_id: int) -> simcord.ChannelHandle | None:
        """The direct messages between a person and the bot; None if there are none."""
        backend = self.world.backend
        if not backend.messages.get(backend.dm_channels.get(person_id, 0)):
            return None
        return simcord.ChannelHandle(self.world, None, backend.get_dm_channel(person_id))


def furnish(world: World, name: str) -> Scene:
    """Create the server. Ids derive from simcord's own clock, which starts afresh: they are the same at every start.

    Later additions go to the end, so that ids in existing databases stay valid.
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
    return Scene(
        world,
        guild,
        {channel.id: channel for channel in channels},
        {person.actor.id: person for person in people},
        {role.id: role for role in (admins, hosts)},
        host.id,
        bot.id,
    )


def messages(world: World, channel_id: int) -> list[Message]:
    """The messages of a channel, oldest first."""
    return sorted(
        world.backend.messages.get(channel_id, {}).values(), key=lambda message: (message.timestamp, message.id)
    )


async def _result(awaitable: Awaitable[T]) -> T:
    return await awaitable
