"""The client interface for commands and buttons, with the service behind it. Event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol

import discord

from bot.config import Config
from bot.jobs import Job
from bot.service import Service
from bot.texts import Sentence


class JobMessages(Protocol):
    """Keeps the messages of jobs up to date; implemented by `bot.frontend.messages.updater.MessageUpdater`."""

    def answering(self, job_id: int) -> AbstractContextManager[None]:
        """Send no separate message for the job while its first answer is in flight, however long that takes."""

    def follow(self, job: Job, interaction: Interaction | None = None, notes: tuple[Sentence, ...] = ()) -> None:
        """Keep a job's message up to date from now on; its message answers `interaction`."""


class FileSlots(Protocol):
    """Limits the files in memory; implemented by `bot.frontend.attachments.AttachmentSlots`."""

    def hold(self, files: int) -> AbstractAsyncContextManager[None]:
        """Hold slots for `files` files, from before the fetch until they are no longer needed."""


class MemberNames(Protocol):
    """Names of a server's members; implemented by `bot.frontend.names.Names`."""

    async def of(self, interaction: Interaction, user_ids: Iterable[int]) -> Mapping[int, str]:
        """Names of the members of an interaction's server, by id; without those who left it."""


class App(discord.AutoShardedClient):
    """The client as seen by commands and buttons; implemented by `bot.frontend.client.Reverie`.

    Attributes:
        service: the application.
        config: the host's configuration.
        updater: keeps the messages of jobs up to date.
        hosts: ids of the people who run this bot.
        config_path: path of config.yaml.
        fetch: fetches a file by its address; in the preview, from the simulated Discord.
        slots: limits the files in memory.
        names: names of a server's members, for lists.
        forgetful_discord: Discord does not remember commands and messages of an earlier start, as in the preview.
    """

    service: Service
    config: Config
    updater: JobMessages
    hosts: set[int]
    config_path: Path
    fetch: Callable[[str], Awaitable[bytes]]
    slots: FileSlots
    names: MemberNames
    forgetful_discord: bool

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Handle a button press on a job's message."""
        raise NotImplementedError


Interaction = discord.Interaction[App]
