"""Actions that cannot be undone, asked about first: clear the queue, shorten the retention, cancel jobs. Event loop.

A question counts what goes and whose it is. Its button's only state is its custom id, `reverie-sure:ACTION:VALUE`; the
service checks permissions and counts again when it is pressed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import discord

from bot.errors import NotFound
from bot.frontend.answering import change_answer, in_time, reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.components.modals import LABEL, PersistentForm
from bot.frontend.components.persistent import PersistentButton
from bot.frontend.errors import errors_shown
from bot.frontend.words import as_typed, within
from bot.jobs import Job, JobState
from bot.service import Requester
from bot.service.guild_settings import MAX_RETENTION_DAYS as MAX_RETENTION_DAYS
from bot.service.moderation.waiting_jobs import MAX_REASON, reason_of
from bot.texts import Sentence, say

RULE = 100
"""Characters of a rule that are shown."""
_DIGITS = 16


class SureButton(
    PersistentButton,
    template=r"reverie-sure:(?P<action>(clear|retention|person)(?=:[1-8]?\d{1,18}$)|rule(?=:[0-9a-f]{16}$)):(?P<value>\w+)",
):
    """Button that does what its question asked about."""

    def __init__(self, action: str, value: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.value = action, value

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it."""
        async with errors_shown(interaction):
            await ACTIONS[self.action](interaction, self.value)


def sure_button(action: str, value: str, label: str) -> SureButton:
    """The button of a question."""
    button: discord.ui.Button[Any] = discord.ui.Button(
        style=discord.ButtonStyle.danger, label=label[:80], custom_id=f"reverie-sure:{action}:{value}"
    )
    return SureButton(action, value, button)


async def ask(interaction: Interaction, text: str, action: str, value: str, label: str) -> None:
    """Ask privately whether to do it."""
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(sure_button(action, value, label))
    await reply(interaction, text, buttons=buttons)


def whose(jobs: Iterable[Job], most: int = 1_200) -> str:
    """The owners of jobs with the number of each, most first."""
    counts = Counter(job.user_id for job in jobs)
    return within((f"<@{user_id}> {count}" for user_id, count in counts.most_common()), most, " · ")


class ReasonForm(PersistentForm):
    """Modal for the reason that the owners of cancelled jobs are told; submitting it cancels them."""

    kind = "reason"

    def __init__(self, title: str, locale: str, action: str, target: int, number: int) -> None:
        super().__init__(title, action, target, number)
        self._cancel, self._target, self._number = REASONED[action], target, number
        self.reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            required=False, max_length=MAX_REASON, custom_id="reason"
        )
        self.add_item(discord.ui.Label(text=say("reason_for_owner", locale)[:LABEL], component=self.reason))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal, which knows by ids what to cancel."""
        action, target, number = state
        if action not in REASONED:
            raise ValueError(action)
        locale = locale_of(interaction)
        return cls(say("reason_for_owner", locale), locale, action, int(target), int(number))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Cancel."""
        await self._cancel(interaction, self.reason.value, self._target, self._number)


# Jobs


async def ask_to_clear(interaction: Interaction, user_id: int | None) -> None:
    """Ask whether to cancel the waiting jobs of the server, or of one person in it."""
    requester = requester_of(interaction)
    jobs = await interaction.client.service.waiting.of_server(requester, user_id)
    locale = requester.locale
    if not jobs:
        await reply(interaction, say("clear_nothing", locale))
        return
    text = say("clear_sure", locale, count=len(jobs)) + "\n" + whose(jobs)
    await ask(interaction, text, "clear", str(user_id or 0), say("button_cancel_jobs", locale, count=len(jobs)))


async def _clear(interaction: Interaction, value: str) -> None:
    """Ask for the reason to cancel the jobs that wait now."""
    requester, user_id = requester_of(interaction), int(value)
    jobs = await interaction.client.service.waiting.of_server(requester, user_id or None)
    if not jobs:
        await interaction.response.edit_message(content=say("clear_nothing", requester.locale), view=None)
        return
    title = say("button_cancel_jobs", requester.locale, count=len(jobs))
    newest = max(job.id for job in jobs)
    await ReasonForm(title, requester.locale, "clear", user_id, newest).open(interaction)


async def _clear_waiting(interaction: Interaction, why: str, user_id: int, newest: int) -> None:
    """Cancel the waiting jobs of the server or of one person, up to the newest that was counted."""
    requester, waiting = requester_of(interaction), interaction.client.service.waiting
    await interaction.response.defer()
    jobs = [job for job in await waiting.of_server(requester, user_id or None) if job.id <= newest]
    moved = await waiting.cancel(requester, jobs, reason_of("queue_cleared", why))
    await change_answer(interaction, say("cleared", requester.locale, count=len(moved)))


async def cancel_job(interaction: Interaction, job_id: int, number: int) -> None:
    """Cancel a job by its button; somebody else's after a form for the reason. Its message shows the result."""
    requester, service = requester_of(interaction), interaction.client.service
    job = await service.archive.own(requester, job_id)
    if job.user_id != requester.user_id and job.state in (JobState.QUEUED, JobState.RUNNING):
        title = say("cancel_title", requester.locale, job=job_id)
        await ReasonForm(title, requester.locale, "cancel", job_id, number).open(interaction)
        return
    await _cancel(interaction, "", job_id, number)


