"""Report a picture: a modal asks for the reason, a message goes to the server's report channel. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import discord

from bot.frontend.answering import in_time, reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.components import cases
from bot.frontend.components.modals import PersistentForm
from bot.service import ReportReason
from bot.texts import say

DETAILS = 1_000


async def ask(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the modal."""
    await interaction.client.service.archive.job(requester_of(interaction), job_id)
    await ReportForm(job_id, number, locale_of(interaction)).open(interaction)


class ReportForm(PersistentForm):
    """Modal for the reason, optional details, and the choice to learn the result."""

    kind = "report"

    def __init__(self, job_id: int, number: int, locale: str) -> None:
        super().__init__(say("report_title", locale, job=job_id), job_id, number)
        self.job_id, self.number = job_id, number
        options = [
            discord.SelectOption(label=say(f"report_{item.value}", locale), value=item.value) for item in ReportReason
        ]
        self.reason: discord.ui.Select[Any] = discord.ui.Select(options=options, custom_id="reason")
        self.details: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, required=False, max_length=DETAILS, custom_id="details"
        )
        self.tell_me: discord.ui.Checkbox[Any] = discord.ui.Checkbox(custom_id="tell_me")
        self.add_item(discord.ui.Label(text=say("report_reason", locale), component=self.reason))
        self.add_item(discord.ui.Label(text=say("report_details", locale), component=self.details))
        self.add_item(
            discord.ui.Label(
                text=say("report_tell_me", locale),
                description=say("report_tell_me_how", locale),
                component=self.tell_me,
            )
        )

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a picture, by its job and number."""
        return cls(int(state[0]), int(state[1]), locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Store the report and send it to the server's report channel."""
        work = interaction.client.service.reports.add(
            requester_of(interaction),
            self.job_id,
            self.number,
            ReportReason(self.reason.values[0]),
            self.details.value,
            wants_result=self.tell_me.value,
        )
        reported = await in_time(interaction, work, private=True)
        await reply(interaction, say("report_thanks", locale_of(interaction)))
        await cases.notify(interaction.client, reported)
