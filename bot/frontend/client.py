"""The Discord client: it starts, recovers, drains and closes the whole bot. Event loop."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import aiohttp
import discord

from bot.config import Config
from bot.errors import BotError, ConfigError
from bot.frontend import buttons, commands
from bot.frontend.app import App, Interaction
from bot.frontend.progress import Board
from bot.log import about
from bot.pulse import Pulse
from bot.service import Service
from bot.waiting import ExternalWait, identity

RATELIMIT_S = 30.0
"""A call that Discord would have wait longer is given up: by then there is newer progress to show."""
FAREWELL_S = 8.0
"""How long a stop waits for Discord to take what interrupted jobs look like."""
_log = logging.getLogger(__name__)


class Reverie(App):
    """The bot. `setup_hook` starts the service, `drain` and `close` end it.

    Attributes:
        forgetful_discord: Discord does not know the commands of an earlier start; so it is with the preview's.
    """

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
        )
        self.config, self.service, self.config_path = config, service, config_path
        self.hosts = set(config.discord.owners)
        self.tree = commands.Tree(self)
        self.board = Board(self, external_wait)
        self.forgetful_discord = False
        self._drained = False
        commands.add_all(self.tree)
        self.add_dynamic_items(*commands.DYNAMIC_ITEMS)

    async def setup_hook(self) -> None:
        """After the login and before the connection: take up what is left, begin to paint, show the commands."""
        await self.service.start()
        self._find_hosts()
        await commands.sync(self, self.tree, anew=self.forgetful_discord)
        await self.board.recover()

    async def on_ready(self) -> None:
        """Connected; this comes again after each reconnection."""
        _log.info("connected", extra=about(user=str(self.user), guilds=len(self.guilds), shards=self.shard_count))

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
        await self.board.flush(FAREWELL_S)

    async def close(self) -> None:
        """Drain, leave Discord, close the service. Repeated calls do nothing."""
        if self.is_closed():
            return
        await self.drain()
        await self.board.close()
        await super().close()
        await self.service.close()

    def _find_hosts(self) -> None:
        """The application's owner, or all of its team, may use /host beside those whom config.yaml names."""
        info = self.application
        if info is not None:
            self.hosts |= {member.id for member in info.team.members} if info.team is not None else {info.owner.id}


async def run(client: Reverie, token: str, stop: asyncio.Event, pulse: Pulse) -> None:
    """Be connected until `stop` is set; then drain and close.

    Raises:
        ConfigError: if Discord does not take the token.
        BotError: if Discord cannot be reached at the start, or the service cannot begin.
    """
    connection = asyncio.create_task(client.start(token), name="connection")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    beating = asyncio.create_task(pulse.beat(client.is_ready), name="pulse")
    try:
        await asyncio.wait({connection, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await client.close()
        await connection
    except discord.LoginFailure as exc:
        raise ConfigError("login_failed") from exc
    except (discord.DiscordException, aiohttp.ClientError, OSError) as exc:
        raise BotError("discord_unreachable", why=str(exc)[:200] or type(exc).__name__) from exc
    finally:
        for task in (waiting, beating, connection):
            task.cancel()
        await client.close()
        await asyncio.gather(waiting, beating, connection, return_exceptions=True)
        pulse.stop()
