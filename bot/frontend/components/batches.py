"""Batches: asked about first, with a count, and begun, dropped, cancelled and shown by buttons. Event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any, Self

import discord

from bot.errors import NotFound
from bot.frontend.answering import in_time, reply, take_on
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.components.modals import LABEL, TEXT, PersistentForm
from bot.frontend.errors import errors_shown
from bot.frontend.messages.batches import alt_text_of, batch_buttons
from bot.frontend.words import as_typed, within
from bot.jobs import Batch
from bot.service import JobSpec
from bot.texts import say

LISTED, LINE = 1_200, 100
"""Characters of the prompts that a question lists, and of each of them."""
OPTIONS = 1_000
"""Characters of the options of a batch."""
COMMENT = "#"
"""Beginning of a line of a file of prompts that is none."""


async def submit_all(interaction: Interaction, spec: JobSpec) -> None:
    """Submit a job for each prompt that the spec's prompt stands for: one at once, several after a question."""
    service = interaction.client.service
    expansion = await service.batches.expand(interaction.guild_id or 0, spec.prompt)
    specs = [replace(spec, prompt=prompt) for prompt in expansion.prompts]
    if len(specs) == 1:
        await take_on(interaction, lambda requester: service.submissions.submit(requester, specs[0]))
    else:
        await ask(interaction, specs, spec.prompt, *expansion.axes)


async def ask(
    interaction: Interaction,
    specs: Sequence[JobSpec],
    title: str,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> None:
    """Say privately how many pictures some specs make, with buttons to queue them or not."""
    requester = requester_of(interaction)
    check_place(interaction)
    work = interaction.client.service.batches.ask(requester, specs, title, columns, rows)
    batch = await in_time(interaction, work, private=True)
    text = [say("batch_sure", requester.locale, count=batch.pictures)]
    if columns:
        for labels in filter(None, (rows, columns)):
            text.append(say("batch_axis", requester.locale, labels=as_typed(", ".join(labels), 300)))
    else:
        text += [f"**{number}.** {as_typed(spec.prompt, LINE)}" for number, spec in enumerate(specs, 1)]
    await reply(interaction, within(text, LISTED), buttons=batch_buttons(batch, "go", "drop"))


async def ask_about_lines(interaction: Interaction, text: str, options: str, title: str) -> None:
    """Ask about a batch of the prompts in a text, one to a line; each may stand for several."""
    batches, specs = interaction.client.service.batches, list[JobSpec]()
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith(COMMENT):
            found = await batches.expand(interaction.guild_id or 0, line)
            specs += [JobSpec(prompt=prompt, options=options) for prompt in found.prompts]
    if not specs:
        raise NotFound("batch_no_prompts")
    await ask(interaction, specs, title)


class BatchForm(PersistentForm):
    """Modal for prompts, one to a line, and for options of all of them."""

    kind = "batch"

    def __init__(self, options: str, locale: str) -> None:
        super().__init__(say("batch_form", locale))
        self.prompts: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=TEXT, custom_id="prompts"
        )
        self.options: discord.ui.TextInput[Any] = discord.ui.TextInput(
            default=options or None, required=False, max_length=OPTIONS, custom_id="options"
        )
        self.add_item(discord.ui.Label(text=say("batch_form_prompts", locale), component=self.prompts))
        self.add_item(discord.ui.Label(text=say("option_batch_options", locale)[:LABEL], component=self.options))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal, which says all by itself."""
        return cls("", locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Ask about the batch."""
        text = self.prompts.value
        await ask_about_lines(interaction, text, self.options.value, text.strip().partition("\n")[0] + " …")


async def press(interaction: Interaction, action: str, batch_id: int) -> None:
    """Run the action of a batch's button, or explain a refusal."""
    async with errors_shown(interaction):
        await ACTIONS[action](interaction, batch_id)


async def _go(interaction: Interaction, batch_id: int) -> None:
    """Queue the jobs; the question is replaced by its result."""
    requester, app = requester_of(interaction), interaction.client
    check_place(interaction)
    granted = interaction.app_permissions
    with_thread = (
        granted.create_public_threads
        and granted.send_messages_in_threads
        and not isinstance(interaction.channel, discord.Thread)
    )

    async def place(batch: Batch) -> int:
        return await app.batches.place(batch, with_thread=with_thread)

    await interaction.response.defer()
    jobs = await app.service.batches.begin(requester, batch_id, place)
    app.batches.follow(batch_id)
    await interaction.edit_original_response(content=say("batch_queued", requester.locale, count=len(jobs)), view=None)


async def _drop(interaction: Interaction, batch_id: int) -> None:
    requester = requester_of(interaction)
    await interaction.client.service.batches.drop(requester, batch_id)
    await interaction.response.edit_message(content=say("batch_dropped", requester.locale), view=None)


async def _cancel(interaction: Interaction, batch_id: int) -> None:
    requester = requester_of(interaction)
    work = interaction.client.service.batches.cancel(requester, batch_id)
    count = await in_time(interaction, work, private=True)
    await reply(interaction, say("batch_cancelled", requester.locale, count=count))


async def _show(interaction: Interaction, batch_id: int) -> None:
    """Show the sheet of a private batch to its owner."""
    requester, batches = requester_of(interaction), interaction.client.service.batches
    view = await batches.shown(requester, batch_id)
    sheet = await in_time(interaction, batches.sheet(view), private=True)
    if sheet is None:
        raise NotFound("nothing_to_show")
    await reply(interaction, files=[discord.File(BytesIO(sheet.data), sheet.name, description=alt_text_of(view.batch))])


ACTIONS: Mapping[str, Callable[[Interaction, int], Awaitable[None]]] = {
    "go": _go,
    "drop": _drop,
    "cancel": _cancel,
    "show": _show,
}
