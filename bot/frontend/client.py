"""The Discord client: it starts, recovers, drains and closes the whole bot. Event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import aiohttp
import discord
from discord.backoff import ExponentialBackoff

from bot.config import Config
from bot.errors import BotError, ConfigError
from bot.frontend import attachments, membership
from bot.frontend.app import App, Interaction
from bot.frontend.commands import registry as commands
from bot.frontend.components import buttons
from bot.frontend.messages.updater import MessageUpdater
from bot.log import about
from bot.monitoring.endpoint import Endpoint
from bot.monitoring.heartbeat import Heartbeat
from bot.service import Service
from bot.waiting import ExternalWait, identity

RATELIMIT_S = 30.0
"""A call that Discord would have wait longer is given up: by then there is newer progress to show."""
RECONNECT_S = 30.0
"""The longest pause between two tries to connect, so that the bot is back soon after Discord or the network is."""
FAREWELL_S = 8.0
"""How long a stop waits for Discord to take what interrupted jobs look like."""
ANSWERS_S = 5.0
"""How long a stop waits for what people asked for a moment ago to be answered."""
BAD_TOKEN = 4004
"""With this code Discord closes a connection whose token it does not take."""
_ANSWERING = ("CommandTree-invoker", "discord-ui-")
"""How discord.py names the tasks of commands, buttons, menus and forms."""
_log = logging.getLogger(__name__)

# Reverie never speaks: the host need not hear that it could not.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


class Backoff(ExponentialBackoff[Literal[False]]):
    """How long discord.py waits before it connects again: longer each time, but not its 17 minutes."""

    def delay(self) -> float:
        """Seconds."""
        return min(RECONNECT_S, super().delay())


class Reverie(App):
    """The bot. `setup_hook` starts the service, `drain` and `close` end it.

    Attributes:
        board: as in `App`; this one also recovers, flushes and closes.
        forgetful_discord: Discord does not know the commands of an earlier start; so it is with the preview's.
    """

    updater: MessageUpdater

    def __init__(
        self,
        config: Config,
        service: Service,
        *,
        config_path: Path = Path("config.yaml"),
        external_wait: ExternalWait = identity,
        shard_count: int | None = None,
    ) -> None:
        """Nothing is started yet. `shard_count` goes before config.yaml's; None lets Discord decide."""
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=RATELIMIT_S,
            max_messages=None,
            chunk_guilds_at_startup=False,
            shard_count=shard_count or config.discord.shards or None,
            http_trace=self._listening(),
        )
        self.config, self.service, self.config_path = config, service, config_path
        self.hosts = set(config.discord.owners)
        self.tree = commands.Tree(self, allowed_installs=commands.INSTALLS)
        self.updater = MessageUpdater(self, external_wait)
        self.forgetful_discord, self.fetch, self.room = False, attachments.fetch, attachments.AttachmentSlots()
        self._drained = False
        commands.add_all(self.tree)
        self.add_dynamic_items(*commands.DYNAMIC_ITEMS)

    async def setup_hook(self) -> None:
        """After the login and before the connection: take up what is left, begin to paint, show the commands."""
        await self.service.start()
        self._find_hosts()
        await commands.sync(self, self.tree, anew=self.forgetful_discord)
        await self.updater.recover()

    async def on_ready(self) -> None:
        """Connected; this comes again after each reconnection."""
        _log.info("connected", extra=about(user=str(self.user), guilds=len(self.guilds), shards=self.shard_count))
        await membership.forget_left(self)

    async def on_shard_connect(self, shard_id: int) -> None:
        """A session has begun: whenever its connection is lost, it is tried again within RECONNECT_S."""
        shard = self.get_shard(shard_id)
        if shard is not None:
            # discord.py has no setting for it.
            shard._parent._backoff = Backoff()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was invited: commands that are for this server alone went when it was removed."""
        if guild.id in self.config.discord.command_guilds:
            await commands.send(self.tree, discord.Object(guild.id))

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed from a server: nothing of it is kept."""
        await self.service.guild_gone(guild.id)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        """An event's handler broke; the bot goes on."""
        _log.exception("an event could not be handled", extra=about(event=event_method))

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Somebody pressed a button below a job's message."""
        await buttons.press(interaction, action, job_id, number)

    async def drain(self) -> None:
        """Before a stop: take nothing new, put the running dream back with a snapshot, and say so in its message."""
        if self._drained:
            return
        self._drained = True
        await self.service.drain()
        await self.updater.flush(FAREWELL_S)
        await self._answer_all()

    async def close(self) -> None:
        """Drain, leave Discord, close the service. Repeated calls do nothing."""
        if self.is_closed():
            return
        await self.drain()
        await self.updater.close()
        await super().close()
        await self.service.close()

    async def _answer_all(self) -> None:
        """Let everybody hear what came of what they asked; what takes too long ends with the connection."""
        end, own = time.monotonic() + ANSWERS_S, asyncio.current_task()
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith(_ANSWERING) and t is not own]:
            left_s = end - time.monotonic()
            if left_s <= 0:
                _log.warning("not all were answered before the end", extra=about(late=len(tasks)))
                return
            await asyncio.wait(tasks, timeout=left_s)

    def _listening(self) -> aiohttp.TraceConfig:
        """Has the service hear what time it is by Discord's clock, which each answer of its interface says."""

        async def on_event(session: object, context: object, call: aiohttp.TraceRequestEndParams) -> None:
            said = call.response.headers.get("Date")
            if said is not None and "/api/" in call.url.path:
                with suppress(ValueError):
                    self.service.maintenance.clock.on_event(parsedate_to_datetime(said).timestamp())

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_event)
        return trace

    def _find_hosts(self) -> None:
        """The application's owner, or all of its team, may use /host beside those whom config.yaml names."""
        info = self.application
        if info is not None:
            self.hosts |= {member.id for member in info.team.members} if info.team is not None else {info.owner.id}


async def run(client: Reverie, token: str, stop: asyncio.Event, pulse: Heartbeat) -> None:
    """Be connected until `stop` is set; then drain and close. The metrics are served meanwhile.

    Raises:
        ConfigError: if Discord does not take the token, or the metrics cannot be served where they should be.
        BotError: if Discord cannot be reached at the start, or the service cannot begin.
    """
    service = client.service
    async with Endpoint(client.config.metrics, service.host.exposition, service.metrics.lagged):
        await _connected(client, token, stop, pulse)


async def _connected(client: Reverie, token: str, stop: asyncio.Event, pulse: Heartbeat) -> None:
    connection = asyncio.create_task(client.start(token), name="connection")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    beating = asyncio.create_task(pulse.beat(client.is_ready), name="pulse")
    try:
        await asyncio.wait({connection, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await client.close()
        await connection
    except (discord.DiscordException, aiohttp.ClientError, OSError) as exc:
        raise _said(exc) from exc
    finally:
        for task in (waiting, beating, connection):
            task.cancel()
        await client.close()
        await asyncio.gather(waiting, beating, connection, return_exceptions=True)
        pulse.stop()


def _said(error: Exception) -> BotError:
    """Why the connection ended, to whoever runs the bot; a token that is reset while it is used ends it by a code."""
    closed = isinstance(error, discord.ConnectionClosed) and error.code == BAD_TOKEN
    if closed or isinstance(error, discord.LoginFailure):
        return ConfigError("login_failed")
    return BotError("discord_unreachable", why=str(error)[:200] or type(error).__name__)
