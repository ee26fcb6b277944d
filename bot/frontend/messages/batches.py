"""The message of a batch: how many of its pictures are done, and at the end all of them on one sheet. Event loop.

The state is read from the database at intervals, so that a batch goes on after a restart as before it. A button's only
state is its custom id, `reverie-batch:ACTION:BATCH`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any, Self, cast

import discord

from bot.errors import BotError
from bot.frontend.app import App
from bot.frontend.messages.content import PlainContent
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of, wait_s
from bot.frontend.messages.render import ALT_TEXT, SHOWN_PROMPT, bar
from bot.frontend.words import as_typed, within
from bot.jobs import Batch, JobState
from bot.log import about
from bot.service import BatchView, PictureFile
from bot.texts import say
from bot.waiting import FOR_A_TIME, ExternalWait

LOOK_S = 5.0
"""Interval between two looks at a batch."""
LEGEND, LINE = 1_200, 100
"""Characters of the list of prompts below a numbered sheet, and of each of its lines."""
STYLES = {
    "go": discord.ButtonStyle.success,
    "drop": discord.ButtonStyle.secondary,
    "cancel": discord.ButtonStyle.danger,
    "show": discord.ButtonStyle.primary,
}
_log = logging.getLogger(__name__)


class BatchButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"reverie-batch:(?P<action>go|drop|cancel|show):(?P<batch>\d{1,18})",
):
    """Button of a batch; it passes every press to `App.press_batch`."""

    def __init__(self, action: str, batch_id: int, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.batch_id = action, batch_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that was pressed."""
        return cls(match["action"], int(match["batch"]), cast("discord.ui.Button[Any]", item))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass the press to `App.press_batch`."""
        await interaction.client.press_batch(interaction, self.action, self.batch_id)


def batch_buttons(batch: Batch, *actions: str) -> discord.ui.View:
    """Buttons of a batch."""
    buttons = discord.ui.View(timeout=None)
    for action in actions:
        label = say(f"button_batch_{action}", batch.locale, count=batch.pictures)
        item: discord.ui.Button[Any] = discord.ui.Button(
            style=STYLES[action], label=label, custom_id=f"reverie-batch:{action}:{batch.id}"
        )
        buttons.add_item(BatchButton(action, batch.id, item))
    return buttons


def under_way(batch: Batch, counts: Mapping[JobState, int]) -> PlainContent:
    """Content while jobs of a batch wait or run."""
    done = sum(number for state, number in counts.items() if state.ended)
    text = say(
        "batch_under_way",
        batch.locale,
        count=batch.pictures,
        user=f"<@{batch.user_id}>",
        bar=bar(done, batch.length),
        done=done,
        of=batch.length,
    )
    return PlainContent(f"{text}{_title_of(batch)}{_thread_of(batch)}", batch_buttons(batch, "cancel"))


def ended(view: BatchView, sheet: PictureFile | None) -> PlainContent:
    """Content at the end: the sheet, a list of the prompts if it is numbered, and the jobs without a picture."""
    batch, locale = view.batch, view.batch.locale
    lost = sum(job.state is not JobState.DONE for job in view.jobs) + batch.length - len(view.jobs)
    text = say("batch_ended", locale, count=batch.pictures, user=f"<@{batch.user_id}>") + _title_of(batch)
    if lost:
        text += "\n" + say("batch_lost", locale, count=lost)
    if not batch.columns and not batch.private:
        lines = [f"**{(job.batch_place or 0) + 1}.** {as_typed(job.prompt, LINE)}" for job in view.jobs]
        text += "\n" + within(lines, LEGEND)
    text += _thread_of(batch)
    buttons = batch_buttons(batch, "show") if batch.private else None
    files = () if sheet is None or batch.private else (sheet,)
    return PlainContent(text, buttons, files, (alt_text_of(batch),))


def alt_text_of(batch: Batch) -> str:
    """Alternative text of the sheet of a batch."""
    axes = " × ".join(", ".join(labels) for labels in (batch.rows, batch.columns) if labels)
    title = f"{batch.title} ({axes})" if axes else batch.title
    return say("batch_alt_text", batch.locale, title=title, count=batch.pictures)[:ALT_TEXT]


class BatchMessages:
    """The messages of all batches that have not ended."""

    def __init__(self, app: App, external_wait: ExternalWait) -> None:
        self._app, self._wait = app, external_wait
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def recover(self) -> None:
        """Go on with all batches whose message is not final, after a start."""
        for batch in await self._app.service.batches.untold():
            self.follow(batch.id)

    def follow(self, batch_id: int) -> None:
        """Keep the message of a batch up to date until its end."""
        task = self._tasks[batch_id] = asyncio.create_task(self._follow(batch_id), name=f"batch {batch_id}")
        task.add_done_callback(lambda _: self._tasks.pop(batch_id, None))

    async def close(self) -> None:
        """Stop following."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def place(self, batch: Batch, *, with_thread: bool) -> int:
        """Send the message of a batch and, if wanted, open a thread below it; return the channel for its pictures."""
        shown = under_way(batch, {})
        channel = self._app.get_partial_messageable(batch.channel_id, guild_id=batch.guild_id)
        view = shown.buttons or discord.utils.MISSING
        sent = await channel.send(shown.content, view=view, nonce=f"reverie-b{batch.id}")
        await self._app.service.batches.change(batch.id, message_id=sent.id)
        if not with_thread:
            return batch.channel_id
        name = say("batch_thread", batch.locale, batch=batch.id, title="" if batch.private else batch.title)
        try:
            thread = await sent.create_thread(name=name[:100].strip(" ·"))
        except (*TROUBLE, ValueError) as exc:
            # Such as in the text of a voice channel, which has no threads.
            _log.info("no thread for a batch: %r", exc, extra=about(guild=batch.guild_id))
            return batch.channel_id
        await self._app.service.batches.change(batch.id, thread_id=thread.id)
        return thread.id

    async def _follow(self, batch_id: int) -> None:
        """Update the message until the batch has ended; an error of Discord that lasts ends it too."""
        shown, tries = "", 0
        while True:
            try:
                content = await self._update(batch_id, shown)
                shown, tries = content or "", 0
                if content is None:
                    return
                pause_s = LOOK_S
            except BotError:  # The database may accept it later.
                _log.exception("the message of a batch waits", extra=about(batch=batch_id))
                pause_s, tries = wait_s(TimeoutError(), tries), tries + 1
            except TROUBLE as exc:
                if fault_of(exc) is not Fault.PASSING:
                    _log.info("the message of a batch stays as it is: %r", exc, extra=about(batch=batch_id))
                    await self._app.service.batches.change(batch_id, told=True)
                    return
                pause_s, tries = wait_s(exc, tries), tries + 1
            await self._wait(asyncio.sleep(pause_s), FOR_A_TIME)

    async def _update(self, batch_id: int, shown: str) -> str | None:
        """Bring the message up to date; return its text, or None if it is final. `shown` is its text so far."""
        batches = self._app.service.batches
        batch, counts = await batches.get(batch_id), await batches.counts(batch_id)
        if batch is None or batch.told or batch.message_id is None:
            return None
        if not counts and not batch.begun:
            # The process ended after the message was sent and before the jobs were queued.
            await self._message(batch).delete()
            await batches.change(batch_id, message_id=None, thread_id=None)
            return None
        if all(state.ended for state in counts):
            view = await batches.view(batch)
            await self._edit(batch, ended(view, await batches.sheet(view)))
            await batches.change(batch_id, told=True)
            await self._ping(batch)
            return None
        content = under_way(batch, counts)
        if content.content != shown:
            await self._edit(batch, content)
        return content.content

    async def _edit(self, batch: Batch, shown: PlainContent) -> None:
        await self._message(batch).edit(content=shown.content, attachments=shown.uploads(), view=shown.buttons)

    def _message(self, batch: Batch) -> discord.PartialMessage:
        channel = self._app.get_partial_messageable(batch.channel_id, guild_id=batch.guild_id)
        return channel.get_partial_message(batch.message_id or 0)

    async def _ping(self, batch: Batch) -> None:
        """Ping the owner once in the thread, if the owner's settings say so."""
        if not await self._app.service.personal_settings.wants_ping(batch.user_id, batch.created_at):
            return
        channel = self._app.get_partial_messageable(batch.thread_id or batch.channel_id, guild_id=batch.guild_id)
        link = f"https://discord.com/channels/{batch.guild_id}/{batch.channel_id}/{batch.message_id}"
        text = say("ping_done", batch.locale, user=f"<@{batch.user_id}>", count=batch.pictures, link=link)
        only = discord.AllowedMentions(everyone=False, roles=False, users=[discord.Object(batch.user_id)])
        try:
            await channel.send(text, nonce=f"reverie-b{batch.id}-p", allowed_mentions=only)
        except TROUBLE as exc:
            _log.info("the owner of a batch cannot be pinged: %r", exc, extra=about(batch=batch.id))


def _title_of(batch: Batch) -> str:
    return "" if batch.private else f"\n{as_typed(batch.title, SHOWN_PROMPT)}"


def _thread_of(batch: Batch) -> str:
    return "" if batch.thread_id is None else f"\n<#{batch.thread_id}>"
