"""/host: commands for the bot's hosts. Event loop; the service checks the permission."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.frontend.answering import in_time, reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.messages.render import duration
from bot.frontend.wording import described
from bot.service import HostStatus
from bot.texts import say

MIB = 2**20

host = app_commands.Group(
    name="host",
    description=described("command_host"),
    guild_only=True,
    default_permissions=discord.Permissions(administrator=True),
)


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
