"""Contents of the fake Discord: servers, channels, people, messages. Plain values; the fake's event loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import discord

from tests.discord_fake import components
from tests.discord_fake.ids import new_id

Payload = dict[str, Any]
NONCE_S = 300.0
"""Seconds in which a repeated nonce returns the first message again."""
EVERYTHING = discord.Permissions.all().value
MEMBER = discord.Permissions(
    view_channel=True, send_messages=True, embed_links=True, attach_files=True, use_application_commands=True,
    read_message_history=True, use_external_apps=True,
).value  # fmt: skip

IN_THREADS = MEMBER | discord.Permissions(send_messages_in_threads=True).value


@dataclass(eq=False)
class Member:
    """A person in a server; `permissions` are sent with each interaction."""

    guild: Guild = field(repr=False)
    id: int
    name: str
    permissions: int = MEMBER
    locale: str = "en-US"

    def user(self) -> Payload:
        """The person as in a payload."""
        return user_payload(self.id, self.name)

    def payload(self) -> Payload:
        """The member as in an interaction."""
        return member_payload(self.user()) | {"permissions": str(self.permissions)}


@dataclass(eq=False)
class Channel:
    """A text channel, a thread in one, its `parent`, or the direct messages of its `recipient`.

    `closed`: the bot may not write there; `gone`: it was deleted; `archived`: a thread closed to new messages;
    `hidden`: only some members see it, or are in the thread.
    """

    guild: Guild = field(repr=False)
    id: int
    name: str
    nsfw: bool = False
    bot_permissions: int = MEMBER
    closed: bool = False
    gone: bool = False
    archived: bool = False
    hidden: bool = False
    parent: Channel | None = None
    recipient: Member | None = None
    messages: dict[int, Message] = field(default_factory=dict, repr=False)

    def payload(self) -> Payload:
        """The channel as in a payload."""
        if self.recipient is not None:
            people = [self.recipient.user()]
            return {"id": str(self.id), "type": 1, "recipients": people, "last_message_id": None, "flags": 0}
        if self.parent is not None:
            since = "2026-01-01T00:00:00+00:00"
            kind = 12 if self.hidden else 11
            times = {"archived": self.archived, "auto_archive_duration": 60, "archive_timestamp": since}
            return {
                "id": str(self.id), "type": kind, "guild_id": str(self.guild.id), "name": self.name, "message_count": 0,
                "parent_id": str(self.parent.id), "owner_id": str(self.guild.owner_id), "member_count": 1,
                "thread_metadata": times | {"locked": False}, "rate_limit_per_user": 0, "flags": 0,
                "last_message_id": None,
            }  # fmt: skip
        view = str(discord.Permissions(view_channel=True).value)
        closed_to_all = [{"id": str(self.guild.id), "type": 0, "allow": "0", "deny": view}] if self.hidden else []
        return {
            "id": str(self.id), "type": 0, "guild_id": str(self.guild.id), "name": self.name, "position": 0,
            "permission_overwrites": closed_to_all, "nsfw": self.nsfw, "topic": None, "parent_id": None,
            "last_message_id": None, "rate_limit_per_user": 0, "flags": 0,
        }  # fmt: skip

    def write(self, member: Member, content: str = "", **parts: Any) -> Message:  # noqa: ANN401 - of a message
        """Write a message of a person."""
        message = Message(self, new_id(), content, author=member.user(), **parts)
        self.messages[message.id] = message
        return message

    def place(self) -> Payload:
        """The server of a message as in a payload; direct messages have none."""
        return {} if self.recipient is not None else {"guild_id": str(self.guild.id)}

    def visible(self) -> list[Message]:
        """List the messages visible to everybody, oldest first."""
        return [message for message in self.messages.values() if not message.ephemeral and not message.deleted]

    def posts(self) -> list[Message]:
        """List the visible messages beside pings, which come after long waits only."""
        return [message for message in self.visible() if not message.pings]


@dataclass(eq=False)
class Attachment:
    """A file of a message, byte for byte."""

    id: int
    filename: str
    data: bytes = field(repr=False)
    content_type: str | None
    description: str | None = None

    def payload(self, base: str, channel_id: int) -> Payload:
        """The file as in a payload; `base` is the address of the fake."""
        url = f"{base}/attachments/{channel_id}/{self.id}/{self.filename}"
        values: Payload = {
            "id": str(self.id), "filename": self.filename, "size": len(self.data), "url": url, "proxy_url": url,
        }  # fmt: skip
        values |= {} if self.content_type is None else {"content_type": self.content_type}
        return values if self.description is None else values | {"description": self.description}


@dataclass(eq=False)
class Message:
    """A message in its current state; of the bot if `author` is None. `forwarded` is its forwarded message."""

    channel: Channel = field(repr=False)
    id: int
    content: str = ""
    embeds: list[Payload] = field(default_factory=list)
    components: list[Payload] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    nonce: str | None = None
    created_at: float = field(default_factory=time.time)
    edits: int = 0
    deleted: bool = False
    author: Payload | None = None
    forwarded: Message | None = field(default=None, repr=False)
    answers: int | None = None
    """The id of the message that it replies to."""
    pings: tuple[int, ...] = ()
    """The people whom it pings."""
    installed_by: int | None = None
    """The person whose own app wrote it."""

    @property
    def ephemeral(self) -> bool:
        """True if only one person sees it; the bot's own token cannot reach it."""
        return bool(self.flags & 64)

    def custom_ids(self) -> list[str]:
        """The buttons and menus below it."""
        return [item["custom_id"] for item in components.walk(self.components) if "custom_id" in item]

    def said(self) -> str:
        """All its texts, those of its embeds and components too."""
        return said(self.content, self.embeds, self.components)

    def media(self) -> list[str]:
        """The addresses of what its components show."""
        return components.media(self.components)

    def payload(self, base: str, author: Payload) -> Payload:
        """The message as in a payload, with `author` if the message has none."""
        forwarded: Payload = {}
        if self.forwarded is not None:
            place = {"message_id": str(self.forwarded.id), "channel_id": str(self.forwarded.channel.id)}
            place["guild_id"] = str(self.forwarded.channel.guild.id)
            snapshot = self.forwarded.what_it_shows(base)
            forwarded = {"message_snapshots": [{"message": snapshot}], "message_reference": place | {"type": 1}}
        if self.answers is not None:
            place = {"message_id": str(self.answers), "channel_id": str(self.channel.id)}
            forwarded = {"message_reference": place | self.channel.place() | {"type": 0}}
        return self.what_it_shows(base) | forwarded | {
            "id": str(self.id), "channel_id": str(self.channel.id), **self.channel.place(),
            "author": self.author or author, "tts": False, "mention_everyone": False, "mention_roles": [],
            "pinned": False,
        } | ({} if self.nonce is None else {"nonce": self.nonce})  # fmt: skip

    def what_it_shows(self, base: str) -> Payload:
        """Its text, embeds, components and files, as a forward of it holds them too.

        A file that an embed shows by `attachment://` has its address there, and is no longer among the attachments.
        """
        addresses = {item.filename: item.payload(base, self.channel.id)["url"] for item in self.attachments}
        used = set[str]()
        embeds = [_addressed(embed, addresses, used) for embed in self.embeds]
        rest = [item for item in self.attachments if item.filename not in used]
        return {
            "type": 0, "content": self.content, "embeds": embeds, "flags": self.flags,
            "components": [_addressed(item, addresses, set()) for item in self.components],
            "attachments": [item.payload(base, self.channel.id) for item in rest], "mentions": [],
            "timestamp": datetime.fromtimestamp(self.created_at, UTC).isoformat(),
            "edited_timestamp": datetime.now(UTC).isoformat() if self.edits else None,
        }  # fmt: skip


