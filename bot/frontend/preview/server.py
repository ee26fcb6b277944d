"""The local preview: the same client, commands, queue and models behind a page that looks like a Discord channel.

simcord simulates Discord in this process. Its clock follows the real time; the bot's own edits are published as they
occur. Event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import discord

from bot.errors import BotError
from bot.frontend.client import Reverie
from bot.frontend.preview.page import act_in_turn, run_clocks
from bot.texts import say
from bot.waiting import FOR_A_TIME, ExternalWait

if TYPE_CHECKING:
    import simcord
    from simcord.preview import Preview

TICK_S = 0.25
SETTLE_S = 60.0
"""Time limit of a person's action before the page reports that the bot does not answer."""
LAST = datetime(2080, 1, 1, tzinfo=UTC)
GUILD_ID = 1_000_000_000_000_000_001
"""Constant, so that the server's gallery and settings persist."""
T = TypeVar("T")


class Waits:
    """Register the bot's waits with simcord; timed waits follow the real clock."""

    env: simcord.Env | None = None

    async def __call__(self, awaitable: Awaitable[T], reason: str, /) -> T:
        """The result of `awaitable`."""
        if self.env is None:
            return await awaitable
        if reason == FOR_A_TIME:
            # A separate context hides the task from simcord, which would otherwise wait for its end.
            awaitable = contextvars.Context().run(asyncio.create_task, _result(awaitable))
        result: T = await self.env.external_wait(awaitable, reason=reason)
        return result


@dataclass(frozen=True)
class Scene:
    """A running preview: the simulated Discord, its channel and its page."""

    env: simcord.Env
    channel: simcord.ChannelHandle
    page: Preview


async def show(build: Callable[[ExternalWait], Reverie], port: int, stop: asyncio.Event) -> None:
    """Open the preview, print its address, and keep it open until `stop` is set.

    Raises:
        BotError: if the packages for it are missing.
    """
    waits = Waits()
    async with staged(build(waits), waits, port) as scene:
        sys.stdout.write(say("preview_address", url=scene.page.url) + "\n")
        sys.stdout.flush()
        await stop.wait()


@asynccontextmanager
async def staged(client: Reverie, waits: Waits, port: int) -> AsyncIterator[Scene]:
    """A client in a simulated Discord with a page for a member and an admin; port 0 is any.

    Raises:
        BotError: if the packages for it are missing.
    """
    try:
        import simcord
    except ImportError as exc:
        raise BotError("preview_needs_packages") from exc
    # simcord creates its own client without intents; discord.py's warning about it is useless here.
    logging.getLogger("discord.state").addFilter(lambda record: "intent seems to be disabled" not in str(record.msg))
    client.forgetful_discord, client.fetch = True, lambda address: client.http.get_from_cdn(address)
    env = waits.env = simcord.Env(client, check_errors=False, settle_timeout=SETTLE_S)
    # Ids derive from the simulated time, which starts afresh: they are the same at every start.
    channel, viewers = _set_up(env)
    real = RealTime(env)
    env.backend.clock.advance(real.behind_s())
    try:
        await env.start()
        with env.time_context():
            page = env.preview(channel, viewers=viewers, layout="channel", port=port or None)
            run_clocks(page)
            async with page:
                turn = act_in_turn(page)
                tasks = [
                    asyncio.create_task(work, context=contextvars.Context())
                    for work in (_tick(env, real), _publish(channel, page, turn))
                ]
                try:
                    yield Scene(env, channel, page)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        waits.env = None  # From here on, simcord does not treat tasks as the bot's work.
        await client.close()
        await env.shutdown()


def _set_up(env: simcord.Env) -> tuple[simcord.ChannelHandle, list[simcord.MemberActor]]:
    env.backend.edit_bot_profile("Reverie")
    guild = env.create_guild("Reverie", id=GUILD_ID)
    channel = guild.create_text_channel("pictures")
    member = guild.add_member(env.create_user("you"))
    role = guild.create_role("admins", permissions=discord.Permissions(manage_guild=True, administrator=True))
    admin = guild.add_member(env.create_user("admin"), roles=[role])
    return channel, [member, admin]


async def _tick(env: simcord.Env, real: RealTime) -> None:
    """Keep the simulated clock in step with the real one."""
    while True:
        env.backend.advance_clock(real.behind_s())
        await asyncio.sleep(TICK_S)


async def _publish(channel: simcord.ChannelHandle, page: Preview, turn: asyncio.Lock) -> None:
    """Publish changes in the channel that no action on the page caused."""
    from simcord.backend.errors import SetupError

    shown: object = None
    while True:
        await asyncio.sleep(TICK_S)
        try:
            seen = [(item.id, item.content, item.edited_at) for item in channel.history()]
            if seen != shown:
                async with turn:
                    await page.refresh()
                shown = seen
        except (SetupError, TimeoutError):
            continue  # An action is in progress, which publishes as well.


async def _result(awaitable: Awaitable[T]) -> T:
    return await awaitable


class RealTime:
    """The time that the simulated clock follows: this machine's, counted on from the start.

    Ids derive from the simulated time, and those before Discord's first year or after LAST are no ids that a database
    can hold. So a clock that is wrong by years is not believed at the start.
    """

    def __init__(self, env: simcord.Env) -> None:
        self._env, self._began_s = env, time.monotonic()
        self._start = max(env.now(), min(datetime.now(UTC), LAST))

    def behind_s(self) -> float:
        """Seconds by which the simulated clock is behind."""
        now = self._start + timedelta(seconds=time.monotonic() - self._began_s)
        return max(0.0, (now - self._env.now()).total_seconds())
