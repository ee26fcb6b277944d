"""Contents of the preview's channels at its start: a welcome with four pictures, and the pictures of earlier starts.

The simulated Discord forgets its messages with each end of the process; pictures and jobs are in the data folder.
Event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import discord
from PIL import Image

from bot.errors import NotFound
from bot.frontend.client import Reverie
from bot.frontend.messages.content import MessageContent
from bot.frontend.messages.job_buttons import ButtonSpec
from bot.frontend.messages.render import alt_texts_of, final
from bot.frontend.preview.world import Scene
from bot.jobs import Job, own_place
from bot.service import PictureFile, Requester, Whose
from bot.texts import say
from generator import Recipe, encode, read_recipe, recipe_to_json

EXAMPLES = Path(__file__).with_name("examples")
FIGURES = EXAMPLES / "examples.json"
NOTE = "preview_examples"
"""Name of the note with the ids of the examples' jobs."""
EARLIER = 24
"""Number of earlier pictures that are shown again."""
ACTIONS = ("vary", "upscale")


async def fill(client: Reverie, scene: Scene) -> None:
    """Post the welcome and the newest pictures of earlier starts, with their own times."""
    channel_id = next(iter(scene.channels))
    requester = Requester(guild_id=scene.guild.id, channel_id=channel_id, user_id=scene.bot_id)
    examples = await _examples(client, requester)
    earlier = await _earlier(client, requester, {job.id for job in examples})
    first = min((job.created_at for job in [*examples, *earlier]), default=time.time())
    await _post(client, scene, channel_id, await _welcome(client, requester, examples), first - 1, examples)
    for job in earlier:
        where = job.channel_id if job.channel_id in scene.channels else channel_id
        await _post(client, scene, where, await _finished(client, requester, job), job.ended_at or 0.0, [job])
    for person_id in scene.people:
        await _alone(client, scene, person_id)


async def _alone(client: Reverie, scene: Scene, person_id: int) -> None:
    """Post what a person painted without a server at earlier starts, as direct messages."""
    direct = scene.direct(person_id)
    if direct is None:
        return
    requester = Requester(guild_id=own_place(person_id), channel_id=direct.id, user_id=person_id)
    for job in await _earlier(client, requester, set()):
        await _post(client, scene, direct.id, await _finished(client, requester, job), job.ended_at or 0.0, [job])
        await client.service.store.jobs.change(job.id, by_token=False)


async def _examples(client: Reverie, requester: Requester) -> list[Job]:
    """Jobs of the example pictures, added at the first start; none if they are not of the models in use."""
    service, notes = client.service, client.service.store.figures
    try:
        jobs = [await service.archive.job(requester, number) for number in json.loads(await notes.note(NOTE) or "")]
        return jobs if all(job.models == client.config.model_name for job in jobs) else []
    except (ValueError, NotFound):
        pass
    figures = json.loads(FIGURES.read_text("utf-8"))
    jobs = list[Job]()
    for name, similarity in figures.items():
        data = (EXAMPLES / name).read_bytes()
        recipe = read_recipe(data)
        if recipe.request.models != client.config.model_name:
            return []  # The models in use cannot continue it.
        picture = await asyncio.to_thread(_as_png, data, recipe)
        jobs.append(await service.archive.adopt(requester, recipe.request, picture, similarity))
    await notes.put_note(NOTE, json.dumps([job.id for job in jobs]))
    return jobs


async def _earlier(client: Reverie, requester: Requester, known: set[int]) -> list[Job]:
    """Finished jobs of earlier starts that everybody may see, oldest first."""
    whose = Whose.MINE if requester.alone else Whose.SERVER
    page = await client.service.archive.gallery(requester, whose, per_page=EARLIER)
    jobs = {entry.job.id: entry.job for entry in page.entries if entry.job.id not in known}
    return sorted((job for job in jobs.values() if not job.private), key=lambda job: job.ended_at or job.created_at)


async def _welcome(client: Reverie, requester: Requester, jobs: Sequence[Job]) -> MessageContent:
    rows = tuple(
        tuple(
            ButtonSpec(action, job.id, job.locale, short=f"{say(f'button_{action}')} {place}")
            for place, job in enumerate(jobs, 1)
        )
        for action in (ACTIONS if jobs else ())
    )
    files = [file for job in jobs for file in await _files(client, requester, job)]
    alt_texts = tuple(text for job in jobs for text in alt_texts_of(job, 1))
    return MessageContent(say("preview_welcome"), files=tuple(files), rows=rows, alt_texts=alt_texts)


async def _finished(client: Reverie, requester: Requester, job: Job) -> MessageContent:
    pictures = await client.service.archive.pictures(job.id)
    files, flagged = await _files(client, requester, job), any(picture.flagged for picture in pictures)
    return final(job, pictures, files, client.config.layout, spoiler=flagged)


async def _files(client: Reverie, requester: Requester, job: Job) -> tuple[PictureFile, ...]:
    archive, limit_bytes = client.service.archive, discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
    pictures = await archive.pictures(job.id)
    return await archive.shown(requester, job, pictures, client.config.layout, limit_bytes=limit_bytes)


async def _post(
    client: Reverie, scene: Scene, channel_id: int, shown: MessageContent, at: float, jobs: Sequence[Job]
) -> None:
    """Post a message that dates from `at` and shows `jobs`."""
    layout = client.config.layout
    guild_id = scene.guild.id if channel_id in scene.channels else None
    sent = await client.get_partial_messageable(channel_id, guild_id=guild_id).send(**shown.message(layout))
    stored = scene.world.backend.get_message(channel_id, sent.id)
    stored.timestamp = datetime.fromtimestamp(at, UTC).isoformat()
    for job in jobs:
        await client.service.set_message(job.id, channel_id, sent.id, layout)


def _as_png(data: bytes, recipe: Recipe) -> bytes:
    """The picture of a WebP file as PNG, the format of the data folder, with its recipe."""
    with Image.open(BytesIO(data), formats=["WEBP"]) as image:
        return encode(image.convert("RGB"), "png", recipe_to_json(recipe))