def said(content: str, embeds: list[Payload], tree: list[Payload]) -> str:
    """All texts of a message, in order."""
    footers = [embed.get("footer", {}).get("text", "") for embed in embeds]
    texts = [content, *(embed.get("description", "") for embed in embeds), *footers, *components.texts(tree)]
    return "\n".join(filter(None, texts))


def _addressed(part: Any, addresses: dict[str, str], used: set[str]) -> Any:  # noqa: ANN401 - JSON
    """Replace `attachment://` in a part of a message by the addresses of its files; `used` collects their names."""
    if isinstance(part, list):
        return [_addressed(item, addresses, used) for item in part]
    if isinstance(part, dict):
        return {key: _addressed(value, addresses, used) for key, value in part.items()}
    name = part.removeprefix("attachment://") if isinstance(part, str) else ""
    if name == part or name not in addresses:
        return part
    used.add(name)
    return addresses[name]


@dataclass(eq=False)
class Guild:
    """A server; the bot is not in it unless it `joined`."""

    id: int
    name: str
    owner_id: int
    joined: bool = True
    channels: list[Channel] = field(default_factory=list, repr=False)
    members: list[Member] = field(default_factory=list, repr=False)
    nsfw_level: int = 0

    def add_channel(self, name: str = "pictures", *, nsfw: bool = False) -> Channel:
        """Add a text channel in which the bot may write."""
        self.channels.append(Channel(self, new_id(), name, nsfw, closed=not self.joined))
        return self.channels[-1]

    def add_thread(self, parent: Channel, name: str = "thread") -> Channel:
        """Add a thread in which the bot may write."""
        self.channels.append(Channel(self, new_id(), name, parent=parent, bot_permissions=IN_THREADS))
        return self.channels[-1]

    def add_member(self, name: str, *, manages: bool = False, locale: str = "en-US") -> Member:
        """Add a person; `manages` gives all permissions."""
        self.members.append(Member(self, new_id(), name, EVERYTHING if manages else MEMBER, locale))
        return self.members[-1]

    def payload(self, bot: Payload) -> Payload:
        """The server as in GUILD_CREATE."""
        role = {
            "id": str(self.id), "name": "@everyone", "color": 0, "hoist": False, "position": 0, "flags": 0,
            "permissions": str(MEMBER), "managed": False, "mentionable": False,
        }  # fmt: skip
        return {
            "id": str(self.id), "name": self.name, "owner_id": str(self.owner_id), "member_count": 1, "large": False,
            "roles": [role], "emojis": [], "stickers": [], "features": [], "voice_states": [],
            "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [], "presences": [],
            "channels": self._shown(threads=False), "threads": self._shown(threads=True),
            "members": [member_payload(bot)], "preferred_locale": "en-US", "premium_tier": 0,
            "nsfw_level": self.nsfw_level,
            "verification_level": 0, "default_message_notifications": 0, "explicit_content_filter": 0, "mfa_level": 0,
            "afk_timeout": 300, "system_channel_flags": 0, "joined_at": "2026-01-01T00:00:00+00:00",
            "premium_progress_bar_enabled": False, "unavailable": False,
        }  # fmt: skip

    def _shown(self, *, threads: bool) -> list[Payload]:
        return [item.payload() for item in self.channels if not item.gone and (item.parent is not None) is threads]


