"""/blend: a picture guided by several others. Event loop."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands

from bot.frontend.answering import take_on
from bot.frontend.app import Interaction
from bot.frontend.attachments import read
from bot.frontend.commands.imagine import PROMPT_CHARACTERS, complete_size
from bot.frontend.wording import described
from bot.jobs import Origin
from bot.service import ImageInput, JobSpec, Requester, SubmittedJob


@app_commands.command(name="blend", description=described("command_blend"))
@app_commands.describe(
    first=described("option_blend_picture"),
    second=described("option_blend_picture"),
    third=described("option_blend_picture"),
    fourth=described("option_blend_picture"),
    prompt=described("option_blend_prompt"),
    size=described("option_size"),
    steps=described("option_steps"),
)
@app_commands.autocomplete(size=complete_size)
@app_commands.guild_only()
async def blend(
    interaction: Interaction,
    first: discord.Attachment,
    second: discord.Attachment,
    third: discord.Attachment | None = None,
    fourth: discord.Attachment | None = None,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS] = "",
    size: str | None = None,
    steps: app_commands.Range[int, 1, 5_000] | None = None,
) -> None:
    """Submit a job that blends pictures."""
    given = [item for item in (first, second, third, fourth) if item is not None]

    async def order(requester: Requester) -> SubmittedJob:
        async with interaction.client.slots.hold(len(given)):
            pictures = [await read(interaction, item, "picture") for item in given]
            spec = spec_of(pictures, prompt, size, steps)
            return await interaction.client.service.submissions.submit(requester, spec)

    await take_on(interaction, order)


def spec_of(pictures: Sequence[bytes], prompt: str, size: str | None, steps: int | None) -> JobSpec:
    """A job spec from the options and the bytes of the attachments."""
    return JobSpec(
        prompt=prompt,
        settings={name: value for name, value in (("size", size), ("steps", steps)) if value is not None},
        image_prompts=tuple(ImageInput(data=data) for data in pictures),
        origin=Origin.BLEND,
    )
