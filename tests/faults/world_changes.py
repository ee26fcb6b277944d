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
    """One thing that happens, how it is undone, and what becomes of a job that it happens to before it is posted."""

    name: str
    outcome: Outcome
    do: Action
    undo: Action | None = None
    in_thread: bool = False


async def tell(live: ClientOnLoopback, event: str, data: dict[str, object]) -> None:
    """Have the gateway tell the bot something about its server."""
    await live.fake.gateway.dispatch(event, data | {"guild_id": str(live.guild.id)}, live.guild.id)


async def delete_message(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody deletes the job's message; the interaction's token dies with nothing, it is still good."""
    for message in channel.visible():
        message.deleted = True


async def delete_channel(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody deletes the channel, or the thread, with all its messages."""
    channel.gone = True
    await delete_message(live, channel)
    await tell(live, "CHANNEL_DELETE" if channel.parent is None else "THREAD_DELETE", channel.payload())


async def archive(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody archives and locks the thread; the token is past its time as well."""
    live.fake.expire_tokens()
    channel.archived = True
    await tell(live, "THREAD_UPDATE", channel.payload())


async def unarchive(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody opens the thread again."""
    channel.archived = False
    await tell(live, "THREAD_UPDATE", channel.payload())


async def close(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody takes the bot's permission in the channel away; the token is past its time as well."""
    live.fake.expire_tokens()
    channel.closed = True
    await tell(live, "CHANNEL_UPDATE", channel.payload())


async def reopen(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody gives it back."""
    channel.closed = False
    await tell(live, "CHANNEL_UPDATE", channel.payload())


async def take_role(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody deletes the role by which the bot could write anywhere."""
    live.fake.expire_tokens()
    for each in live.guild.channels:
        each.closed = each is not live.elsewhere
    await tell(live, "GUILD_ROLE_DELETE", {"role_id": str(ROLE)})


async def give_role(live: ClientOnLoopback, channel: Channel) -> None:
    """Somebody makes a role for it again."""
    for each in live.guild.channels:
        each.closed = False
    role = {"id": str(ROLE), "name": "bots", "color": 0, "hoist": False, "position": 1, "permissions": "0"}
    await tell(live, "GUILD_ROLE_CREATE", {"role": role | {"managed": False, "mentionable": False, "flags": 0}})


async def kill_token(live: ClientOnLoopback, channel: Channel) -> None:
    """The interaction's token is past its 15 minutes."""
    live.fake.expire_tokens()


async def rename(live: ClientOnLoopback, channel: Channel) -> None:
    """The host gives the bot another name."""
    live.fake.world.bot["username"] = "Somnia"
    await live.fake.gateway.dispatch("USER_UPDATE", dict(live.fake.world.bot), live.guild.id)


async def remove_bot(live: ClientOnLoopback, channel: Channel) -> None:
    """An admin removes the bot from the server."""
    live.fake.expire_tokens()
    for each in live.guild.channels:
        each.closed = True
    await tell(live, "GUILD_DELETE", {"id": str(live.guild.id)})


async def invite_bot(live: ClientOnLoopback, channel: Channel) -> None:
    """An admin invites it again."""
    for each in live.guild.channels:
        each.closed = False
    payload = live.guild.payload(live.fake.world.bot)
    del payload["unavailable"]  # By this discord.py tells a server that is new from one that is back.
    await tell(live, "GUILD_CREATE", payload)


async def lose_server(live: ClientOnLoopback, channel: Channel) -> None:
    """Discord itself loses the server for a while: an outage."""
    await tell(live, "GUILD_DELETE", {"id": str(live.guild.id), "unavailable": True})


async def find_server(live: ClientOnLoopback, channel: Channel) -> None:
    """The outage is over."""
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
