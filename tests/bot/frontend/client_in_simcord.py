"""Real: client, service, database and thread. Fake: Discord (simcord, in this process) and the dream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import discord
import simcord
from simcord.results import InteractionResult, ResponseMessage

from bot.config import Config
from bot.frontend.client import Reverie
from bot.jobs import Job, JobState
from bot.service import Requester, Service
from bot.wiring import build
from generator import Settings
from tests.bot.fake_dream import FakeDreamer
from tests.discord_fake import components

T = TypeVar("T")
TIMEOUT_S = 120.0
SETTINGS = Settings().merged({"size": "64x64", "steps": 4, "cutouts": 4})


class Waits:
    """Forwards the application's waits to the current simulated Discord."""

    env: simcord.Env | None = None

    async def __call__(self, awaitable: Awaitable[T], reason: str, /) -> T:
        if self.env is None:
            return await awaitable
        result: T = await self.env.external_wait(awaitable, reason=reason)
        return result


class ClientInSimcord:
    """A server with one channel, a member, another member and an admin."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.config, self.folder = config, folder
        self.engine, self.waits = FakeDreamer(), Waits()

    def make_client(self) -> Reverie:
        """A client with everything behind it, on the same data folder after each restart."""
        self.client = build(self.config, self.folder, self.engine, SETTINGS, external_wait=self.waits, shard_count=1)
        client = self.client
        client.fetch = lambda address: client.http.get_from_cdn(address)
        return client

    def furnish(self, env: simcord.Env) -> None:
        """Create people and a channel."""
        self.env = env
        self.guild = env.create_guild("Test")
        self.channel = self.guild.create_text_channel("pictures")
        self.ann = self.guild.add_member(env.create_user("ann"))
        self.bob = self.guild.add_member(env.create_user("bob"))
        self.manager = self.guild.create_role("manager", permissions=discord.Permissions(manage_guild=True))
        self.admin = self.guild.add_member(env.create_user("admin"), roles=[self.manager])

    def demote_admin(self) -> None:
        """Take from the admin the permission to manage the server."""
        self.env.backend.remove_member_role(self.guild.id, self.admin.id, self.manager.id)

    @property
    def service(self) -> Service:
        return self.client.service

    async def until(self, fulfilled: Callable[[], Awaitable[T | None]]) -> T:
        """Advance time until a condition holds."""
        end = time.perf_counter() + TIMEOUT_S
        while time.perf_counter() < end:
            value = await fulfilled()
            if value:
                return value
            await asyncio.sleep(0.01)
            await self.env.advance_time(1.0)
        raise AssertionError("it did not come to pass")

    async def job(self, job_id: int = 1) -> Job:
        """Read a job from the database."""
        job = await self.service.store.jobs.get(job_id)
        assert job is not None
        return job

    async def ended(self, job_id: int = 1, state: JobState = JobState.DONE) -> Job:
        """Return the job, once it has reached that state and its message says so."""

        async def look() -> Job | None:
            job = await self.job(job_id)
            return job if job.state is state and job.told else None

        return await self.until(look)

    def message(self, index: int = -1) -> discord.Message:
        """Read a message from the channel."""
        return self.channel.history()[index]

    def said(self, index: int = -1) -> str:
        """Read all texts of a message from the channel."""
        return said(self.message(index))

    async def click_more(self, member: simcord.MemberActor, message: discord.Message, label: str) -> InteractionResult:
        """Press a button behind *More*."""
        more: InteractionResult = await member.click(message, label="More")
        return await member.click(reply_of(more), label=label)

    def requester(self, member: simcord.MemberActor) -> Requester:
        """Return the member as the service sees it."""
        manages = member is self.admin
        return Requester(guild_id=self.guild.id, channel_id=self.channel.id, user_id=member.id, manages=manages)

    async def open_command(self, name: str, member: simcord.MemberActor) -> None:
        """Let a member see a command, as the server's admins can."""
        found = next(item for item in await self.client.tree.fetch_commands() if item.name == name.split()[0])
        self.guild.set_command_permissions(found, {member: True})

    async def stop(self) -> None:
        """Stop properly, also while steps are held."""
        await self.engine.let_go(self.client.close(), lambda: self.service.submissions.closed)

    async def restart(self) -> None:
        """Stop the process properly and start it again."""
        await self.stop()
        await self.env.restart_bot(self.make_client())

    async def finished_job(self, prompt: str = "a red apple", **options: object) -> discord.Message:
        """Return the message of a finished picture of Ann's."""
        await self.ann.slash(self.channel, "imagine", prompt=prompt, **options)
        jobs = await self.service.store.jobs.under_way()
        job_id = jobs[-1].id if jobs else 1
        await self.ended(job_id)
        return self.message()


def said(message: discord.Message | ResponseMessage) -> str:
    """All texts of a message, those of its embeds and components too."""
    tree = [item.to_dict() for item in message.components] if isinstance(message, discord.Message) else None
    texts = [message.content]
    for embed in message.embeds:
        texts += [embed.description or "", embed.footer.text or ""]
    texts += components.texts(message.components if tree is None else tree)  # type: ignore[arg-type]  # as JSON
    return "\n".join(filter(None, texts))


def reply_of(answer: InteractionResult) -> ResponseMessage:
    """Return the texts visible only to the requester."""
    reply = answer.response or answer.followups[0]
    assert reply.ephemeral
    return reply
