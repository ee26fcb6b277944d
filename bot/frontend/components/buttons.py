"""Actions of the buttons below a job's message. Event loop; the service checks permissions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import discord

from bot.errors import NotFound
from bot.frontend import pictures
from bot.frontend.answering import reply, take_on
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components import confirm, presets, remix, report
from bot.frontend.errors import errors_shown
from bot.frontend.messages.job_buttons import job_button
from bot.jobs import Origin
from bot.service import FollowUp
from bot.texts import say

Action = Callable[[Interaction, int, int], Awaitable[None]]


async def press(interaction: Interaction, action: str, job_id: int, number: int) -> None:
    """Run the action of a job's button, or explain a refusal."""
    async with errors_shown(interaction):
        run = ACTIONS.get(action)
        if run is None:
            raise NotFound("button_unknown")
        await run(interaction, job_id, number)


def go_on(kind: Origin) -> Action:
    """The action of a button that requests a follow-up of this picture."""

    async def request(interaction: Interaction, job_id: int, number: int) -> None:
        change = FollowUp(kind=kind)
        submissions = interaction.client.service.submissions
        await take_on(interaction, lambda requester: submissions.go_on(requester, job_id, number, change))

    return request


async def upscale(interaction: Interaction, job_id: int, number: int) -> None:
    """Paint on at double size; if the host has an upscaler, first ask which of both."""
    name = interaction.client.config.upscaler_name
    if name is None:
        await go_on(Origin.UPSCALE)(interaction, job_id, number)
        return
    requester = requester_of(interaction)
    await interaction.client.service.archive.job(requester, job_id)
    buttons = discord.ui.View(timeout=None)
    for action in ("subtle", "creative"):
        buttons.add_item(job_button(action, job_id, requester.locale, number))
    await reply(interaction, say("upscale_how", requester.locale, name=name), buttons=buttons)


async def finish(interaction: Interaction, job_id: int, number: int) -> None:
    """Finish early with the picture so far; the job's message shows the result."""
    await interaction.client.service.finish_early(requester_of(interaction), job_id)
    await interaction.response.defer()


ACTIONS: Mapping[str, Action] = {
    "again": go_on(Origin.AGAIN),
    "vary": go_on(Origin.VARY),
    "continue": go_on(Origin.CONTINUE),
    "upscale": upscale,
    "subtle": go_on(Origin.ENLARGE),
    "creative": go_on(Origin.UPSCALE),
    "film": go_on(Origin.FILM),
    "remix": remix.ask,
    "finish": finish,
    "cancel": confirm.cancel_job,
    "show": pictures.show,
    "timelapse": pictures.timelapse,
    "heart": pictures.heart,
    "recipe": pictures.recipe,
    "settings": pictures.settings,
    "keep": presets.keep,
    "delete": pictures.ask_to_delete,
    "erase": pictures.delete,
    "more": pictures.more,
    "fetch": pictures.fetch,
    "report": report.ask,
}
