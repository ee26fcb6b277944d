"""Report a picture: a modal asks for the reason, a message goes to the server's report channel. Event loop."""

from __future__ import annotations

import logging
from typing import Any

import discord

from bot.frontend.answering import reply
from bot.frontend.app import App, Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components.modals import Form
from bot.frontend.messages.discord_errors import TROUBLE
from bot.frontend.words import as_typed
from bot.log import about
from bot.service import Report, ReportReason
from bot.texts import say

DETAILS = 1_000
SHOWN_DETAILS, SHOWN_PROMPT = 600, 200
"""Characters of details and prompt in a report: escaped, they fit in a message with the link to the picture."""
_log = logging.getLogger(__name__)


async def ask(interaction: Interaction, job_id: int, number: int) -> None:
    """Show the modal."""
    await interaction.client.service.archive.job(requester_of(interaction), job_id)
    await interaction.response.send_modal(ReportForm(job_id, number, interaction.locale.value))


class ReportForm(Form):
    """Modal for the reason and optional details."""

    def __init__(self, job_id: int, number: int, locale: str) -> None:
        super().__init__(say("report_title", locale, job=job_id))
        self.job_id, self.number = job_id, number
        options = [
            discord.SelectOption(label=say(f"report_{item.value}", locale), value=item.value) for item in ReportReason
        ]
        self.reason: discord.ui.Select[Any] = discord.ui.Select(options=options, custom_id="reason")
        self.details: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, required=False, max_length=DETAILS, custom_id="details"
        )
        self.add_item(discord.ui.Label(text=say("report_reason", locale), component=self.reason))
        self.add_item(discord.ui.Label(text=say("report_details", locale), component=self.details))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Store the report and send it to the server's report channel."""
        reason = ReportReason(self.reason.values[0])
        report = await interaction.client.service.archive.report(
            requester_of(interaction), self.job_id, self.number, reason, self.details.value
        )
        await reply(interaction, say("report_thanks", interaction.locale.value))
        await _post(interaction.client, report)


async def _post(app: App, report: Report) -> None:
    """Send the report to the server's report channel, if one is set."""
    if report.channel_id is None:
        return
    job, locale = report.job, app.config.language
    link = f"https://discord.com/channels/{job.guild_id}/{job.channel_id}/{job.message_id or ''}"
    text = say(
        "report_told",
        locale,
        reporter=f"<@{report.user_id}>",
        owner=f"<@{job.user_id}>",
        job=job.id,
        reason=say(f"report_{report.reason.value}", locale),
        details=as_typed(report.details, SHOWN_DETAILS) or "–",
        prompt="–" if job.private else as_typed(job.prompt, SHOWN_PROMPT) or "–",
        link=link,
    )
    try:
        await app.get_partial_messageable(report.channel_id).send(text[:2_000])
    except TROUBLE as exc:
        _log.warning("the report channel cannot be reached: %r", exc, extra=about(guild=job.guild_id, job=job.id))
