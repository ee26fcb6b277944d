"""Actions of people in the fake Discord: commands, buttons, menus, forms; and the bot's answers. Its event loop."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import discord

from tests.discord_fake.ids import new_id
from tests.discord_fake.world import Attachment, Channel, Member, Message, Payload, World, said

FILE_BYTES = 10 * 2**20
"""Size limit of a file in a server without boosts."""
REQUEST_BYTES = 25 * 2**20
"""Size limit of all files of a request."""


class Kind(IntEnum):
    """The kind of an action."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


TEXT, CHECKBOX = 4, 23
"""Types of fields in a form."""


class Option(IntEnum):
    """Types of options that need conversion."""

    SUBCOMMAND = 1
    GROUP = 2
    ATTACHMENT = 11


@dataclass(frozen=True)
class Upload:
    """A file that a person attaches to a command."""

    filename: str
    data: bytes = field(repr=False)
    content_type: str = "image/png"


@dataclass(eq=False)
class Interaction:
    """One action of a person, and the bot's answers.

    Attributes:
        callback: the bot's first answer (`type`, `data`), once it came.
        message: the message of `@original`: the one that the answer made, or the one that was clicked.
        followups: later messages.
        told_at: time of the first answer that is more than a sign of thinking.
        loading: True if the bot said that it is thinking, and nothing since.
        dead: True if its token is expired.
    """

    kind: Kind
    member: Member
    channel: Channel
    id: int
    token: str = field(default_factory=lambda: secrets.token_hex(40))
    began_at: float = field(default_factory=time.monotonic)
    answered_at: float | None = None
    told_at: float | None = None
    callback: Payload | None = None
    message: Message | None = None
    followups: list[Message] = field(default_factory=list)
    loading: bool = False
    dead: bool = False
    refused: str = ""
    """The reason why Discord refused the answer."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def context(self) -> int:
        """A server, or direct messages with the bot."""
        return 0 if self.channel.recipient is None else 1

    @property
    def hidden(self) -> bool:
        """True if the server hides what the apps of its members answer."""
        allowed = self.member.permissions & discord.Permissions(use_external_apps=True).value
        return not self.channel.guild.joined and self.context == 0 and not allowed

    def installed_by(self) -> dict[str, str]:
        """The server that installed the app, or else the person."""
        if self.channel.guild.joined:
            return {"0": str(self.channel.guild.id)}
        message = self.message if self.kind is Kind.COMPONENT else None
        installer = None if message is None else message.installed_by
        return {"1": str(self.member.id if installer is None else installer)}

    @property
    def latency_s(self) -> float:
        """Seconds until the answer arrived; infinite without one."""
        return float("inf") if self.answered_at is None else self.answered_at - self.began_at

    @property
    def told_after_s(self) -> float:
        """Seconds until the bot answered more than that it is thinking; infinite if it did not."""
        return float("inf") if self.told_at is None else self.told_at - self.began_at

    def note_told(self) -> None:
        """Note the time of an answer that is more than a sign of thinking, unless there was one before."""
        if self.told_at is None:
            self.told_at = time.monotonic()

    async def answered(self, timeout_s: float = 120.0) -> Interaction:
        """Return this, once the bot has answered it.

        Raises:
            AssertionError: if it did not.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self.done.wait()
        except TimeoutError as exc:
            raise AssertionError(f"the bot did not answer within {timeout_s} s") from exc
        return self

    @property
    def text(self) -> str:
        """The text of the answer, its embeds and components included."""
        data: Payload = {} if self.callback is None else self.callback.get("data") or {}
        return said(data.get("content") or "", data.get("embeds") or [], data.get("components") or [])

    @property
    def ephemeral(self) -> bool:
        """True if only the person sees the answer."""
        data: Payload = {} if self.callback is None else self.callback.get("data") or {}
        return bool(int(data.get("flags") or 0) & 64)


