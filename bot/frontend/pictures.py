"""Private answers with a job's picture, timelapse or recipe, and its deletion. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import discord

from bot.errors import NotFound
from bot.frontend.answering import change_answer, in_time, reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.messages import render as message
from bot.frontend.messages.content import MessageContent
from bot.frontend.messages.job_buttons import job_button
from bot.frontend.messages.sender import remove_message
from bot.frontend.uploads import limit_of
from bot.frontend.words import as_typed, prompt_as_typed
from bot.jobs import Job, JobState, Layout, StoredPicture
from bot.service import PictureFile
from bot.service.files.uploads import REQUEST_BYTES
from bot.texts import say

FIRST_SETTINGS = ("seed", "size", "steps", "start")
RECIPE_FILE = "reverie-{job}-{number}.json"


async def show(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the current preview, or the finished picture with its buttons."""
    requester, service = requester_of(interaction), interaction.client.service
    job = await service.archive.job(requester, job_id)
    pictures = await service.archive.pictures(job_id)
    if job.state is JobState.RUNNING or not pictures:
        view = await service.view(job_id)
        preview = view.preview if view is not None else None
        if preview is None:
            raise NotFound("nothing_to_show")
        await reply(interaction, files=[discord.File(BytesIO(preview.data), f"preview-{job_id}.{preview.ending}")])
        return
    await show_finished(interaction, job, pictures, 0 if job.count > 1 else 1)


async def show_finished(interaction: Interaction, job: Job, pictures: Sequence[StoredPicture], number: int) -> None:
    """Show a job's finished pictures with their buttons to one person; number 0 means all."""
    archive, requester = interaction.client.service.archive, requester_of(interaction)
    layout, limit_bytes = interaction.client.config.layout, limit_of(interaction)

    async def read() -> tuple[PictureFile, ...]:
        if job.film_s:
            return await archive.film(requester, job, limit_bytes=limit_bytes)
        if number:
            return (await archive.file(requester, job.id, number, limit_bytes=limit_bytes),)
        return await archive.shown(requester, job, pictures, layout, limit_bytes=limit_bytes)

    files = await in_time(interaction, read(), private=True)
    left_out = tuple(dict.fromkeys(sentence for file in files for sentence in file.left_out))
    flagged = any(picture.flagged for picture in pictures) and not requester.age_restricted
    shown = message.final(job, pictures, files, layout, left_out, spoiler=flagged).message(layout)
    await reply(
        interaction, shown.get("content", ""), embed=shown.get("embed"), files=shown["files"], buttons=shown["view"]
    )


async def fetch(interaction: Interaction, job_id: int, number: int) -> None:
    """Bring a message up to date after its token expired; this interaction's token serves for the next 15 minutes."""
    requester, service = requester_of(interaction), interaction.client.service
    job = await service.archive.job(requester, job_id)
    await interaction.response.defer()
    view = await service.view(job_id)
    if view is None or not job.state.ended:
        interaction.client.updater.follow(job, interaction)
        return
    content = message.shown(view)
    if job.state is JobState.DONE:
        pictures, limit_bytes = await service.archive.pictures(job_id), limit_of(interaction)
        if job.film_s:
            files = await service.archive.film(requester, job, limit_bytes=limit_bytes)
        else:
            files = await service.archive.shown(requester, job, pictures, job.layout, limit_bytes=limit_bytes)
        flagged = any(picture.flagged for picture in pictures) and not requester.age_restricted
        content = message.final(job, pictures, files, job.layout, spoiler=flagged)
        if job.private:
            content = message.concealed(job, "state_private_done")
    await interaction.edit_original_response(**content.edit(job.layout))


