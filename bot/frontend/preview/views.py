"""The state of the server as one person sees it, as JSON in Discord's own forms. Event loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import simcord
from simcord.backend import serializers
from simcord.backend.models import Message
from simcord.enums import AppCommandType
from simcord.interactions import command_leaves

from bot.frontend.preview.actions import Place
from bot.frontend.preview.world import Scene, messages

SHOWN = 200
"""Number of messages shown, counted from the newest."""
EXACT = 2**53
"""Numbers from here on are not exact in JavaScript."""


def server(scene: Scene, viewer_id: int, read: Mapping[int, int]) -> dict[str, Any]:
    """Names of the server, its channels, people and roles, of a server without the bot, and the direct messages.

    `read` has the newest message that the person has seen, by channel.
    """
    backend, elsewhere = scene.world.backend, scene.elsewhere
    direct, seen = scene.direct(viewer_id), scene.channels_of(viewer_id)

    def listed(channels: Mapping[int, simcord.ChannelHandle]) -> list[dict[str, Any]]:
        return [
            _named(key, channel.name or "") | _unread(scene, key, viewer_id, read)
            for key, channel in channels.items()
            if key in seen
        ]

    there = [] if elsewhere is None else listed(elsewhere.channels)
    return {
        "name": backend.guilds[scene.guild.id].name,
        "me": str(viewer_id),
        "bot": _user(backend.bot_user.id, backend.bot_user.name, "app"),
        "people": [_user(key, person.actor.name, person.role) for key, person in scene.people.items()],
        "roles": [_named(key, role.name) for key, role in scene.roles.items()],
        "channels": listed(scene.channels),
        "elsewhere": {"name": elsewhere.guild.name, "channels": there} if elsewhere is not None and there else None,
        "direct": None
        if direct is None
        else _named(direct.id, backend.bot_user.name) | _unread(scene, direct.id, viewer_id, read),
    }


def commands(place: Place) -> dict[str, Any]:
    """Commands and menus that the person may use in the channel, in Discord's form."""
    backend, user_id, channel_id = place.world.backend, place.person.actor.id, place.channel.id
    slash = backend.visible_commands(user_id=user_id, channel_id=channel_id)
    menus = {
        name: [
            command["name"] for command in backend.visible_commands(user_id=user_id, channel_id=channel_id, type=kind)
        ]
        for name, kind in (("message", AppCommandType.MESSAGE), ("user", AppCommandType.USER))
    }
    return {
        "commands": [
            {
                "id": str(command["id"]),
                "name": " ".join(path),
                "description": leaf.get("description", ""),
                "options": leaf.get("options") or [],
            }
            for command in slash
            for path, leaf in command_leaves(command)
        ],
        "menus": menus,
    }


class Feed:
    """The messages of a channel for one page, as differences from what the page already has."""

    def __init__(self, place: Place, hidden: set[int]) -> None:
        """`hidden` are the private answers that the person dismissed."""
        self._place, self._hidden = place, hidden
        self._sent: dict[int, str] = {}

    def news(self) -> dict[str, Any] | None:
        """New and changed messages, and ids of those that are gone; None if nothing changed."""
        viewer_id = self._place.person.actor.id
        there = [
            message
            for message in messages(self._place.world, self._place.channel.id)
            if message.visible_to(viewer_id) and message.id not in self._hidden
        ][-SHOWN:]
        payloads = {message.id: self._payload(message) for message in there}
        texts = {key: json.dumps(payload) for key, payload in payloads.items()}
        changed = [_exact(payloads[key]) for key, text in texts.items() if self._sent.get(key) != text]
        gone = [str(key) for key in self._sent if key not in texts]
        self._sent = texts
        return {"messages": changed, "gone": gone} if changed or gone else None

    def _payload(self, message: Message) -> dict[str, Any]:
        """The message in Discord's form, with ids as there; `pinged` is true if it notifies the person."""
        viewer_id = self._place.person.actor.id
        payload = serializers.message_payload(self._place.world.backend, message, for_user=viewer_id)
        return {**payload, "pinged": viewer_id in message.ping_user_ids}


def newest(scene: Scene, channel_id: int, viewer_id: int) -> int:
    """The newest message of a channel that the person sees; 0 if there is none."""
    there = scene.world.backend.messages.get(channel_id, {}).values()
    return max((message.id for message in there if message.visible_to(viewer_id)), default=0)


def _unread(scene: Scene, channel_id: int, viewer_id: int, read: Mapping[int, int]) -> dict[str, bool]:
    return {"unread": newest(scene, channel_id, viewer_id) > read.get(channel_id, 0)}


def _exact(value: Any) -> Any:  # noqa: ANN401 - JSON
    """JSON with ids as strings, as Discord sends them; discord.py sends those of preselected channels as numbers."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return str(value) if isinstance(value, int) and value >= EXACT else value


def _named(key: int, name: str) -> dict[str, str]:
    return {"id": str(key), "name": name}


def _user(key: int, name: str, role: str) -> dict[str, str]:
    return {"id": str(key), "name": name, "role": role}
