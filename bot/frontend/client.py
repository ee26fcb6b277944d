"""The Discord client: starts, recovers, drains and closes the whole bot. Event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import sys
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Literal

import aiohttp
import discord
from discord.backoff import ExponentialBackoff

from bot.config import Config
from bot.frontend import attachments, membership
from bot.frontend import registry as commands
from bot.frontend.app import App, Interaction
from bot.frontend.asking import Places
from bot.frontend.components import batches, buttons, modals, votes
from bot.frontend.invite import invitation
from bot.frontend.login import explained
from bot.frontend.messages.batches import BatchMessages
from bot.frontend.messages.updater import MessageUpdater
from bot.frontend.messages.votes import VoteMessages
from bot.frontend.names import Names
from bot.frontend.uploads import limit_in
from bot.log import about
from bot.monitoring.endpoint import Endpoint
from bot.monitoring.heartbeat import Heartbeat
from bot.service import Service
from bot.texts import say
from bot.waiting import ExternalWait, identity
from bot.web.server import GalleryServer

RATELIMIT_S = 30.0
"""Calls that Discord would delay longer are abandoned: by then there is newer progress to show."""
RECONNECT_S = 30.0
"""Maximum pause between connection attempts, so that the bot returns soon after Discord or the network does."""
SWITCH_S = 0.0005
"""Maximum time for which a thread keeps the interpreter while the event loop wants it; Python's own value is ten times
as long, and the loop gives the interpreter away with every read and write."""
FAREWELL_S = 8.0
"""Time limit at a stop for updating the messages of interrupted jobs."""
ANSWERS_S = 5.0
"""Time limit at a stop for answering recent interactions."""
_ANSWERING = ("CommandTree-invoker", "discord-ui-")
"""Prefixes of discord.py's task names for commands, buttons, menus and forms."""
_log = logging.getLogger(__name__)

# Reverie does not use voice: discord.py's warning about it is useless to the host.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


class Backoff(ExponentialBackoff[Literal[False]]):
    """Pauses of discord.py between reconnects: growing, but without its maximum of 17 minutes."""

    def delay(self) -> float:
        """The next pause, in seconds."""
        return min(RECONNECT_S, super().delay())


