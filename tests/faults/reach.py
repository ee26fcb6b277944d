"""Forged presses: custom ids that were invented, or belong to other servers or other people's jobs."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Channel, Interaction, Kind, Member, Message

BUTTON, SELECT = 2, 3
MODAL = 9
"""The answer that opens a form."""


async def forge(
    live: ClientOnLoopback,
    member: Member,
    channel: Channel,
    custom_id: str,
    *,
    values: list[str] | None = None,
    wait_s: float = 30.0,
) -> Interaction:
    """Press a button or choose in a menu that claims to be below one of the bot's messages."""
    fake = live.fake
    sent = fake.interactions.begin(Kind.COMPONENT, member, channel)
    item: dict[str, Any] = {"type": BUTTON, "style": 2, "label": "x", "custom_id": custom_id}
    if values is not None:
        options = [{"label": "x", "value": value} for value in values] or [{"label": "x", "value": "x"}]
        item = {"type": SELECT, "custom_id": custom_id, "options": options}
    data: dict[str, Any] = {"component_type": item["type"], "custom_id": custom_id}
    payload = fake.interactions.payload(sent, data | ({} if values is None else {"values": values}), fake.url)
    below = Message(channel, 1) if not channel.messages else next(iter(channel.messages.values()))
    sent.message = below
    payload["message"] = below.payload(fake.url, fake.world.bot)
    payload["message"]["components"] = [{"type": 1, "id": 1, "components": [item | {"id": 2}]}]
    await fake.gateway.dispatch("INTERACTION_CREATE", payload, channel.guild.id)
    try:
        return await sent.answered(wait_s)
    except AssertionError:
        return sent


async def outcome(sent: Interaction) -> str:
    """Return the outcome in a word: `done`, `form`, `unknown`, `not theirs`, `not now`, `silence`."""
    if sent.callback is None:
        return "silence"
    if sent.callback["type"] == MODAL:
        return "form"
    for _ in range(200):
        said = "\n".join([sent.text, *(item.said() for item in sent.followups)])
        if said.strip() or not sent.loading:
            break
        await asyncio.sleep(0.02)
    if "There is no job" in said or "has no such picture" in said:
        return "unknown"
    if "Only " in said and " can do this" in said:
        return "not theirs"
    return "not now" if sent.ephemeral and ("too late" in said or "not running at the moment" in said) else "done"
