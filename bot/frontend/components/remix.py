"""Remix: continue from a picture with another prompt, and perhaps other pictures, from a modal. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import discord

from bot.frontend.answering import take_on
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.attachments import read
from bot.frontend.components.modals import TEXT, PersistentForm, labelled, upload
from bot.jobs import Origin
from bot.service import FollowUp, ImageInput, Requester, SubmittedJob
from bot.texts import say

MAX_IMAGE_PROMPTS = 4


async def ask(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the modal with the current prompt."""
    job = await interaction.client.service.archive.job(requester_of(interaction), job_id)
    check_place(interaction)
    await RemixForm(job.id, number, job.prompt, locale_of(interaction)).open(interaction)


class RemixForm(PersistentForm):
    """Modal for the new prompt, and for pictures."""

    kind = "remix"

    def __init__(self, job_id: int, number: int, prompt: str, locale: str) -> None:
        super().__init__(say("remix_title", locale, job=job_id), job_id, number)
        self.job_id, self.number = job_id, number
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, default=prompt[:TEXT], max_length=TEXT, custom_id="prompt"
        )
        self.image_prompts = upload("image_prompts", most=MAX_IMAGE_PROMPTS)
        self.mask, self.init_image = upload("mask"), upload("init_image")
        self.add_item(labelled(say("remix_prompt", locale), self.prompt))
        for name, field in (
            ("image_prompts", self.image_prompts),
            ("mask", self.mask),
            ("init_image", self.init_image),
        ):
            self.add_item(labelled(say(f"remix_{name}", locale), field, say(f"remix_{name}_how", locale)))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a picture, by its job and number."""
        return cls(int(state[0]), int(state[1]), "", locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job."""

        async def order(requester: Requester) -> SubmittedJob:
            client = interaction.client
            files = [*self.image_prompts.values, *self.mask.values, *self.init_image.values]
            async with client.slots.hold(len(files)):
                alike = [await read(interaction, file, "image_prompt") for file in self.image_prompts.values]
                mask = [await read(interaction, file, "mask") for file in self.mask.values]
                init = [await read(interaction, file, "init_image") for file in self.init_image.values]
                change = change_of(self.prompt.value, alike, next(iter(mask), None), next(iter(init), None))
                return await client.service.submissions.go_on(requester, self.job_id, self.number, change)

        await take_on(interaction, order)


def change_of(prompt: str, image_prompts: Sequence[bytes], mask: bytes | None, init_image: bytes | None) -> FollowUp:
    """The follow-up from the prompt and the bytes of the attachments."""
    alike = tuple(ImageInput(data=data) for data in image_prompts)
    return FollowUp(kind=Origin.REMIX, prompt=prompt, image_prompts=alike, mask=mask, init_image=init_image)
