"""/reports: open reports of a server's pictures, listed and opened privately. Event loop; for those who manage it."""

from __future__ import annotations

import re
from typing import Any

import discord
from discord import app_commands

from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components import cases
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.wording import described
from bot.frontend.words import prompt_as_typed, prompt_label
from bot.service import ReportedPicture, ReportPage, Requester
from bot.texts import say

PER_PAGE = 10
PROMPT = 60


class CasePage(PersistentButton, template=r"reverie-cases:(?P<page>\d{1,9})"):
    """Button that turns to a page."""

    def __init__(self, page: int | str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.page = int(page)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Replace the current page."""
        async with errors_shown(interaction):
            await interaction.response.edit_message(**await _page(interaction, self.page))


class CaseSelect(PersistentMenu, template=r"reverie-cases-open"):
    """Menu that opens one of the page's reports."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the report with its buttons."""
        async with errors_shown(interaction):
            chosen = re.fullmatch(r"\d{1,18}", next(iter(self.item.values), ""))
            requester = requester_of(interaction)
            picture_id = int(chosen[0]) if chosen else 0
            reported = await interaction.client.service.reports.get(requester, picture_id)
            values = await cases.content(interaction.client, reported, requester.locale)
            await reply(interaction, values["content"], files=values["files"], buttons=values["view"])


@app_commands.command(name="reports", description=described("command_reports"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def reports(interaction: Interaction) -> None:
    """List the open reports."""
    await show(interaction)


async def show(interaction: Interaction) -> None:
    """Answer privately with the first page."""
    values = await _page(interaction, 1)
    await reply(interaction, embed=values["embed"], buttons=values["view"])


async def _page(interaction: Interaction, number: int) -> dict[str, Any]:
    """A page as keyword arguments of a message."""
    requester, service = requester_of(interaction), interaction.client.service
    page = await service.reports.page(requester, page=number, per_page=PER_PAGE)
    _, channel_id = await service.guilds.safety(requester.guild_id)
    locale = requester.locale
    lines = [_line(reported, locale) for reported in page.reported] or [say("reports_none", locale)]
    if channel_id is None:
        lines += ["", say("safety_no_reports", locale)]
    embed = discord.Embed(title=say("reports_title", locale, count=page.total), description="\n".join(lines))
    if page.pages > 1:
        embed.set_footer(text=say("reports_page", locale, page=page.page, pages=page.pages))
    return {"embed": embed, "view": _controls(page, requester)}


def _line(reported: ReportedPicture, locale: str) -> str:
    reasons = dict.fromkeys(say(f"report_{report.reason.value}", locale) for report in reported.reports)
    at = f"<t:{round(reported.reports[-1].created_at)}:R>" if reported.reports else ""
    prompt = prompt_as_typed(reported.prompt, PROMPT, locale)
    return f"**#{reported.job_id}** · {', '.join(reasons)} · <@{reported.user_id}> · {prompt} · {at}"


def _controls(page: ReportPage, requester: Requester) -> discord.ui.View | None:
    if not page.reported:
        return None
    controls = discord.ui.View(timeout=None)
    options = [
        discord.SelectOption(
            label=f"#{item.job_id} · {prompt_label(item.prompt, requester.locale)}"[:100], value=str(item.id)
        )
        for item in page.reported
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        options=options, placeholder=say("reports_open", requester.locale), custom_id="reverie-cases-open"
    )
    controls.add_item(CaseSelect(menu))
    for sign, number in (("◀", page.page - 1), ("▶", page.page + 1)):
        if 1 <= number <= page.pages:
            button: discord.ui.Button[Any] = discord.ui.Button(label=sign, custom_id=f"reverie-cases:{number}")
            controls.add_item(CasePage(number, button))
    return controls
