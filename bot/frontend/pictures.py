"""What is handed out of a job, to one person only: picture, timelapse, recipe; and how it is deleted. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import discord

from bot.errors import NotFound
from bot.frontend.answering import change_answer, in_time, reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components.keys import job_button
from bot.frontend.messages import render as message
from bot.frontend.messages.sender import FILE_BYTES, ROOM_BYTES, remove_message
from bot.jobs import Job, JobState, StoredPicture
from bot.service import PictureFile
from bot.texts import say

RECIPE_FILE = "reverie-{job}-{number}.json"


async def show(interaction: Interaction, job_id: int, number: int) -> None:
    """The picture so far, or the finished one with its buttons."""
    requester, service = requester_of(interaction), interaction.client.service
    job = await service.archive.job(requester, job_id)
    pictures = await service.archive.pictures(job_id)
    if job.state is JobState.RUNNING or not pictures:
        view = await service.view(job_id)
        preview = view.preview if view is not None else None
        if preview is None:
            raise NotFound("nothing_to_show")
        await reply(interaction, files=[discord.File(BytesIO(preview.data), f"preview-{job_id}.jpg")])
        return
    await show_finished(interaction, job, pictures, 0 if job.count > 1 else 1)


async def show_finished(interaction: Interaction, job: Job, pictures: Sequence[StoredPicture], number: int) -> None:
    """Finished pictures of a job with their buttons, to one person; number 0 is all of them."""
    archive, requester = interaction.client.service.archive, requester_of(interaction)
    work = archive.file(requester, job.id, number, limit_bytes=_limit(interaction))
    file = await in_time(interaction, work, private=True)
    flagged = any(picture.flagged for picture in pictures) and not requester.age_restricted
    shown = message.final(job, pictures, (file,), spoiler=flagged)
    await reply(interaction, embed=shown.embed, files=shown.uploads(), buttons=shown.buttons)


async def timelapse(interaction: Interaction, job_id: int, number: int) -> None:
    """How the picture grew; of several, all that were recorded."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.job(requester, job_id)
    numbers = [item.number for item in await archive.pictures(job_id) if item.has_timelapse] or [number]

    async def films() -> list[PictureFile]:
        limit = _limit(interaction) // len(numbers)
        return [await archive.timelapse(requester, job_id, item, limit_bytes=limit) for item in numbers]

    found = await in_time(interaction, films(), private=True)
    alt_text = say("alt_text_timelapse", requester.locale, prompt=" ".join(job.prompt.split()))[: message.ALT_TEXT]
    await reply(
        interaction, files=[discord.File(BytesIO(film.data), film.name, description=alt_text) for film in found]
    )


async def recipe(interaction: Interaction, job_id: int, number: int) -> None:
    """The recipe in short, and as a file that makes the picture again."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.job(requester, job_id)
    text = await archive.recipe(requester, job_id, number)
    pictures = [item for item in await archive.pictures(job_id) if item.number == number]
    locale = requester.locale
    lines = [message.plain_prompt(job.prompt) or say("no_words", locale), message.recipe_line(job, pictures)]
    lines.append(say("recipe_how", locale))
    embed = discord.Embed(title=say("recipe_title", locale, job=job_id), description="\n".join(lines))
    for name, value in list(job.settings.as_dict().items())[:24]:
        embed.add_field(name=name, value=str(value), inline=True)
    name = RECIPE_FILE.format(job=job_id, number=number)
    await reply(interaction, embed=embed, files=[discord.File(BytesIO(text.encode()), name)])


async def ask_to_delete(interaction: Interaction, job_id: int, number: int) -> None:
    """Ask once more before a job goes for good."""
    requester = requester_of(interaction)
    await interaction.client.service.archive.own(requester, job_id)
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(job_button("erase", job_id, requester.locale))
    await reply(interaction, say("delete_sure", requester.locale, job=job_id), buttons=buttons)


async def delete(interaction: Interaction, job_id: int, number: int) -> None:
    """Delete a job and its message; the message first, or an interruption would leave one that nobody can delete."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.own(requester, job_id)
    await interaction.response.defer()
    await remove_message(interaction.client, job)
    deleted = await archive.delete(requester, job_id)
    if deleted.message_id != job.message_id:
        await remove_message(interaction.client, deleted)
    await change_answer(interaction, say("deleted", requester.locale, job=job_id))


def _limit(interaction: Interaction) -> int:
    guild = interaction.guild
    return (FILE_BYTES if guild is None else guild.filesize_limit) - ROOM_BYTES
