"""Remix: continue from a picture with another prompt from a modal. Event loop."""

from __future__ import annotations

from typing import Any

import discord

from bot.frontend.answering import take_on
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.components.modals import TEXT, Form
from bot.jobs import Job, Origin
from bot.service import FollowUp
from bot.texts import say


async def ask(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the modal with the current prompt."""
    job = await interaction.client.service.archive.job(requester_of(interaction), job_id)
    check_place(interaction)
    await interaction.response.send_modal(RemixForm(job, number, locale_of(interaction)))


class RemixForm(Form):
    """Modal for the new prompt."""

    def __init__(self, job: Job, number: int, locale: str) -> None:
        super().__init__(say("remix_title", locale, job=job.id))
        self.job_id, self.number = job.id, number
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, default=job.prompt[:TEXT], max_length=TEXT, custom_id="prompt"
        )
        self.add_item(discord.ui.Label(text=say("remix_prompt", locale), component=self.prompt))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job."""
        change = FollowUp(kind=Origin.REMIX, prompt=self.prompt.value)
        service = interaction.client.service
        await take_on(
            interaction, lambda requester: service.submissions.go_on(requester, self.job_id, self.number, change)
        )
