"""Reported pictures: shown to those who manage the server, and resolved by buttons. Event loop.

The same buttons are below the message in the channel for reports and below a report that /reports opened. A button's
only state is its custom id, `reverie-case:ACTION:REPORT`; the service checks permissions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, Self

import discord

from bot.config import MAX_RULE_CHARACTERS
from bot.errors import NotFound
from bot.frontend.answering import in_time, reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.components.confirm import block_and_cancel, digest_of, sure_button, whose
from bot.frontend.components.modals import LABEL, PersistentForm
from bot.frontend.components.persistent import PersistentButton
from bot.frontend.errors import errors_shown
from bot.frontend.messages import render as message
from bot.frontend.messages.discord_errors import TROUBLE
from bot.frontend.messages.sender import replace_message
from bot.frontend.pictures import delete_with_message
from bot.frontend.words import as_typed, prompt_as_typed, within
from bot.log import about
from bot.service import Outcome, ReportedPicture, Requester
from bot.texts import say

SHOWN_DETAILS, SHOWN_PROMPT, SHOWN_REPORTS = 300, 200, 1_100
"""Characters of details, of the prompt and of all reports: escaped, they fit in a message with the rest."""
STYLES = {
    "keep": discord.ButtonStyle.secondary,
    "hide": discord.ButtonStyle.primary,
    "delete": discord.ButtonStyle.danger,
    "person": discord.ButtonStyle.danger,
    "word": discord.ButtonStyle.danger,
}
WITHOUT_PICTURE = ("keep", "person", "word")
"""Actions for a picture that was deleted meanwhile."""
_log = logging.getLogger(__name__)


class CaseButton(
    PersistentButton,
    template=r"reverie-case:(?P<action>keep|word|(yes)?(hide|delete|person)):(?P<picture_id>\d{1,18})",
):
    """Button that resolves a report, or asks about that; with `yes` before the action, the answer to the question."""

    def __init__(self, action: str, picture_id: int | str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.picture_id = action, int(picture_id)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it."""
        async with errors_shown(interaction):
            reported = await interaction.client.service.reports.get(requester_of(interaction), self.picture_id)
            await ACTIONS[self.action](interaction, reported)


def case_button(action: str, picture_id: int, locale: str) -> CaseButton:
    """A button of a report."""
    button: discord.ui.Button[Any] = discord.ui.Button(
        style=STYLES[action.removeprefix("yes")],
        label=say(f"case_{action.removeprefix('yes')}", locale),
        custom_id=f"reverie-case:{action}:{picture_id}",
    )
    return CaseButton(action, picture_id, button)


# The message of a report


async def content(app: App, reported: ReportedPicture, locale: str) -> dict[str, Any]:
    """A report as keyword arguments of a message: text, copy of the picture, buttons."""
    reports = app.service.reports
    gone = await reports.job(reported) is None
    link = f"https://discord.com/channels/{reported.guild_id}/{reported.channel_id}/{reported.message_id or ''}"
    head = say(
        "report_told",
        locale,
        count=len(reported.reports),
        owner=f"<@{reported.user_id}>",
        job=reported.job_id,
        link=say("report_gone", locale) if gone else link,
        prompt=prompt_as_typed(reported.prompt, SHOWN_PROMPT, locale),
    )
    lines = (
        say(
            "report_line",
            locale,
            reporter=f"<@{report.user_id}>",
            reason=say(f"report_{report.reason.value}", locale),
            details=f" · {as_typed(report.details, SHOWN_DETAILS)}" if report.details.strip() else "",
        )
        for report in reported.reports
    )
    buttons = discord.ui.View(timeout=None)
    for action in WITHOUT_PICTURE if gone else STYLES:
        buttons.add_item(case_button(action, reported.id, locale))
    copy = await reports.copy(reported.id)
    name = f"report-{reported.id}.jpg"
    files = [] if copy is None else [discord.File(BytesIO(copy), name, spoiler=True)]
    return {"content": f"{head}\n{within(lines, SHOWN_REPORTS)}"[:2_000], "files": files, "view": buttons}


