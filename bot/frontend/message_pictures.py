"""Pictures of a message, in any of its parts: files, embeds, galleries, forwards. Event loop.

The picture of our own message is the job's stored file. Discord omits files shown by an embed from a message's
attachments, and derives a file's type from its name only: so all parts are searched, and the bytes decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import discord
from yarl import URL

from bot.errors import InvalidJobSpec, NotFound
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.attachments import is_discords, read_address
from bot.frontend.messages.component_tree import walk
from bot.frontend.messages.job_buttons import job_in
from bot.jobs import Job

TRIED = 4
"""Maximum files of a message that are fetched to find a picture."""
_OTHERS = ("video/", "audio/", "text/")


@dataclass(frozen=True)
class Source:
    """A file on Discord that may be a picture; size 0 means unknown."""

    address: str
    size: int = 0


@dataclass(frozen=True)
class Held:
    """A message with a picture: the job that it shows, if any, and files that may be pictures."""

    job: Job | None
    sources: tuple[Source, ...]

    async def read(self, interaction: Interaction, field: str) -> bytes:
        """The bytes of the picture; the caller must hold an attachment slot.

        Raises:
            NotFound: if no file is a picture.
            InvalidJobSpec: if the files are too large or cannot be read.
        """
        if self.job is not None:
            data = await interaction.client.service.archive.stored(requester_of(interaction), self.job)
            if data is not None:
                return data
        trouble: InvalidJobSpec | None = None
        for source in self.sources[:TRIED]:
            try:
                data = await read_address(interaction, source.address, field, source.size)
            except InvalidJobSpec as exc:
                trouble = exc
                continue
            if is_picture(data):
                return data
        raise trouble or NotFound("no_picture_in_message")


async def look(interaction: Interaction, message: discord.Message) -> Held:
    """Find the picture of a message without fetching it.

    Raises:
        NotFound: if the message cannot contain one.
    """
    job = await job_of(interaction, message)
    found = Held(job, sources(message))
    if not found.sources and (job is None or not await interaction.client.service.archive.pictures(job.id)):
        raise NotFound("no_picture_in_message")
    return found


async def job_of(interaction: Interaction, message: discord.Message) -> Job | None:
    """The job that a message shows: by its row, by the buttons of our own message, or by its forward or reply.

    A reply with a picture of its own shows that, and not the picture that it replies to.
    """
    archive, requester = interaction.client.service.archive, requester_of(interaction)
    ids, reference = [message.id], message.reference
    points_elsewhere = bool(message.message_snapshots) or not sources(message)
    if points_elsewhere and reference is not None and reference.message_id is not None:
        ids.append(reference.message_id)
    for message_id in ids:
        if (job := await archive.job_of_message(requester, message_id)) is not None:
            return job
    me, job_id = interaction.client.user, job_in(message.components)
    if me is None or message.author.id != me.id or job_id is None:
        return None
    try:
        return await archive.job(requester, job_id)
    except NotFound:
        return None


def sources(message: discord.Message) -> tuple[Source, ...]:
    """Possible picture files of a message and its forwards; linked files on Discord's hosts only."""
    found = dict[str, Source]()
    holders: list[discord.Message | discord.MessageSnapshot] = [message, *message.message_snapshots]
    for holder in holders:
        for source in _sources(holder):
            found.setdefault(source.address, source)
    return tuple(found.values())


def is_picture(data: bytes) -> bool:
    """True if the bytes start like a PNG, JPEG, WebP or GIF file."""
    beginnings = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
    return data.startswith(beginnings) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _sources(holder: discord.Message | discord.MessageSnapshot) -> Iterator[Source]:
    files = [item for item in holder.attachments if not (item.content_type or "").startswith(_OTHERS)]
    for item in sorted(files, key=lambda item: not (item.content_type or "").startswith("image/")):
        yield Source(item.url, item.size)
    shown = [address for embed in holder.embeds for address in (embed.image.url, embed.thumbnail.url)]
    media = [getattr(component, "media", None) for component in walk(holder.components)]
    shown += [item.url for item in media if isinstance(item, discord.UnfurledMediaItem)]
    # The message's author may have linked any address.
    yield from (Source(address) for address in shown if address and _is_discords(address))


def _is_discords(address: str) -> bool:
    try:
        return is_discords(URL(address))
    except ValueError:
        return False
