"""/queue and /cancel: the waiting and running jobs of this server. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.messages.render import when
from bot.frontend.wording import described
from bot.frontend.words import prompt_as_typed
from bot.jobs import JobState
from bot.service import JobView
from bot.service.moderation.waiting_jobs import MAX_REASON
from bot.texts import say

SHOWN = 15
PROMPT = 60


@app_commands.command(name="queue", description=described("command_queue"))
@app_commands.guild_only()
async def queue(interaction: Interaction) -> None:
    """Show the running and waiting jobs in order."""
    requester = requester_of(interaction)
    views = await interaction.client.service.queue(requester)
    if not views:
        await reply(interaction, say("queue_empty_alone" if requester.alone else "queue_empty", requester.locale))
        return
    lines = [_line(view, requester.locale) for view in views[:SHOWN]]
    if len(views) > SHOWN:
        lines.append(say("queue_more", requester.locale, count=len(views) - SHOWN))
    paused = await interaction.client.service.guilds.paused(requester.guild_id)
    key = "queue_title_paused" if paused else "queue_title_alone" if requester.alone else "queue_title"
    title = say(key, requester.locale, count=len(views))
    await reply(interaction, embed=discord.Embed(title=title, description="\n".join(lines)))


async def complete_job(interaction: Interaction, typed: str) -> list[app_commands.Choice[int]]:
    """The person's jobs that have not ended."""
    jobs = await interaction.client.service.mine(requester_of(interaction))
    names = [(job.id, f"#{job.id} · {job.prompt}"[:100]) for job in jobs]
    return [app_commands.Choice(name=name, value=job_id) for job_id, name in names if typed.lower() in name.lower()][
        :25
    ]


@app_commands.command(name="cancel", description=described("command_cancel"))
@app_commands.describe(job=described("option_job"), reason=described("option_cancel_reason"))
@app_commands.autocomplete(job=complete_job)
@app_commands.guild_only()
async def cancel(
    interaction: Interaction,
    job: app_commands.Range[int, 1] | None = None,
    reason: app_commands.Range[str, 1, MAX_REASON] | None = None,
) -> None:
    """Cancel a job; without a number, the person's newest. Its owner is told an admin's reason."""
    requester, service = requester_of(interaction), interaction.client.service
    if job is None:
        mine = await service.mine(requester)
        if not mine:
            raise NotFound("nothing_to_cancel")
        job = mine[-1].id
    cancelled = await service.cancel(requester, job, reason or "")
    prompt = prompt_as_typed(cancelled.prompt, PROMPT, requester.locale)
    await reply(interaction, say("cancelled", requester.locale, job=cancelled.id, prompt=prompt))


def _line(view: JobView, locale: str) -> str:
    job = view.job
    prompt = "🔒" if job.private and not job.prompt else prompt_as_typed(job.prompt, PROMPT, locale)
    text = f"{prompt} · <@{job.user_id}> · #{job.id}"
    if job.waiting_for_access:
        return say("queue_waits", locale, text=text, channel=f"<#{job.channel_id}>")
    if job.state is JobState.QUEUED:
        place, due = view.place, when(None if view.place is None else view.place.due_at)
        return f"**{'–' if place is None else place.place}.** {text}" + ("" if due is None else f" · {due}")
    progress = view.progress
    share = "" if progress is None else f" {progress.step}/{progress.steps}"
    return f"🎨{share} {text}"