class Interactions:
    """All interactions, by token."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.all: dict[str, Interaction] = {}
        self.uploads: dict[int, Attachment] = {}
        """Attached files, by id."""
        self.file_bytes = FILE_BYTES
        """Size limit of a file in an answer; a person's paid limit counts too."""

    def begin(self, kind: Kind, member: Member, channel: Channel, age_s: float = 0.0) -> Interaction:
        """Create an interaction; with `age_s` its id says that it is older."""
        found = Interaction(kind, member, channel, new_id(age_s))
        self.all[found.token] = found
        return found

    def payload(self, interaction: Interaction, data: Payload, base: str) -> Payload:
        """Build the payload of INTERACTION_CREATE."""
        guild, channel = interaction.channel.guild, interaction.channel
        values: Payload = {
            "id": str(interaction.id), "application_id": str(self._world.application_id), "type": int(interaction.kind),
            "token": interaction.token, "version": 1, "data": data, "channel_id": str(channel.id),
            "channel": channel.payload() | {"permissions": str(interaction.member.permissions)},
            "locale": interaction.member.locale, "app_permissions": str(channel.bot_permissions), "entitlements": [],
            "context": interaction.context, "authorizing_integration_owners": interaction.installed_by(),
            "attachment_size_limit": self.file_bytes,
        }  # fmt: skip
        if channel.recipient is not None:
            values["user"] = interaction.member.user()
        else:
            values |= {
                "guild_id": str(guild.id), "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
                "member": interaction.member.payload(), "guild_locale": "en-US",
            }  # fmt: skip
        if interaction.kind is Kind.COMPONENT and interaction.message is not None:
            values["message"] = interaction.message.payload(base, self._world.bot)
        return values

    def command_data(self, guild_id: int, name: str, given: dict[str, Any], base: str, focus: str = "") -> Payload:
        """Build the data of a typed command, from the bot's registration; `name` may hold subcommands.

        Raises:
            AssertionError: if there is no such command or option.
        """
        first, *below = name.split()
        command = self.command(guild_id, first)
        resolved: Payload = {}
        wanted, nested = command, []
        for part in below:
            wanted = _named(wanted.get("options", []), part)
            nested.append(wanted)
        options = [self._option(wanted, key, value, resolved, base, focus) for key, value in given.items()]
        for item in reversed(nested):
            options = [{"name": item["name"], "type": item["type"], "options": options}]
        data: Payload = {"id": command["id"], "name": first, "type": command.get("type", 1), "options": options}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        return data | ({"resolved": resolved} if resolved else {})

    def command(self, guild_id: int, name: str) -> Payload:
        """Return a command as the bot registered it.

        Raises:
            AssertionError: if there is none, or none for people who installed the app for themselves.
        """
        known = [*self._world.commands.get(guild_id, []), *self._world.commands.get(None, [])]
        if guild_id not in self._world.guilds:
            known = [item for item in known if 1 in (item.get("integration_types") or [])]
        return _named(known, name)

    def _option(
        self,
        command: Payload,
        name: str,
        value: Any,  # noqa: ANN401 - any value that a person can give
        resolved: Payload,
        base: str,
        focus: str,
    ) -> Payload:
        option = _named(command.get("options", []), name)
        if option["type"] == Option.ATTACHMENT:
            value = self._upload(value, resolved, base)
        elif isinstance(value, Member):
            resolved.setdefault("users", {})[str(value.id)] = value.user()
            resolved.setdefault("members", {})[str(value.id)] = value.payload()
            value = str(value.id)
        values: Payload = {"name": name, "type": option["type"], "value": value}
        return values | ({"focused": True} if name == focus else {})

    def filled(self, field: Payload, value: str | list[str] | list[Upload], resolved: Payload, base: str) -> Payload:
        """Build the part of a form that a person filled in; `resolved` collects its files.

        Raises:
            AssertionError: if Discord would not send the form so.
        """
        part: Payload = {"type": field["type"], "custom_id": field["custom_id"]}
        if field["type"] == TEXT:
            typed = value if isinstance(value, str) else field.get("value") or ""
            return {"type": 1, "components": [part | {"value": typed}]}
        if field["type"] == CHECKBOX:
            return {"type": 18, "component": part | {"value": bool(value)}}
        assert isinstance(value, list)
        least = field.get("min_values", 1) if field.get("required", True) else 0
        assert least <= len(value) <= field.get("max_values", 1), f"{len(value)} values for {field}"
        values = [self._upload(item, resolved, base) if isinstance(item, Upload) else item for item in value]
        return {"type": 18, "component": part | {"values": values}}

    def _upload(self, upload: Upload, resolved: Payload, base: str) -> str:
        file = Attachment(new_id(), upload.filename, upload.data, upload.content_type)
        self.uploads[file.id] = file
        shown = file.payload(base, 0)
        resolved.setdefault("attachments", {})[str(file.id)] = shown
        return str(file.id)


def _named(options: list[Payload], name: str) -> Payload:
    found = next((option for option in options if option["name"] == name), None)
    assert found is not None, f"the bot registered no {name}: {[option['name'] for option in options]}"
    return found