class Reverie(App):
    """The bot. `setup_hook` starts the service; `drain` and `close` end it.

    Attributes:
        updater: as in `App`; this one also recovers, flushes and closes.
        batches, votes: as in `App`; these also recover and close.
    """

    updater: MessageUpdater
    batches: BatchMessages
    votes: VoteMessages

    def __init__(
        self,
        config: Config,
        service: Service,
        *,
        config_path: Path = Path("config.yaml"),
        external_wait: ExternalWait = identity,
        shard_count: int | None = None,
    ) -> None:
        """Start nothing yet. `shard_count` takes precedence over config.yaml's; None lets Discord decide."""
        super().__init__(
            # Only with messages Discord says which were deleted, which no web gallery may show.
            intents=discord.Intents(guilds=True, guild_messages=bool(config.gallery.port)),
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
        self.updater, self.batches = MessageUpdater(self, external_wait), BatchMessages(self, external_wait)
        self.votes = VoteMessages(self, external_wait)
        self.forgetful_discord, self.fetch, self.slots = False, attachments.fetch, attachments.AttachmentSlots()
        self.names, self.mark = Names(), secrets.token_urlsafe(6)
        self._drained = False
        service.upload_bytes = partial(limit_in, self)
        commands.add_all(self.tree, for_everybody=config.for_everybody)
        self.add_dynamic_items(*commands.DYNAMIC_ITEMS)

    async def setup_hook(self) -> None:
        """Recover jobs, start the worker and register the commands, after the login and before the connection."""
        await self.service.start()
        self._find_hosts()
        await commands.sync(self, self.tree, anew=self.forgetful_discord)
        await self.updater.recover()
        await self.batches.recover()
        await self.votes.recover()

    async def on_ready(self) -> None:
        """Handle a connection; called again after each reconnection."""
        _log.info("connected", extra=about(user=str(self.user), guilds=len(self.guilds), shards=self.shard_count))
        if not self.guilds:
            _log.warning(say("in_no_server", link=invitation(None, self.application_id)))
        await membership.forget_left(self)
        await membership.forget_deleted(self)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Take a modal that was opened before a restart; discord.py takes all other interactions."""
        if interaction.type is discord.InteractionType.modal_submit:
            await modals.receive(interaction, commands.PERSISTENT_FORMS)

    async def on_shard_connect(self, shard_id: int) -> None:
        """Limit the reconnect pauses of a new session to RECONNECT_S."""
        shard = self.get_shard(shard_id)
        if shard is not None:
            # discord.py has no setting for it.
            shard._parent._backoff = Backoff()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Register the server's own commands, which Discord deleted if the bot was removed before."""
        if guild.id in self.config.discord.command_guilds:
            await commands.send(self.tree, discord.Object(guild.id))

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Delete the data of a server that the bot was removed from."""
        await self.service.guild_gone(guild.id)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Take a picture whose message was deleted off the web."""
        if payload.guild_id is not None:
            await self.service.messages_gone(payload.guild_id, {payload.message_id})

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Take the pictures of deleted messages off the web."""
        if payload.guild_id is not None:
            await self.service.messages_gone(payload.guild_id, payload.message_ids)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Take the pictures of a deleted thread off the web."""
        await self.service.thread_gone(payload.guild_id, payload.thread_id)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        """Log an error in an event handler; the bot keeps running."""
        _log.exception("an event could not be handled", extra=about(event=event_method))

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Handle a button press on a job's message."""
        await buttons.press(interaction, action, job_id, number)

    async def press_batch(self, interaction: Interaction, action: str, batch_id: int) -> None:
        """Handle a button press on the message of a batch."""
        await batches.press(interaction, action, batch_id)

    async def press_vote(self, interaction: Interaction, action: str, vote_id: int, value: int) -> None:
        """Handle a button press on the message of a vote."""
        await votes.press(interaction, action, vote_id, value)

    async def drain(self) -> None:
        """Before a stop: accept no new jobs, requeue the running job with a snapshot, and show that in its message."""
        if self._drained:
            return
        self._drained = True
        await self.service.drain()
        await self.updater.flush(FAREWELL_S)
        await self._answer_all()

    async def close(self) -> None:
        """Drain, disconnect from Discord, close the service. Repeated calls do nothing."""
        if self.is_closed():
            return
        await self.drain()
        await self.updater.close()
        await self.batches.close()
        await self.votes.close()
        await super().close()
        await self.service.close()

    async def _answer_all(self) -> None:
        """Finish answering recent interactions; slow ones end with the connection."""
        end, own = time.monotonic() + ANSWERS_S, asyncio.current_task()
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith(_ANSWERING) and t is not own]:
            left_s = end - time.monotonic()
            if left_s <= 0:
                _log.warning("not all were answered before the end", extra=about(late=len(tasks)))
                return
            await asyncio.wait(tasks, timeout=left_s)

    def _listening(self) -> aiohttp.TraceConfig:
        """Trace config that passes Discord's clock, from its API responses, to the service."""

        async def on_event(session: object, context: object, call: aiohttp.TraceRequestEndParams) -> None:
            said = call.response.headers.get("Date")
            if said is not None and "/api/" in call.url.path:
                with suppress(ValueError):
                    self.service.maintenance.clock.on_event(parsedate_to_datetime(said).timestamp())

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_event)
        return trace

    def _find_hosts(self) -> None:
        """Let the application's owner or team use /host, in addition to the hosts in config.yaml."""
        info = self.application
        if info is not None:
            self.hosts |= {member.id for member in info.team.members} if info.team is not None else {info.owner.id}


def favour_loop() -> None:
    """Have this process stop its event loop as little as possible. Once, when models and libraries are loaded.

    Garbage is collected from here on, if it was not before.
    """
    sys.setswitchinterval(SWITCH_S)
    # They are some hundred thousand objects, and a full garbage collection of them stops the loop for 0.2 s.
    gc.collect()
    gc.freeze()
    gc.enable()


async def run(client: Reverie, token: str, stop: asyncio.Event, pulse: Heartbeat) -> None:
    """Stay connected and serve metrics and web galleries until `stop` is set; then drain and close.

    Raises:
        ConfigError: if Discord does not accept the token, or metrics or galleries cannot be served at their address.
        BotError: if Discord cannot be reached at the start, or the service cannot start.
    """
    service = client.service
    async with (
        Endpoint(client.config.metrics, service.host.exposition, service.metrics.note_lag),
        GalleryServer(client.config, service.web_gallery, service.files, Places(client)),
    ):
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
        raise explained(exc) from exc
    finally:
        for task in (waiting, beating, connection):
            task.cancel()
        await client.close()
        await asyncio.gather(waiting, beating, connection, return_exceptions=True)
        pulse.stop()
