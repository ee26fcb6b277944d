"""HTTP calls of the bot, and their effects on the fake's world. The fake's event loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.discord_fake import writing
from tests.discord_fake.calls import Call, json_answer
from tests.discord_fake.ids import new_id
from tests.discord_fake.interactions import Interaction, Interactions
from tests.discord_fake.world import Channel, Message, Payload, World, member_payload

ANSWER_WITHIN_S = 3.0
LOADING, EPHEMERAL = 128, 64
FOLLOWUPS = 5
"""Follow-ups of an interaction where the bot is not in the server."""
Answer = Payload | list[Payload] | None
Handler = Callable[[Call, dict[str, str]], Awaitable[Answer]]


class Rest:
    """All calls. A handler gets the call and the variables of its path; None is answered as 204."""

    def __init__(
        self, world: World, interactions: Interactions, base: Callable[[], str], gateway_url: Callable[[], str]
    ) -> None:
        self._world, self._interactions, self._base, self._gateway_url = world, interactions, base, gateway_url
        self.answer_within_s = ANSWER_WITHIN_S
        hook, messages = "/webhooks/{application}/{token}", "/channels/{channel}/messages"
        self.routes: list[tuple[str, str, Handler]] = [
            ("GET", "/users/@me", self._me),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/gateway/bot", self._gateway),
            ("GET", "/applications/{application}/commands", self._commands),
            ("GET", "/applications/{application}/guilds/{guild}/commands", self._commands),
            ("PUT", "/applications/{application}/commands", self._put_commands),
            ("PUT", "/applications/{application}/guilds/{guild}/commands", self._put_commands),
            ("POST", "/interactions/{interaction}/{token}/callback", self._callback),
            ("POST", hook, self._follow_up),
            ("GET", f"{hook}/messages/{{message}}", self._get_by_token),
            ("PATCH", f"{hook}/messages/{{message}}", self._edit_by_token),
            ("DELETE", f"{hook}/messages/{{message}}", self._delete_by_token),
            ("GET", "/guilds/{guild}", self._guild),
            ("GET", "/guilds/{guild}/members/{user}", self._member),
            ("GET", "/channels/{channel}", self._channel_itself),
            ("POST", "/users/@me/channels", self._direct_messages),
            ("GET", messages, self._history),
            ("POST", messages, self._send),
            ("GET", f"{messages}/{{message}}", self._get),
            ("PATCH", f"{messages}/{{message}}", self._edit),
            ("DELETE", f"{messages}/{{message}}", self._delete),
        ]

    # The bot itself

    async def _me(self, call: Call, at: dict[str, str]) -> Answer:
        return self._world.bot

    async def _application(self, call: Call, at: dict[str, str]) -> Answer:
        return self._world.application()

    async def _gateway(self, call: Call, at: dict[str, str]) -> Answer:
        limit = {"total": 1_000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return {"url": self._gateway_url(), "shards": 1, "session_start_limit": limit}

    async def _commands(self, call: Call, at: dict[str, str]) -> Answer:
        return self._world.commands.get(int(at["guild"]) if "guild" in at else None, [])

    async def _put_commands(self, call: Call, at: dict[str, str]) -> Answer:
        guild_id = int(at["guild"]) if "guild" in at else None
        extra = {"application_id": str(self._world.application_id), "version": str(new_id())}
        defaults = {"type": 1, "default_member_permissions": None, "nsfw": False, "description": ""}
        given = [defaults | item | extra | {"id": str(new_id())} for item in call.json]
        self._world.commands[guild_id] = [
            item if guild_id is None else item | {"guild_id": str(guild_id)} for item in given
        ]
        return self._world.commands[guild_id]

    async def _guild(self, call: Call, at: dict[str, str]) -> Answer:
        guild = self._world.guilds.get(int(at["guild"]))
        if guild is None:
            raise writing.Refusal(writing.UNKNOWN_GUILD)
        return guild.payload(self._world.bot)

    async def _member(self, call: Call, at: dict[str, str]) -> Answer:
        guild = self._world.guilds.get(int(at["guild"]))
        found = [item for item in guild.members if item.id == int(at["user"])] if guild is not None else []
        if not found:
            raise writing.Refusal(writing.UNKNOWN_MEMBER)
        return member_payload(found[0].user())

    # Interactions

    async def _callback(self, call: Call, at: dict[str, str]) -> Answer:
        interaction = self._interactions.all.get(at["token"])
        if interaction is None or str(interaction.id) != at["interaction"]:
            raise writing.Refusal(writing.UNKNOWN_INTERACTION)
        now = time.monotonic()
        if interaction.dead or now - interaction.began_at > self.answer_within_s:
            interaction.refused = f"answered after {now - interaction.began_at:.1f} s"
            interaction.done.set()
            raise writing.Refusal(writing.UNKNOWN_INTERACTION)
        if interaction.callback is not None:
            raise writing.Refusal(writing.ACKNOWLEDGED)
        self._take_answer(interaction, call)
        interaction.callback, interaction.answered_at = call.json, now
        interaction.done.set()
        return self._callback_answer(interaction) if "with_response" in call.query else None

    def _take_answer(self, interaction: Interaction, call: Call) -> None:
        kind, data = call.json["type"], call.json.get("data") or {}
        if kind == 4:
            interaction.message = writing.create(interaction.channel, data, call.files, self._interactions.file_bytes)
        elif kind == 5:
            message = Message(interaction.channel, new_id(), flags=int(data.get("flags") or 0) | LOADING)
            interaction.channel.messages[message.id] = message
            interaction.message, interaction.loading = message, True
        elif kind == 7 and interaction.message is not None:
            writing.edit(interaction.message, data, call.files, self._interactions.file_bytes)
        if kind != 5:
            interaction.note_told()
        if kind in (4, 5):
            self._mark(interaction, interaction.message)

    def _callback_answer(self, interaction: Interaction) -> Payload:
        message, kind = interaction.message, (interaction.callback or {})["type"]
        about: Payload = {"id": str(interaction.id), "type": int(interaction.kind)}
        resource: Payload = {"type": kind}
        if message is not None and kind in (4, 5, 7):
            about |= {
                "response_message_id": str(message.id),
                "response_message_loading": interaction.loading,
                "response_message_ephemeral": message.ephemeral,
            }
            resource["message"] = self._shown(message)
        return {"interaction": about, "resource": resource}

    async def _follow_up(self, call: Call, at: dict[str, str]) -> Answer:
        interaction = self._living(at["token"])
        if not interaction.channel.guild.joined and len(interaction.followups) >= FOLLOWUPS:
            raise writing.Refusal(writing.TOO_MANY_FOLLOWUPS)
        if interaction.loading and interaction.message is None:
            # Until the "thinking" is finished, a follow-up is its edit: there is nothing left to edit.
            raise writing.Refusal(writing.UNKNOWN_MESSAGE)
        if interaction.loading and interaction.message is not None:
            interaction.loading = False
            interaction.message.flags &= ~LOADING
            message = writing.edit(interaction.message, call.json, call.files, self._interactions.file_bytes)
        else:
            message = writing.create(interaction.channel, call.json, call.files, self._interactions.file_bytes)
        interaction.followups.append(message)
        interaction.note_told()
        self._mark(interaction, message)
        return self._shown(message)

    def _mark(self, interaction: Interaction, message: Message | None) -> None:
        """Note whose app wrote a message, and hide it if the server says so."""
        if message is not None and not interaction.channel.guild.joined:
            message.installed_by = interaction.member.id
            message.flags |= EPHEMERAL if interaction.hidden else 0

    async def _get_by_token(self, call: Call, at: dict[str, str]) -> Answer:
        return self._shown(self._by_token(at)[1])

    async def _edit_by_token(self, call: Call, at: dict[str, str]) -> Answer:
        interaction, message = self._by_token(at)
        interaction.loading = False
        interaction.note_told()
        message.flags &= ~LOADING
        return self._shown(writing.edit(message, call.json, call.files, self._interactions.file_bytes))

    async def _delete_by_token(self, call: Call, at: dict[str, str]) -> Answer:
        interaction, message = self._by_token(at)
        message.deleted = True
        if message is interaction.message:
            interaction.message = None
        return None

    def _living(self, token: str) -> Interaction:
        interaction = self._interactions.all.get(token)
        if interaction is None:
            raise writing.Refusal(writing.UNKNOWN_WEBHOOK)
        if interaction.dead:
            raise writing.Refusal(writing.DEAD_TOKEN)
        if interaction.callback is None:
            raise writing.Refusal(writing.UNKNOWN_WEBHOOK)
        return interaction

    def _by_token(self, at: dict[str, str]) -> tuple[Interaction, Message]:
        interaction = self._living(at["token"])
        message = interaction.message
        if at["message"] != "@original":
            message = interaction.channel.messages.get(int(at["message"]))
        if message is None or message.deleted:
            raise writing.Refusal(writing.UNKNOWN_MESSAGE)
        return interaction, message

    # Channels

    async def _direct_messages(self, call: Call, at: dict[str, str]) -> Answer:
        member = self._world.member(int(call.json["recipient_id"]))
        if member is None:
            raise writing.Refusal(writing.UNKNOWN_MEMBER)
        return self._world.dm(member).payload()

    async def _channel_itself(self, call: Call, at: dict[str, str]) -> Answer:
        return self._channel(at).payload()

    async def _history(self, call: Call, at: dict[str, str]) -> Answer:
        after = int(call.query.get("after", 0))
        before = int(call.query.get("before", 2**63))
        found = [item for item in self._open(at).visible() if after < item.id < before]
        limit = int(call.query.get("limit", 50))
        found = found[:limit] if after else found[-limit:]
        return [self._shown(message) for message in reversed(found)]

    async def _send(self, call: Call, at: dict[str, str]) -> Answer:
        return self._shown(writing.create(self._open(at), call.json, call.files))

    async def _get(self, call: Call, at: dict[str, str]) -> Answer:
        return self._shown(self._own(at))

    async def _edit(self, call: Call, at: dict[str, str]) -> Answer:
        return self._shown(writing.edit(self._own(at), call.json, call.files))

    async def _delete(self, call: Call, at: dict[str, str]) -> Answer:
        self._own(at).deleted = True
        return None

    def _channel(self, at: dict[str, str]) -> Channel:
        channel = self._world.channel(int(at["channel"]))
        if channel is None:
            raise writing.Refusal(writing.UNKNOWN_CHANNEL)
        return channel

    def _open(self, at: dict[str, str]) -> Channel:
        channel = self._channel(at)
        if channel.closed:
            raise writing.Refusal(writing.NO_ACCESS if channel.recipient is None else writing.CANNOT_DM)
        if channel.archived:
            raise writing.Refusal(writing.ARCHIVED)
        return channel

    def _own(self, at: dict[str, str]) -> Message:
        """Find a message that the bot's own token reaches; ephemeral ones are excluded."""
        message = self._open(at).messages.get(int(at["message"]))
        if message is None or message.deleted or message.ephemeral:
            raise writing.Refusal(writing.UNKNOWN_MESSAGE)
        return message

    def _shown(self, message: Message) -> Payload:
        return message.payload(self._base(), self._world.bot)


def respond(answer: Answer) -> web.Response:
    """Build an answer as HTTP."""
    return web.Response(status=204) if answer is None else json_answer(answer)


def refuse(refusal: writing.Refusal) -> web.Response:
    """Build a refusal as HTTP."""
    body: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    return json_answer(body, status=refusal.status)
