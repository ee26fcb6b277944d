"""Changes around a job: messages, channels, threads, servers, permissions, names. The fake's event loop.

Each change does to the fake's world what a person does to a server, and has the gateway tell the bot what Discord tells
a bot with the intents that ours has (deleted messages are not among it).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Channel

ROLE = 4_711


class Outcome(Enum):
    """Outcomes of a job after a change."""

    SAME = auto()
    """Done, in the message that was there."""
    NEW = auto()
    """Done, in a new message, the old one being gone."""
    WAITS = auto()
    """It waits until the bot may write again, then it is done."""
    FAILED = auto()
    """It has failed, with a reason."""
    FORGOTTEN = auto()
    """Nothing is kept of it, as the bot was removed from the server."""


Action = Callable[[ClientOnLoopback, Channel], Awaitable[None]]


@dataclass(frozen=True)
class Change:
    """One change, its reversal, and the outcome of a job that it affects before the job is posted."""

    name: str
    outcome: Outcome
    do: Action
    undo: Action | None = None
    in_thread: bool = False


async def tell(live: ClientOnLoopback, event: str, data: dict[str, object]) -> None:
    """Send the bot a gateway event of its server."""
    await live.fake.gateway.dispatch(event, data | {"guild_id": str(live.guild.id)}, live.guild.id)


async def delete_message(live: ClientOnLoopback, channel: Channel) -> None:
    """Delete the job's message; the interaction's token stays valid."""
    for message in channel.posts():
        message.deleted = True


async def delete_channel(live: ClientOnLoopback, channel: Channel) -> None:
    """Delete the channel or thread with all its messages."""
    channel.gone = True
    await delete_message(live, channel)
    await tell(live, "CHANNEL_DELETE" if channel.parent is None else "THREAD_DELETE", channel.payload())


async def archive(live: ClientOnLoopback, channel: Channel) -> None:
    """Archive and lock the thread; the token has expired as well."""
    live.fake.expire_tokens()
    channel.archived = True
    await tell(live, "THREAD_UPDATE", channel.payload())


async def unarchive(live: ClientOnLoopback, channel: Channel) -> None:
    """Reopen the thread."""
    channel.archived = False
    await tell(live, "THREAD_UPDATE", channel.payload())


async def close(live: ClientOnLoopback, channel: Channel) -> None:
    """Remove the bot's permission in the channel; the token has expired as well."""
    live.fake.expire_tokens()
    channel.closed = True
    await tell(live, "CHANNEL_UPDATE", channel.payload())


async def reopen(live: ClientOnLoopback, channel: Channel) -> None:
    """Restore the permission."""
    channel.closed = False
    await tell(live, "CHANNEL_UPDATE", channel.payload())


async def take_role(live: ClientOnLoopback, channel: Channel) -> None:
    """Delete the role that let the bot write everywhere."""
    live.fake.expire_tokens()
    for each in live.guild.channels:
        each.closed = each is not live.elsewhere
    await tell(live, "GUILD_ROLE_DELETE", {"role_id": str(ROLE)})


async def give_role(live: ClientOnLoopback, channel: Channel) -> None:
    """Create a new role for the bot."""
    for each in live.guild.channels:
        each.closed = False
    role = {"id": str(ROLE), "name": "bots", "color": 0, "hoist": False, "position": 1, "permissions": "0"}
    await tell(live, "GUILD_ROLE_CREATE", {"role": role | {"managed": False, "mentionable": False, "flags": 0}})


async def kill_token(live: ClientOnLoopback, channel: Channel) -> None:
    """Let the interaction's token expire after its 15 minutes."""
    live.fake.expire_tokens()


async def rename(live: ClientOnLoopback, channel: Channel) -> None:
    """Rename the bot, as its host can."""
    live.fake.world.bot["username"] = "Somnia"
    await live.fake.gateway.dispatch("USER_UPDATE", dict(live.fake.world.bot), live.guild.id)


async def remove_bot(live: ClientOnLoopback, channel: Channel) -> None:
    """Remove the bot from the server."""
    live.fake.expire_tokens()
    for each in live.guild.channels:
        each.closed = True
    await tell(live, "GUILD_DELETE", {"id": str(live.guild.id)})


async def invite_bot(live: ClientOnLoopback, channel: Channel) -> None:
    """Invite the bot again."""
    for each in live.guild.channels:
        each.closed = False
    payload = live.guild.payload(live.fake.world.bot)
    del payload["unavailable"]  # By this discord.py tells a server that is new from one that is back.
    await tell(live, "GUILD_CREATE", payload)


async def lose_server(live: ClientOnLoopback, channel: Channel) -> None:
    """Let an outage of Discord hide the server for a while."""
    await tell(live, "GUILD_DELETE", {"id": str(live.guild.id), "unavailable": True})


async def find_server(live: ClientOnLoopback, channel: Channel) -> None:
    """End the outage."""
    await tell(live, "GUILD_CREATE", live.guild.payload(live.fake.world.bot))


CHANGES = (
    Change("the message is deleted", Outcome.NEW, delete_message),
    Change("the channel is deleted", Outcome.FAILED, delete_channel),
    Change("the thread is deleted", Outcome.FAILED, delete_channel, in_thread=True),
    Change("the thread is archived", Outcome.WAITS, archive, unarchive, in_thread=True),
    Change("the permission is taken away", Outcome.WAITS, close, reopen),
    Change("the role is deleted", Outcome.WAITS, take_role, give_role),
    Change("the token dies", Outcome.SAME, kill_token),
    Change("the bot is renamed", Outcome.SAME, rename),
    Change("the bot is removed and invited again", Outcome.FORGOTTEN, remove_bot, invite_bot),
    Change("the server is lost in an outage", Outcome.SAME, lose_server, find_server),
)
