"""/host: commands for the bot's hosts. Event loop; the service checks the permission."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands

from bot.errors import Refused
from bot.frontend.answering import in_time, reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.messages.render import duration
from bot.frontend.wording import described
from bot.service import HostStatus, WorkerStatus
from bot.texts import Sentence, say

MIB = 2**20
SHOWN_PAINTERS, SHOWN_FAULTS, FAULT = 8, 2, 200

host = app_commands.Group(
    name="host",
    description=described("command_host"),
    guild_only=True,
    default_permissions=discord.Permissions(administrator=True),
)


painters = app_commands.Group(name="painters", description=described("command_host_painters"), parent=host)


@host.command(name="status", description=described("command_host_status"))
async def status(interaction: Interaction) -> None:
    """Show the bot's status."""
    requester = requester_of(interaction)
    found = await in_time(interaction, interaction.client.service.host.status(requester), private=True)
    text = say(
        "host_status",
        requester.locale,
        version=found.version,
        up=duration(found.up_s, requester.locale),
        worker=found.worker or "–",
        models=found.models,
        running=found.running,
        queued=found.queued,
        guilds=found.guilds_waiting,
        posting=found.posting,
        waiting=found.waiting_for_access,
        step=f"{found.step_s:.2f}",
        used=found.data_bytes // MIB,
        free=found.free_bytes // MIB,
        deaths=found.worker_deaths,
        servers=len(interaction.client.guilds),
    )
    text += "\n" + _counted(found, requester.locale)
    if len(found.workers) != 1 or found.faults:
        text += "\n" + painter_lines(found.workers, found.faults, requester.locale)
    if found.draining:
        text += "\n" + say("host_drained", requester.locale)
    await reply(interaction, text)


def _counted(found: HostStatus, locale: str) -> str:
    """Counters since the start, and GPU memory if there is a GPU."""
    totals = found.totals
    lines = [
        say(
            "host_totals",
            locale,
            accepted=totals.accepted,
            pictures=totals.pictures,
            interrupted=totals.interrupted,
            wait=duration(totals.wait_mean_s, locale),
            step=f"{totals.step_mean_s:.2f}",
            **totals.ends,
        )
    ]
    if totals.failures:
        reasons = ", ".join(f"{reason} {count}" for reason, count in totals.failures.items())
        lines.append(say("host_failures", locale, reasons=reasons))
    if found.gpu_bytes:
        lines.append(say("host_gpu", locale, **{kind: count // MIB for kind, count in found.gpu_bytes.items()}))
    return "\n".join(lines)


@host.command(name="drain", description=described("command_host_drain"))
@app_commands.describe(on=described("option_drain"))
async def drain(interaction: Interaction, on: bool = True) -> None:
    """Stop or resume accepting jobs."""
    requester = requester_of(interaction)
    await interaction.client.service.host.drain(requester, on=on)
    await reply(interaction, say("host_drained" if on else "host_open", requester.locale))


@host.command(name="reload-styles", description=described("command_host_reload"))
async def reload_styles(interaction: Interaction) -> None:
    """Reload the host's styles from the config file."""
    requester = requester_of(interaction)
    count = await interaction.client.service.host.reload_styles(requester, interaction.client.config_path)
    await reply(interaction, say("host_reloaded", requester.locale, count=count))


@painters.command(name="list", description=described("command_host_painters_list"))
async def list_painters(interaction: Interaction) -> None:
    """List the painters."""
    requester = requester_of(interaction)
    await reply(interaction, painter_lines(*interaction.client.service.host.workers(requester), requester.locale))


@painters.command(name="drain", description=described("command_host_painters_drain"))
@app_commands.describe(name=described("option_painter"))
async def drain_painter(interaction: Interaction, name: str) -> None:
    """Give a painter no more pictures."""
    requester = requester_of(interaction)
    interaction.client.service.host.set_worker(requester, name, draining=True)
    await reply(interaction, say("painter_drained", requester.locale, name=name))


@painters.command(name="add", description=described("command_host_painters_add"))
@app_commands.describe(name=described("option_painter"))
async def add_painter(interaction: Interaction, name: str) -> None:
    """Give a drained painter pictures again."""
    requester = requester_of(interaction)
    interaction.client.service.host.set_worker(requester, name, draining=False)
    await reply(interaction, say("painter_added", requester.locale, name=name))


@drain_painter.autocomplete("name")
@add_painter.autocomplete("name")
async def complete_painter(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Names of the painters that contain the typed text."""
    try:
        workers, _ = interaction.client.service.host.workers(requester_of(interaction))
    except Refused:
        return []
    names = [worker.name for worker in workers if typed.strip().lower() in worker.name.lower()]
    return [app_commands.Choice(name=name[:100], value=name[:100]) for name in names[:25]]


def painter_lines(workers: Sequence[WorkerStatus], faults: Sequence[Sentence], locale: str) -> str:
    """One line for each painter: device, models, job, speed, last sign of life; then what cannot be used."""
    lines = [_painter_line(worker, locale) for worker in workers[:SHOWN_PAINTERS]]
    if not lines:
        lines = [say("painters_none", locale)]
    if len(workers) > SHOWN_PAINTERS:
        lines.append(say("painters_more", locale, count=len(workers) - SHOWN_PAINTERS))
    return "\n".join([*lines, *(fault.said(locale)[:FAULT] for fault in faults[:SHOWN_FAULTS])])


def _painter_line(worker: WorkerStatus, locale: str) -> str:
    busy = say("painter_idle", locale)
    if worker.job_id is not None:
        busy = say("painter_busy", locale, job=worker.job_id)
        if worker.step_s:
            busy += " · " + say("painter_speed", locale, speed=f"{1 / worker.step_s:.1f}")
    return say(
        "painter_draining" if worker.draining else "painter_line",
        locale,
        name=worker.name,
        device=worker.engine.device or "–",
        models=", ".join(worker.engine.resident) or "–",
        busy=busy,
        silent=duration(worker.silent_s, locale),
    )
