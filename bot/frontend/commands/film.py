"""/film: a film by a template, or by keyframes. Event loop."""

from __future__ import annotations

import re

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.answering import take_on
from bot.frontend.app import Interaction
from bot.frontend.attachments import read
from bot.frontend.commands.imagine import PROMPT_CHARACTERS, complete_size, complete_style
from bot.frontend.wording import described
from bot.jobs import Origin
from bot.service import FileInput, JobSpec, Requester, SubmittedJob
from generator import LISTENS_TO, TEMPLATES

KEYS_CHARACTERS = 500
SECONDS = app_commands.Range[float, 0.5, 120.0]
NUMBER = app_commands.Range[str, 1, 20]
KEYS = app_commands.Range[str, 1, KEYS_CHARACTERS]


def _choice(template: str) -> app_commands.Choice[str]:
    """A template under its name in the person's language."""
    name = app_commands.locale_str(template, key=f"template_{template.replace(' ', '_')}")
    return app_commands.Choice(name=name, value=template)


@app_commands.command(name="morph", description=described("command_morph"))
@app_commands.describe(
    first=described("option_morph_picture"),
    second=described("option_morph_picture"),
    prompt=described("option_morph_prompt"),
    seeds=described("option_morph_seeds"),
    third=described("option_morph_picture"),
    fourth=described("option_morph_picture"),
    template=described("option_film_template"),
    seconds=described("option_film_seconds"),
    loop=described("option_film_loop"),
)
@app_commands.choices(template=[_choice(name) for name in TEMPLATES])
@app_commands.guild_only()
async def morph(
    interaction: Interaction,
    first: NUMBER | None = None,
    second: NUMBER | None = None,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS] | None = None,
    seeds: app_commands.Range[str, 1, 200] | None = None,
    third: NUMBER | None = None,
    fourth: NUMBER | None = None,
    template: str | None = None,
    seconds: SECONDS | None = None,
    loop: bool | None = None,
) -> None:
    """Submit a job for a film from finished picture to finished picture, or through the seeds of a prompt."""
    pictures = [picture_named(text) for text in (first, second, third, fourth) if text is not None]
    given = {"template": template, "seconds": seconds, "loop": loop}
    values = {name: value for name, value in given.items() if value is not None}
    submissions = interaction.client.service.submissions
    if prompt is not None and seeds is not None and not pictures:
        spec = JobSpec(prompt=prompt, film={**values, "seeds": seeds_named(seeds)}, origin=Origin.FILM)
        await take_on(interaction, lambda requester: submissions.submit(requester, spec))
        return
    if prompt is not None or seeds is not None or len(pictures) < 2:
        raise InvalidJobSpec("morph_through", field="first")
    await take_on(interaction, lambda requester: submissions.morph(requester, pictures, values))


def seeds_named(text: str) -> list[int]:
    """Seeds typed as `1, 5, 9`.

    Raises:
        InvalidJobSpec: for anything else.
    """
    if re.fullmatch(r"\s*\d{1,10}(?:\s*,\s*\d{1,10})+\s*", text) is None:
        raise InvalidJobSpec("morph_through", field="seeds")
    return [int(part) % 2**32 for part in text.split(",")]


def picture_named(text: str) -> tuple[int, int]:
    """Job and number of a picture typed as `12`, `#12` or `12-3`.

    Raises:
        InvalidJobSpec: for anything else.
    """
    found = re.fullmatch(r"\s*#?(\d{1,15})(?:\s*-\s*([1-4]))?\s*", text)
    if found is None:
        raise InvalidJobSpec("picture_number", field="picture", given=text[:20])
    return int(found[1]), int(found[2] or 1)


@app_commands.command(name="film", description=described("command_film"))
@app_commands.describe(
    prompt=described("option_film_prompt"),
    template=described("option_film_template"),
    seconds=described("option_film_seconds"),
    fps=described("option_film_fps"),
    zoom=described("option_film_zoom"),
    x=described("option_film_x"),
    y=described("option_film_y"),
    turn=described("option_film_turn"),
    tilt=described("option_film_tilt"),
    loop=described("option_film_loop"),
    carry=described("option_film_carry"),
    frame_steps=described("option_film_frame_steps"),
    between=described("option_film_between"),
    video=described("option_film_video"),
    music=described("option_film_music"),
    listen_to=described("option_film_listen_to"),
    pulse_zoom=described("option_film_pulse_zoom"),
    pulse_turn=described("option_film_pulse_turn"),
    pulse_weight=described("option_film_pulse_weight"),
    init_image=described("option_init_image"),
    size=described("option_size"),
    seed=described("option_seed"),
    style=described("option_style"),
    negative=described("option_negative"),
    private=described("option_private"),
)
@app_commands.choices(
    template=[_choice(name) for name in TEMPLATES],
    listen_to=[
        app_commands.Choice(name=app_commands.locale_str(name, key=f"listen_to_{name}"), value=name)
        for name in LISTENS_TO
    ],
)
@app_commands.autocomplete(size=complete_size, style=complete_style)
@app_commands.guild_only()
async def film(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS],
    template: str | None = None,
    seconds: SECONDS | None = None,
    fps: app_commands.Range[int, 1, 30] | None = None,
    zoom: KEYS | None = None,
    x: KEYS | None = None,
    y: KEYS | None = None,
    turn: KEYS | None = None,
    tilt: KEYS | None = None,
    loop: bool | None = None,
    carry: app_commands.Range[float, 0.0, 1.0] | None = None,
    frame_steps: app_commands.Range[int, 1, 500] | None = None,
    between: app_commands.Range[int, 0, 7] | None = None,
    video: discord.Attachment | None = None,
    music: discord.Attachment | None = None,
    listen_to: str | None = None,
    pulse_zoom: app_commands.Range[float, -0.9, 5.0] | None = None,
    pulse_turn: app_commands.Range[float, -180.0, 180.0] | None = None,
    pulse_weight: app_commands.Range[float, -1.0, 20.0] | None = None,
    init_image: discord.Attachment | None = None,
    size: str | None = None,
    seed: app_commands.Range[int, 0, 2**32 - 1] | None = None,
    style: str | None = None,
    negative: app_commands.Range[str, 1, 1_000] = "",
    private: bool = False,
) -> None:
    """Submit a job for a film."""
    values = {
        "template": template, "seconds": seconds, "fps": fps, "zoom": zoom, "x": x, "y": y, "turn": turn, "tilt": tilt,
        "loop": loop, "carry": carry, "frame_steps": frame_steps, "between": between,
        "listen_to": listen_to, "pulse_zoom": pulse_zoom, "pulse_turn": pulse_turn,
        "pulse_weight": pulse_weight,
    }  # fmt: skip
    settings = {name: value for name, value in (("size", size), ("seed", seed)) if value is not None}

    async def order(requester: Requester) -> SubmittedJob:
        files = {"init_image": init_image, "video": video, "music": music}
        given = {name: file for name, file in files.items() if file is not None}
        async with interaction.client.slots.hold(len(given)):
            found = {
                name: FileInput(data=await read(interaction, file, name), name=file.filename)
                for name, file in given.items()
            }
            spec = JobSpec(
                prompt=prompt,
                settings=settings,
                negative=negative,
                style=style,
                init_image=found["init_image"].data if "init_image" in found else None,
                video=found.get("video"),
                music=found.get("music"),
                private=private,
                film={name: value for name, value in values.items() if value is not None},
                origin=Origin.FILM,
            )
            return await interaction.client.service.submissions.submit(requester, spec)

    await take_on(interaction, order)