async def notify(app: App, reported: ReportedPicture) -> None:
    """Show the report in the server's report channel, if one is set: in the message that it has, or in a new one."""
    _, channel_id = await app.service.guilds.safety(reported.guild_id)
    if channel_id is None:
        return
    values = await content(app, reported, app.config.language)
    try:
        if reported.notice_channel_id == channel_id and reported.notice_id is not None:
            try:
                notice = app.get_partial_messageable(channel_id).get_partial_message(reported.notice_id)
                await notice.edit(content=values["content"], view=values["view"])
                return
            except discord.NotFound:
                pass  # Somebody deleted it: send it anew.
        sent = await _send(app, channel_id, values)
        if not await app.service.reports.set_notice(reported, channel_id, sent.id):
            await sent.delete()
    except TROUBLE as exc:
        facts = about(guild=reported.guild_id, job=reported.job_id)
        _log.warning("the report channel cannot be reached: %r", exc, extra=facts)


async def _send(app: App, channel_id: int, values: dict[str, Any]) -> discord.Message:
    """Send the message; without the picture where the bot may attach none."""
    channel = app.get_partial_messageable(channel_id)
    try:
        return await channel.send(**values)
    except discord.Forbidden:
        return await channel.send(content=values["content"], view=values["view"])


# Actions


async def _keep(interaction: Interaction, reported: ReportedPicture) -> None:
    await interaction.response.defer()
    await _settle(interaction, reported, Outcome.KEEP)


async def _ask(interaction: Interaction, reported: ReportedPicture, action: str) -> None:
    requester, waiting = requester_of(interaction), interaction.client.service.waiting
    locale, owner = requester.locale, f"<@{reported.user_id}>"
    text = say(f"case_{action}_sure", locale, owner=owner, job=reported.job_id)
    if action == "person" and (jobs := await waiting.unfinished(requester, reported.user_id)):
        text += " " + say("case_jobs", locale, count=len(jobs))
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(case_button(f"yes{action}", reported.id, locale))
    await reply(interaction, text, buttons=buttons)


async def _ask_to_hide(interaction: Interaction, reported: ReportedPicture) -> None:
    await _ask(interaction, reported, "hide")


async def _ask_to_delete(interaction: Interaction, reported: ReportedPicture) -> None:
    await _ask(interaction, reported, "delete")


async def _ask_to_block(interaction: Interaction, reported: ReportedPicture) -> None:
    await _ask(interaction, reported, "person")


async def _hide(interaction: Interaction, reported: ReportedPicture) -> None:
    await interaction.response.defer()
    job = await interaction.client.service.archive.hide(requester_of(interaction), reported.job_id)
    await replace_message(interaction.client, job, message.concealed(job, "state_hidden"))
    await _settle(interaction, reported, Outcome.HIDE)


async def _delete(interaction: Interaction, reported: ReportedPicture) -> None:
    await interaction.response.defer()
    await _delete_job(interaction, reported)
    await _settle(interaction, reported, Outcome.DELETE)


async def _block(interaction: Interaction, reported: ReportedPicture) -> None:
    await interaction.response.defer()
    await block_and_cancel(interaction, requester_of(interaction), reported.user_id)
    await _delete_job(interaction, reported)
    await _settle(interaction, reported, Outcome.PERSON)


async def _ask_for_word(interaction: Interaction, reported: ReportedPicture) -> None:
    await WordForm(reported, locale_of(interaction)).open(interaction)


