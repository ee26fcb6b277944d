"""What the buttons below a job's message do. Event loop; whether a person may is the service's to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot.errors import NotFound
from bot.frontend import pictures
from bot.frontend.answering import take_on
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components import remix, report
from bot.frontend.errors import told
from bot.jobs import Origin
from bot.service import FollowUp

Deed = Callable[[Interaction, int, int], Awaitable[None]]


async def press(interaction: Interaction, action: str, job_id: int, number: int) -> None:
    """Do what a button of a job stands for, or say why not."""
    async with told(interaction):
        deed = DEEDS.get(action)
        if deed is None:
            raise NotFound("button_unknown")
        await deed(interaction, job_id, number)


def go_on(kind: Origin) -> Deed:
    """A button that orders another picture from this one."""

    async def deed(interaction: Interaction, job_id: int, number: int) -> None:
        change = FollowUp(kind=kind)
        await take_on(
            interaction, lambda requester: interaction.client.service.go_on(requester, job_id, number, change)
        )

    return deed


async def finish(interaction: Interaction, job_id: int, number: int) -> None:
    """Keep the picture so far; the job's own message says the rest."""
    await interaction.client.service.finish_early(requester_of(interaction), job_id)
    await interaction.response.defer()


async def cancel(interaction: Interaction, job_id: int, number: int) -> None:
    """Cancel; the job's own message says the rest."""
    await interaction.client.service.cancel(requester_of(interaction), job_id)
    await interaction.response.defer()


DEEDS: Mapping[str, Deed] = {
    "again": go_on(Origin.AGAIN),
    "vary": go_on(Origin.VARY),
    "continue": go_on(Origin.CONTINUE),
    "upscale": go_on(Origin.UPSCALE),
    "remix": remix.ask,
    "finish": finish,
    "cancel": cancel,
    "show": pictures.show,
    "timelapse": pictures.timelapse,
    "recipe": pictures.recipe,
    "delete": pictures.ask_to_delete,
    "erase": pictures.delete,
    "report": report.ask,
}
