"""What every command and button finds at hand: the client with the service behind it. Event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import discord

from bot.config import Config
from bot.service import Service

if TYPE_CHECKING:
    from bot.frontend.attachments import AttachmentSlots
    from bot.frontend.messages.updater import MessageUpdater


class App(discord.AutoShardedClient):
    """The client as the features see it; `bot.frontend.client.Reverie` is the one there is.

    Attributes:
        service: the application.
        config: what the host set.
        board: keeps the messages of jobs up to date.
        hosts: ids of the people who run this bot.
        config_path: where config.yaml lies.
        fetch: the bytes of an attached file; in the preview they come from its simulated Discord.
        room: for the files that are held in memory.
    """

    service: Service
    config: Config
    updater: MessageUpdater
    hosts: set[int]
    config_path: Path
    fetch: Callable[[discord.Attachment], Awaitable[bytes]]
    room: AttachmentSlots

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Somebody pressed a button below a job's message."""
        raise NotImplementedError


Interaction = discord.Interaction[App]
