"""The client interface for commands and buttons, with the service behind it. Event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol

import discord

from bot.config import Config
from bot.jobs import Batch, Job
from bot.service import Service
from bot.texts import Sentence


class JobMessages(Protocol):
    """Keeps the messages of jobs up to date; implemented by `bot.frontend.messages.updater.MessageUpdater`."""

    def answering(self, user_id: int) -> AbstractContextManager[object]:
        """Send no separate message for a job that a person orders within; yields the answer, for `follow`."""

    def follow(
        self,
        job: Job,
        interaction: Interaction | None = None,
        notes: tuple[Sentence, ...] = (),
        answer: object | None = None,
    ) -> None:
        """Keep a job's message up to date from now on; its message answers `interaction`, within `answering`."""


class BatchMessages(Protocol):
    """Keeps the messages of batches up to date; implemented by `bot.frontend.messages.batches.BatchMessages`."""

    async def place(self, batch: Batch, *, with_thread: bool) -> int:
        """Send the message of a batch, with a thread below it if wanted; return the channel for its pictures."""

    def follow(self, batch_id: int) -> None:
        """Keep the message of a batch up to date until its end."""


class VoteMessages(Protocol):
    """Leads votes from round to round; implemented by `bot.frontend.messages.votes.VoteMessages`."""

    def follow(self, vote_id: int) -> None:
        """Lead a vote from round to round until its end."""


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
        batches: keeps the messages of batches up to date.
        votes: leads votes from round to round.
        hosts: ids of the people who run this bot.
        config_path: path of config.yaml.
        fetch: fetches a file by its address; in the preview, from the simulated Discord.
        slots: limits the files in memory.
        names: names of a server's members, for lists.
        mark: a word that no other client has, in the ids of the modals that it opens.
        forgetful_discord: Discord does not remember commands and messages of an earlier start, as in the preview.
    """

    service: Service
    config: Config
    updater: JobMessages
    batches: BatchMessages
    votes: VoteMessages
    hosts: set[int]
    config_path: Path
    fetch: Callable[[str], Awaitable[bytes]]
    slots: FileSlots
    names: MemberNames
    mark: str
    forgetful_discord: bool

    async def press(self, interaction: Interaction, action: str, job_id: int, number: int) -> None:
        """Handle a button press on a job's message."""
        raise NotImplementedError

    async def press_batch(self, interaction: Interaction, action: str, batch_id: int) -> None:
        """Handle a button press on the message of a batch."""
        raise NotImplementedError

    async def press_vote(self, interaction: Interaction, action: str, vote_id: int, value: int) -> None:
        """Handle a button press on the message of a vote."""
        raise NotImplementedError


Interaction = discord.Interaction[App]


def locale_of(interaction: Interaction) -> str:
    """The language for answers to a person, as a locale: the chosen one, else that of the person's Discord client."""
    return interaction.client.service.personal_settings.language(interaction.user.id) or interaction.locale.value