async def _cancel(interaction: Interaction, why: str, job_id: int, _number: int) -> None:
    await interaction.client.service.cancel(requester_of(interaction), job_id, why)
    await interaction.response.defer()


# Retention


async def set_retention(interaction: Interaction, days: int) -> None:
    """Set the retention period; ask first if pictures go at once."""
    requester, guilds = requester_of(interaction), interaction.client.service.guilds
    plan = await guilds.retention_plan(requester, days)
    locale = requester.locale
    if plan.pictures:
        at = _hours(interaction)
        text = say("retention_sure", locale, count=plan.days, pictures=plan.pictures, jobs=plan.jobs, hours=at)
        label = say("button_retention", locale, count=plan.days, pictures=plan.pictures)
        await ask(interaction, text, "retention", str(days), label)
        return
    await guilds.set_retention(requester, days)
    await reply(interaction, await retention_text(interaction, requester, days))


async def retention_text(interaction: Interaction, requester: Requester, days: int | None = None) -> str:
    """The retention period in effect, and when the next picture goes; `days` is what was asked for."""
    guilds, locale = interaction.client.service.guilds, requester.locale
    plan = await guilds.retention_plan(requester, await guilds.retention_days(requester.guild_id))
    text = say("privacy_days" if plan.days else "privacy_ever", locale, count=plan.days)
    if days is not None and days != plan.days:
        text += " " + say("retention_of_host", locale)
    if plan.next_at is not None:
        text += " " + say("retention_next", locale, at=f"<t:{round(plan.next_at)}:R>")
    return text


async def _retain(interaction: Interaction, value: str) -> None:
    requester = requester_of(interaction)
    await interaction.client.service.guilds.set_retention(requester, int(value))
    text = await retention_text(interaction, requester, int(value))
    text += "\n" + say("retention_going", requester.locale, hours=_hours(interaction))
    await interaction.response.edit_message(content=text, view=None)


def _hours(interaction: Interaction) -> int:
    """Hours within which old pictures are deleted."""
    return max(1, round(interaction.client.config.timing.retention_s / 3_600))


# Blocklist


async def add_rule(interaction: Interaction, rule: str) -> None:
    """Forbid a word or phrase, and ask whether to cancel the waiting jobs that hold it."""
    requester, service = requester_of(interaction), interaction.client.service
    kept = await service.words.add_block(requester, rule)
    jobs = await in_time(interaction, service.waiting.breaking(requester, kept), private=True)
    locale, text = requester.locale, say("rule_added", requester.locale, rule=as_typed(kept, RULE))
    if not jobs:
        await reply(interaction, text)
        return
    text += "\n" + say("rule_jobs", locale, count=len(jobs)) + "\n" + whose(jobs)
    await ask(interaction, text, "rule", digest_of(kept), say("button_cancel_jobs", locale, count=len(jobs)))


def digest_of(rule: str) -> str:
    """A short name of a rule for a custom id, in which the rule itself does not fit."""
    return hashlib.sha256(rule.encode()).hexdigest()[:_DIGITS]


async def _cancel_by_rule(interaction: Interaction, value: str) -> None:
    requester, service = requester_of(interaction), interaction.client.service
    rules = await service.words.blocklist(requester)
    rule = next((rule for rule in rules if digest_of(rule) == value), None)
    if rule is None:
        raise NotFound("rule_gone")
    await interaction.response.defer()
    jobs = await service.waiting.breaking(requester, rule)
    moved = await service.waiting.cancel(requester, jobs, Sentence.of("cancelled_by_rule", rule=rule))
    await change_answer(interaction, say("cleared", requester.locale, count=len(moved)))


# People


async def block_person(interaction: Interaction, user_id: int) -> None:
    """Block a person; ask first if unfinished jobs go with it."""
    requester, service = requester_of(interaction), interaction.client.service
    jobs = await service.waiting.unfinished(requester, user_id)
    locale = requester.locale
    if jobs:
        text = say("block_sure", locale, person=f"<@{user_id}>", count=len(jobs))
        await ask(interaction, text, "person", str(user_id), say("button_block", locale, count=len(jobs)))
        return
    await service.guilds.block_person(requester, user_id)
    await reply(interaction, say("person_is_blocked", locale, person=f"<@{user_id}>"))


async def _block(interaction: Interaction, value: str) -> None:
    requester = requester_of(interaction)
    await interaction.response.defer()
    count = await block_and_cancel(interaction, requester, int(value))
    text = say("person_is_blocked", requester.locale, person=f"<@{int(value)}>")
    await change_answer(interaction, f"{text} {say('cleared', requester.locale, count=count)}")


async def block_and_cancel(interaction: Interaction, requester: Requester, user_id: int) -> int:
    """Block a person and cancel the unfinished jobs; return their number."""
    service = interaction.client.service
    await service.guilds.block_person(requester, user_id)
    jobs = await service.waiting.unfinished(requester, user_id)
    return len(await service.waiting.cancel(requester, jobs, Sentence.of("cancelled_by_block")))


ACTIONS: Mapping[str, Callable[[Interaction, str], Awaitable[None]]] = {
    "clear": _clear,
    "retention": _retain,
    "rule": _cancel_by_rule,
    "person": _block,
}
REASONED: Mapping[str, Callable[[Interaction, str, int, int], Awaitable[None]]] = {
    "clear": _clear_waiting,
    "cancel": _cancel,
}
"""Actions of the form for a reason: they get the interaction, the reason and the two numbers of its state."""