async def more(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the buttons for which a message has no room."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = replace(await archive.job(requester, job_id), locale=requester.locale)
    pictures = await archive.pictures(job_id)
    content = MessageContent(say("more_of", requester.locale, job=job_id), rows=message.rows_of_more(job, pictures))
    await reply(interaction, content.status, buttons=content.message(Layout.CLASSIC)["view"])


async def timelapse(interaction: Interaction, job_id: int, number: int) -> None:
    """Send the timelapse of a picture, or all that were recorded."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.job(requester, job_id)
    numbers = [item.number for item in await archive.pictures(job_id) if item.has_timelapse] or [number]

    async def read_all() -> list[PictureFile]:
        found, left_bytes = list[PictureFile](), REQUEST_BYTES
        for item in numbers:
            try:
                limit = min(limit_of(interaction), left_bytes)
                found.append(await archive.timelapse(requester, job_id, item, limit_bytes=limit))
                left_bytes -= len(found[-1].data)
            except NotFound as exc:
                # Other timelapses are still shown; without any, this is the whole answer.
                if exc.sentence.key != "timelapse_too_large" or (item == numbers[-1] and not found):
                    raise
        return found

    found = await in_time(interaction, read_all(), private=True)
    left_out = "" if len(found) == len(numbers) else say("left_out_timelapses", requester.locale)
    alt_text = say("alt_text_timelapse", requester.locale, prompt=" ".join(job.prompt.split()))[: message.ALT_TEXT]
    files = [discord.File(BytesIO(file.data), file.name, description=alt_text) for file in found]
    await reply(interaction, left_out, files=files)


async def recipe(interaction: Interaction, job_id: int, number: int) -> None:
    """Send the settings that people ask for most, and the recipe file that makes the picture again."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.job(requester, job_id)

    async def content() -> tuple[bytes, str]:
        """The file and the text of the answer."""
        whole = (await archive.recipe(requester, job_id, number)).encode()
        if len(whole) <= limit_of(interaction):
            return whole, "recipe_how"
        return (await archive.recipe(requester, job_id, number, pictures=False)).encode(), "recipe_lean"

    data, how = await in_time(interaction, content(), private=True)
    locale, painted = requester.locale, await _painted(interaction, job, number)
    prompt = prompt_as_typed(job.prompt, message.SHOWN_PROMPT, locale)
    title = say("recipe_title", locale, job=job_id)
    embed = discord.Embed(title=title, description=f"{prompt}\n\n{say(how, locale)}")
    for name in FIRST_SETTINGS:
        embed.add_field(name=as_typed(name, 60), value=as_typed(str(painted[name]), 200))
    embed.add_field(name="models", value=as_typed(job.models, 200))
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(job_button("settings", job_id, locale, number))
    buttons.add_item(job_button("keep", job_id, locale, number))
    name = RECIPE_FILE.format(job=job_id, number=number)
    await reply(interaction, embed=embed, files=[discord.File(BytesIO(data), name)], buttons=buttons)


async def settings(interaction: Interaction, job_id: int, number: int) -> None:
    """Send all settings of a picture."""
    requester = requester_of(interaction)
    job = await interaction.client.service.archive.job(requester, job_id)
    painted = await _painted(interaction, job, number)
    lines = [f"`{name}` {as_typed(str(value), 200)}" for name, value in painted.items()]
    title = say("settings_of_picture", requester.locale, job=job_id)
    await reply(interaction, embed=discord.Embed(title=title, description="\n".join(lines)))


async def heart(interaction: Interaction, job_id: int, number: int) -> None:
    """Add a picture to the person's favourites, or remove it from them."""
    requester = requester_of(interaction)
    added = await interaction.client.service.archive.turn_favourite(requester, job_id, number)
    key = "favourite_added" if added else "favourite_removed"
    await reply(interaction, say(key, requester.locale, job=job_id, number=number))


async def _painted(interaction: Interaction, job: Job, number: int) -> dict[str, object]:
    """The settings with which picture `number` of a job was painted, by name."""
    found = {item.number: item for item in await interaction.client.service.archive.pictures(job.id)}.get(number)
    values = job.settings.as_dict()
    if found is not None:
        values |= {"seed": found.seed, "steps": found.steps}
        if job.settings.upscaler == "none":  # else the size is that of the picture before
            values["size"] = f"{found.width}x{found.height}"
    return values


async def ask_to_delete(interaction: Interaction, job_id: int, number: int) -> None:
    """Ask for confirmation before a job is deleted."""
    requester = requester_of(interaction)
    await interaction.client.service.archive.own(requester, job_id)
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(job_button("erase", job_id, requester.locale))
    await reply(interaction, say("delete_sure", requester.locale, job=job_id), buttons=buttons)


async def delete(interaction: Interaction, job_id: int, number: int) -> None:
    """Delete a job with its message."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    await archive.own(requester, job_id)
    await interaction.response.defer()
    await delete_with_message(interaction, job_id)
    await change_answer(interaction, say("deleted", requester.locale, job=job_id))


async def delete_with_message(interaction: Interaction, job_id: int) -> None:
    """Delete a job's message, then the job: an interruption in the other order leaves a message nobody can delete.

    Raises:
        NotFound, NotOwner
    """
    requester, archive = requester_of(interaction), interaction.client.service.archive
    job = await archive.own(requester, job_id)
    await remove_message(interaction.client, job)
    deleted = await archive.delete(requester, job_id)
    if (deleted.message_id, deleted.ping_id) != (job.message_id, job.ping_id):
        await remove_message(interaction.client, deleted)
