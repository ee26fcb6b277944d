"""/blend: a picture guided by several others, given as options or in a modal. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.answering import take_on
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.attachments import read
from bot.frontend.commands.imagine import PROMPT_CHARACTERS, complete_size
from bot.frontend.components.modals import PersistentForm, labelled, prompt_field, upload
from bot.frontend.wording import described
from bot.jobs import Origin
from bot.service import ImageInput, JobSpec, Requester, SubmittedJob
from bot.texts import say

LEAST, MOST = 2, 10
SIZE_CHARACTERS = 20
"""The size is kept in the form's custom id, of which Discord takes 100 characters."""


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
    first: discord.Attachment | None = None,
    second: discord.Attachment | None = None,
    third: discord.Attachment | None = None,
    fourth: discord.Attachment | None = None,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS] = "",
    size: app_commands.Range[str, 1, SIZE_CHARACTERS] | None = None,
    steps: app_commands.Range[int, 1, 5_000] | None = None,
) -> None:
    """Submit a job that blends pictures; without any, ask for them."""
    given = [item for item in (first, second, third, fourth) if item is not None]
    if given:
        await submit(interaction, given, prompt, size, steps)
        return
    requester_of(interaction)
    check_place(interaction)
    await BlendForm(prompt, size, steps, locale_of(interaction)).open(interaction)


class BlendForm(PersistentForm):
    """Modal for the pictures and the prompt."""

    kind = "blend"

    def __init__(self, prompt: str, size: str | None, steps: int | None, locale: str) -> None:
        super().__init__(say("blend_title", locale), size or "", steps or "")
        self.size, self.steps = size, steps
        self.pictures = upload("pictures", least=LEAST, most=MOST)
        self.prompt = prompt_field(prompt)
        hint = say("blend_pictures_how", locale, least=LEAST, most=MOST)
        self.add_item(labelled(say("blend_pictures", locale), self.pictures, hint))
        self.add_item(labelled(say("blend_prompt", locale), self.prompt))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal with a size and a number of steps."""
        return cls("", state[0] or None, int(state[1]) if state[1] else None, locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job."""
        await submit(interaction, self.pictures.values, self.prompt.value, self.size, self.steps)


async def submit(
    interaction: Interaction, given: Sequence[discord.Attachment], prompt: str, size: str | None, steps: int | None
) -> None:
    """Submit a job that blends attached pictures.

    Raises:
        InvalidJobSpec: if they are too few or too many.
    """
    if not LEAST <= len(given) <= MOST:
        raise InvalidJobSpec("blend_count", field="first", least=LEAST, most=MOST)

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
