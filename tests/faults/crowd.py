"""People who request pictures, press buttons and change their minds at random, in several servers. Event loop.

All that they did is kept, with the answer that came or did not come, so that the ledger can hold the bot to it.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.discord_fake import FakeDiscord, Guild, Interaction, Member, Message, NotConnected

TIMEOUT_S = 4.0
"""Time after which a person believes that no answer will come."""
WORDS = ("a red apple", "a blue cat", "a castle at night | fog:0.5", "a green tree", "two yellow stars")
_BUTTON = re.compile(r"reverie:([a-z]+):(\d+):\d")
_FOOTER = re.compile(r"#(\d+)$", re.MULTILINE)


class Kind(StrEnum):
    """Kinds of people's actions."""

    IMAGINE = "imagine"
    AGAIN = "again"
    VARY = "vary"
    CONTINUE = "continue"
    CANCEL = "cancel"
    FINISH = "finish"
    DELETE = "delete"
    FORGET = "forget"
    LOOK = "look"


ORDERS = (Kind.IMAGINE, Kind.AGAIN, Kind.VARY, Kind.CONTINUE)
"""The actions that create a new job."""


@dataclass(frozen=True)
class Action:
    """One action of a person; `job_id` is the job concerned, if any."""

    kind: Kind
    member: Member
    interaction: Interaction
    job_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Taste:
    """The requests that people make, and the frequency of each action.

    Attributes:
        options: of every /imagine.
        steps: from, to.
        most_waiting: largest number of unfinished pictures; at that number they ask for no more.
        pause_s: between two deeds, from, to.
        token_dies: how often an interaction's token ends right after its answer.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[int, int] = (10, 60)
    most_waiting: int = 6
    pause_s: tuple[float, float] = (0.02, 0.25)
    token_dies: float = 0.1
    weights: Mapping[Kind, int] = field(
        default_factory=lambda: {
            Kind.IMAGINE: 40,
            Kind.AGAIN: 6,
            Kind.VARY: 6,
            Kind.CONTINUE: 6,
            Kind.CANCEL: 3,
            Kind.FINISH: 6,
            Kind.DELETE: 2,
            Kind.FORGET: 1,
            Kind.LOOK: 4,
        }
    )


class Crowd:
    """The people of all servers.

    Attributes:
        deeds: all that they did, in order.
    """

    def __init__(self, fake: FakeDiscord, taste: Taste, rng: random.Random, *, guilds: int = 3) -> None:
        self._fake, self._taste, self._rng = fake, taste, rng
        self.actions: list[Action] = []
        self.guilds: list[Guild] = []
        for number in range(guilds):
            guild = fake.world.add_guild(f"server {number}")
            for name in ("pictures", "elsewhere"):
                guild.add_channel(name)
            for name in ("ann", "ben", "cleo"):
                guild.add_member(f"{name}-{number}", locale=rng.choice(["en-US", "de"]))
            self.guilds.append(guild)

    async def live(self) -> None:
        """Do one thing after another, forever; without a session of the bot, Discord offers nothing to do."""
        while True:
            with suppress(NotConnected):
                await self.act()
            await asyncio.sleep(self._rng.uniform(*self._taste.pause_s))

    async def act(self, kind: Kind | None = None) -> Action | None:
        """Do one random action, or one of `kind`; None if it has no possible target."""
        if kind is None:
            kind = self._rng.choices(list(self._taste.weights), list(self._taste.weights.values()))[0]
        guild = self._rng.choice(self.guilds)
        member = self._rng.choice(guild.members)
        if kind in ORDERS and len(self.waiting()) >= self._taste.most_waiting:
            return None
        actions: dict[Kind, Callable[[Guild, Member], Awaitable[Action | None]]] = {
            Kind.IMAGINE: self._imagine, Kind.DELETE: self._delete, Kind.FORGET: self._forget, Kind.LOOK: self._look,
        }  # fmt: skip
        if kind in actions:
            return await actions[kind](guild, member)
        return await self._press(kind)

    @property
    def forgotten(self) -> set[int]:
        """The people who deleted all their data."""
        return {action.member.id for action in self.actions if action.kind is Kind.FORGET}

    def waiting(self) -> list[Message]:
        """The messages that show waiting or running jobs."""
        return [item for item in self.messages() if _has(item, Kind.CANCEL)]

    def messages(self) -> list[Message]:
        """All messages in all channels that everyone can see."""
        return [item for guild in self.guilds for channel in guild.channels for item in channel.posts()]

    async def _imagine(self, guild: Guild, member: Member) -> Action:
        rng, taste = self._rng, self._taste
        options: dict[str, Any] = dict(taste.options) | {
            "steps": rng.randint(*taste.steps),
            "seed": rng.randrange(2**31),
        }
        if rng.random() < 0.3:
            options["count"] = rng.randint(2, 4)
        if rng.random() < 0.15:
            options["timelapse"] = True
        channel = rng.choice(guild.channels)
        prompt = rng.choice(WORDS)
        typed = await self._fake.type_command(channel, member, "imagine", prompt=prompt, **options)
        return await self._record(Action(Kind.IMAGINE, member, typed))

    async def _press(self, kind: Kind) -> Action | None:
        """Press a button of this kind below a random message that has one, as the requester of its picture."""
        found = [item for item in self.messages() if _has(item, kind)]
        if not found:
            return None
        message = self._rng.choice(found)
        member = self._owner(message)
        pressed = await self._fake.press(message, f"reverie:{kind.value}", member)
        return await self._record(Action(kind, member, pressed, job_of(message)))

    async def _delete(self, guild: Guild, member: Member) -> Action | None:
        found = [item for item in self.messages() if _leads_to(item, "more")]
        if not found:
            return None
        message = shown = self._rng.choice(found)
        member = self._owner(message)
        for step, after in (("more", "delete"), ("delete", "erase")):
            answer = await self._answered(await self._fake.press(shown, f"reverie:{step}", member))
            if answer is None or answer.message is None or not _leads_to(answer.message, after):
                return None
            shown = answer.message
        pressed = await self._fake.press(shown, "reverie:erase", member)
        return await self._record(Action(Kind.DELETE, member, pressed, job_of(message)))

    async def _forget(self, guild: Guild, member: Member) -> Action | None:
        member = guild.members[-1]
        asked = await self._answered(await self._fake.type_command(guild.channels[0], member, "privacy"))
        for button in ("reverie-own:forget", "reverie-own:sure"):
            message = None if asked is None else asked.message
            if message is None or button not in message.custom_ids():
                return None
            pressed = await self._fake.press(message, button, member)
            if button.endswith("sure"):
                return await self._record(Action(Kind.FORGET, member, pressed))
            asked = await self._answered(pressed)
        return None

    async def _look(self, guild: Guild, member: Member) -> Action:
        command = self._rng.choice(["queue", "gallery", "about"])
        return await self._record(
            Action(Kind.LOOK, member, await self._fake.type_command(guild.channels[0], member, command))
        )

    async def _record(self, action: Action) -> Action:
        """Record an action, then wait for its answer as long as a person would."""
        self.actions.append(action)
        answered = await self._answered(action.interaction)
        if answered is not None and action.kind in ORDERS and self._rng.random() < self._taste.token_dies:
            action.interaction.dead = True
        return action

    async def _answered(self, interaction: Interaction) -> Interaction | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await interaction.done.wait()
        except TimeoutError:
            return None
        return interaction if interaction.callback is not None else None

    def _owner(self, message: Message) -> Member:
        """The first person named in a message: the requester of its picture."""
        members: list[Member] = message.channel.guild.members
        return next((item for item in members if f"<@{item.id}>" in message.said()), members[0])


def job_of(message: Message) -> int | None:
    """The job of a message, by its buttons, else by the line of its recipe."""
    for custom_id in message.custom_ids():
        if (found := _BUTTON.fullmatch(custom_id)) is not None:
            return int(found[2])
    found = _FOOTER.search(message.said())
    return None if found is None else int(found[1])


def _has(message: Message, kind: Kind) -> bool:
    return _leads_to(message, kind.value)


def _leads_to(message: Message, action: str) -> bool:
    return any(item.startswith(f"reverie:{action}:") for item in message.custom_ids())