class World:
    """All servers, and the bot in them."""

    def __init__(self) -> None:
        self.application_id = new_id()
        self.bot = user_payload(self.application_id, "reverie") | {"bot": True, "verified": True, "mfa_enabled": False}
        self.owner = user_payload(new_id(), "host")
        self.guilds: dict[int, Guild] = {}
        self.elsewhere: list[Guild] = []
        """Servers that the bot is not in, and one for each person's direct messages with it."""
        self.commands: dict[int | None, list[Payload]] = {}
        """The bot's registered commands; under None the global ones."""

    def add_guild(self, name: str = "Test", *, joined: bool = True) -> Guild:
        """Add a server without channels and people."""
        guild = Guild(new_id(), name, new_id(), joined)
        if joined:
            self.guilds[guild.id] = guild
        else:
            self.elsewhere.append(guild)
        return guild

    def dm(self, member: Member) -> Channel:
        """The direct messages of a person with the bot."""
        known = [item for item in self.channels() if item.recipient is not None and item.recipient.id == member.id]
        if not known:
            guild = self.add_guild("", joined=False)
            known = [Channel(guild, new_id(), "", recipient=member)]
            guild.channels += known
        return known[0]

    def member(self, user_id: int) -> Member | None:
        """Find a person."""
        guilds = [*self.guilds.values(), *self.elsewhere]
        return next((member for guild in guilds for member in guild.members if member.id == user_id), None)

    def channel(self, channel_id: int) -> Channel | None:
        """Find a channel that was not deleted."""
        return next((item for item in self.channels() if item.id == channel_id and not item.gone), None)

    def channels(self) -> Iterator[Channel]:
        """All channels of all servers."""
        for guild in [*self.guilds.values(), *self.elsewhere]:
            yield from guild.channels

    def messages(self) -> list[Message]:
        """List all messages of all channels that are not deleted, ephemeral ones too."""
        return [message for channel in self.channels() for message in channel.messages.values() if not message.deleted]

    def application(self) -> Payload:
        """The application as in `/oauth2/applications/@me`."""
        return {
            "id": str(self.application_id), "name": "Reverie", "description": "", "icon": None, "bot_public": True,
            "bot_require_code_grant": False, "owner": self.owner, "team": None, "verify_key": "0" * 64, "flags": 0,
        }  # fmt: skip


def user_payload(user_id: int, name: str) -> Payload:
    """A user as in a payload."""
    return {
        "id": str(user_id), "username": name, "discriminator": "0", "global_name": name, "avatar": None,
        "public_flags": 0,
    }  # fmt: skip


def member_payload(user: Payload) -> Payload:
    """A member without roles as in a payload."""
    return {
        "user": user, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0,
        "nick": None, "avatar": None, "premium_since": None, "pending": False,
        "communication_disabled_until": None,
    }  # fmt: skip
