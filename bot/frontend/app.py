"""What every command and button finds at hand: the client with the service behind it. Event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol

import discord

from bot.config import Config
from bot.jobs import Job
from bot.service import Service
from bot.texts import Sentence


class JobMessages(Protocol):
    """Keeps the messages of jobs up to date; `bot.frontend.messages.updater.MessageUpdater` does."""

    def answering(self, job_id: int) -> AbstractContextManager[None]:
        """While its first answer is on its way, however long that takes, a job gets no message of its own."""

    def follow(self, job: Job, interaction: Interaction | None = None, notes: tuple[Sentence, ...] = ()) -> None:
        """Keep a job's message up to date from now on; `interaction` is the one that its message answers."""


class FileRoom(Protocol):
    """Bounds the files that are held in memory; `bot.frontend.attachments.AttachmentSlots` does."""

    def hold(self, files: int) -> AbstractAsyncContextManager[None]:
        """Have room for so many files, from before they are fetched until nobody needs them."""


class App(discord.AutoShardedClient):
    """The client as the features see it; `bot.frontend.client.Reverie` is the one there is.

    Attributes:
        service: the application.
        config: what the host set.
        board: keeps the messages of jobs up to date.
        hosts: ids of the people who run this bot.
        config_path: where config.yaml lies.
        fetch: the bytes of a file by its address; in the preview they come from its simulated Discord.
        room: for the files that are held in memory.
    """

    service: Service
    config: Config
    updater: JobMessages
    hosts: set[int]
    config_path: Path
    fetch: Callable[[str], Awaitable[bytes]]
    room: FileRoom

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Somebody pressed a button below a job's message."""
        raise NotImplementedError


Interaction = discord.Interaction[App]