class WordForm(PersistentForm):
    """Modal for the word to forbid; submitting it forbids the word and deletes the picture."""

    kind = "word"

    def __init__(self, reported: ReportedPicture, locale: str) -> None:
        super().__init__(say("case_word", locale), reported.id)
        self.picture_id = reported.id
        self.word: discord.ui.TextInput[Any] = discord.ui.TextInput(
            max_length=MAX_RULE_CHARACTERS,
            placeholder=" ".join(reported.prompt.split())[:MAX_RULE_CHARACTERS],
            custom_id="word",
        )
        label = discord.ui.Label(
            text=say("case_word_which", locale)[:LABEL], description=say("case_word_also", locale), component=self.word
        )
        self.add_item(label)

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a reported picture."""
        reported = await interaction.client.service.reports.get(requester_of(interaction), int(state[0]))
        return cls(reported, locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Forbid the word, delete the picture, and ask about waiting jobs that hold the word."""
        requester, service = requester_of(interaction), interaction.client.service
        reported = await service.reports.get(requester, self.picture_id)
        rule = await service.words.add_block(requester, self.word.value)
        await interaction.response.defer()
        await _delete_job(interaction, reported)
        await _settle(interaction, reported, Outcome.WORD)
        locale, text = requester.locale, say("rule_added", requester.locale, rule=as_typed(rule, MAX_RULE_CHARACTERS))
        jobs = await in_time(interaction, service.waiting.breaking(requester, rule), private=True)
        if not jobs:
            await reply(interaction, text)
            return
        buttons = discord.ui.View(timeout=None)
        buttons.add_item(sure_button("rule", digest_of(rule), say("button_cancel_jobs", locale, count=len(jobs))))
        await reply(interaction, f"{text}\n{say('rule_jobs', locale, count=len(jobs))}\n{whose(jobs)}", buttons=buttons)


async def _delete_job(interaction: Interaction, reported: ReportedPicture) -> None:
    """Delete the job of a reported picture with its message, unless that happened already."""
    try:
        await delete_with_message(interaction, reported.job_id)
    except NotFound:
        _log.info("a reported picture was deleted before", extra=about(job=reported.job_id))


async def _settle(interaction: Interaction, reported: ReportedPicture, outcome: Outcome) -> None:
    """Close the report, show the result in place of the buttons, and tell the reporters who want to know."""
    requester, app = requester_of(interaction), interaction.client
    closed = await app.service.reports.close(requester, reported.id)
    await _show_result(interaction, requester, closed, outcome)
    for report in closed.reports:
        if report.wants_result:
            server = as_typed(interaction.guild.name if interaction.guild else "", 100)
            text = say(f"result_{outcome.value}", report.locale, job=closed.job_id, server=server)
            await _tell(app, report.user_id, text)


async def _show_result(
    interaction: Interaction, requester: Requester, closed: ReportedPicture, outcome: Outcome
) -> None:
    app, below = interaction.client, interaction.message

    def text(locale: str) -> str:
        return say(
            f"case_{outcome.value}_done",
            locale,
            job=closed.job_id,
            owner=f"<@{closed.user_id}>",
            admin=f"<@{requester.user_id}>",
        )

    if below is None or below.id != closed.notice_id:
        try:
            await interaction.edit_original_response(content=text(requester.locale), attachments=[], view=None)
        except TROUBLE as exc:
            _log.info("nobody could be told: %r", exc, extra=about(guild=interaction.guild_id))
    if closed.notice_channel_id is not None and closed.notice_id is not None:
        notice = app.get_partial_messageable(closed.notice_channel_id).get_partial_message(closed.notice_id)
        try:
            await notice.edit(content=text(app.config.language), attachments=[], view=None)
        except TROUBLE as exc:
            _log.info("the message of a closed report stays: %r", exc, extra=about(guild=closed.guild_id))


async def _tell(app: App, user_id: int, text: str) -> None:
    """Send a direct message; a person who accepts none is not told."""
    try:
        await (await app.create_dm(discord.Object(user_id))).send(text)
    except TROUBLE as exc:
        _log.info("a reporter could not be told: %r", exc)


ACTIONS: Mapping[str, Callable[[Interaction, ReportedPicture], Awaitable[None]]] = {
    "keep": _keep,
    "hide": _ask_to_hide,
    "delete": _ask_to_delete,
    "person": _ask_to_block,
    "word": _ask_for_word,
    "yeshide": _hide,
    "yesdelete": _delete,
    "yesperson": _block,
}
