"""Actions of the person at the page, from the browser's JSON to simcord's actors. Event loop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import simcord
from simcord.actors import _dispatch_actor_interaction
from simcord.backend import serializers
from simcord.backend.models import Interaction
from simcord.components import walk_components
from simcord.enums import AppCommandType, InteractionType, OptionType
from simcord.interactions import command_leaves, parse_option_input

from bot.frontend.preview.world import Person, Scene, World

Body = Mapping[str, Any]
File = tuple[str, bytes]
MENU = AppCommandType.MESSAGE
_log = logging.getLogger(__name__)


class NotPossible(Exception):
    """Discord's own clients would not let the person do this."""


@dataclass(frozen=True)
class Place:
    """A person in a channel."""

    scene: Scene
    person: Person
    channel: simcord.ChannelHandle

    @property
    def world(self) -> World:
        """The simulated Discord."""
        return self.scene.world

    @property
    def actor(self) -> simcord.MemberActor | simcord.UserHandle:
        """The person as somebody who can act here."""
        return self.scene.actor(self.person.actor.id, self.channel.id)

    def message(self, message_id: object) -> simcord.ResponseMessage:
        """A message of the channel."""
        stored = self.world.backend.get_message(self.channel.id, number(message_id))
        return simcord.ResponseMessage(self.world, stored)

    def leaf(self, name: str) -> dict[str, Any]:
        """The specification of a slash command such as `limits set`."""
        found = self.world.backend.visible_commands(user_id=self.person.actor.id, channel_id=self.channel.id)
        leaves = {" ".join(path): leaf for command in found for path, leaf in command_leaves(command)}
        if name not in leaves:
            raise NotPossible(f"no command {name}")
        return leaves[name]

    def one(self, kind: int, given: object) -> object:
        """The person, channel or role of an id."""
        wanted, people = number(given), {key: person.actor for key, person in self.scene.people.items()}
        by_kind: dict[int, Mapping[int, object]] = {
            OptionType.USER: people,
            OptionType.CHANNEL: self.scene.channels,
            OptionType.ROLE: self.scene.roles,
            OptionType.MENTIONABLE: {**people, **self.scene.roles},
        }
        if wanted not in by_kind[kind]:
            raise NotPossible(f"nobody and nothing has the id {wanted}")
        return by_kind[kind][wanted]


class Actions:
    """Carries out the actions of people; each returns an answer for the browser as JSON."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._forms: dict[int, Interaction] = {}

    async def run(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> dict[str, Any]:
        """Carry out an action and wait for the bot's first answer.

        `state` of the answer is `done`, `form` (with the modal), `choices` (of an autocompletion), `late` (no answer
        within Discord's limit) or `refused` (Discord would not let the person do it).
        """
        try:
            act = _ACTS[str(body.get("kind"))](self, place, body, files)
            interaction = await self._world.interact(act)
        except (simcord.SetupError, simcord.BackendError, NotPossible, KeyError, TypeError, ValueError) as exc:
            _log.warning("an action on the page is not possible: %r", exc)
            return {"state": "refused"}
        if not await self._world.answered(interaction):
            return {"state": "late"}
        if interaction.autocomplete_choices is not None:
            return {"state": "choices", "choices": interaction.autocomplete_choices}
        if interaction.modal is not None:
            self._forms[interaction.id] = interaction
            return {"state": "form", "form": str(interaction.id), "modal": interaction.modal}
        return {"state": "done"}

    def _slash(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        name = str(body["name"])
        options = _options(place, name, body.get("options") or {}, files)
        actor = place.actor
        if isinstance(actor, simcord.UserHandle):
            return lambda: actor.slash(name, **options)
        return lambda: actor.slash(place.channel, name, **options)

    def _complete(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        name, option = str(body["name"]), str(body["option"])
        others = {key: value for key, value in (body.get("options") or {}).items() if key != option}
        options = _options(place, name, others, {}, partial=True)
        actor, value = place.actor, str(body.get("value", ""))
        if isinstance(actor, simcord.UserHandle):
            return lambda: actor.autocomplete(name, option, value, **options)
        return lambda: actor.autocomplete(place.channel, name, option, value, **options)

    def _click(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        message, custom_id = place.message(body["message"]), str(body["custom_id"])
        return lambda: place.actor.click(message, custom_id=custom_id)

    def _select(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        message, custom_id = place.message(body["message"]), str(body["custom_id"])
        kind = _component(message.components, custom_id)["type"]
        values = _chosen(place, kind, body["values"])
        return lambda: place.actor.select(message, values, custom_id=custom_id)

    def _menu(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        user, message, name, actor = body.get("user"), body.get("message"), str(body["name"]), place.actor
        target: Any = place.message(message) if user is None else place.one(OptionType.USER, user)
        if isinstance(actor, simcord.UserHandle):
            return lambda: _menu_alone(place, name, target)
        return lambda: actor.context_menu(place.channel, name, target)

    def _submit(self, place: Place, body: Body, files: Mapping[str, list[File]]) -> Callable[[], Awaitable[object]]:
        shown = self._forms[number(body["form"])]
        values: dict[str, Any] = {}
        for custom_id, value in body["values"].items():
            kind = _component((shown.modal or {}).get("components", []), custom_id)["type"]
            values[custom_id] = _chosen(place, kind, value) if kind in _PICKED else value
        values |= {name: files[name] for name in files}
        result = simcord.InteractionResult(self._world, shown)
        return lambda: place.actor.submit_modal(result, values)


def _menu_alone(place: Place, name: str, message: simcord.ResponseMessage) -> Awaitable[object]:
    """Choose from the menu of a direct message, which simcord has for messages of servers only."""
    backend = place.world.backend
    known = backend.visible_commands(user_id=place.person.actor.id, channel_id=place.channel.id, type=MENU)
    command = next((item for item in known if item["name"] == name), None)
    if command is None:
        raise NotPossible(f"no menu {name}")
    stored = backend.get_message(place.channel.id, message.id)
    shown = {str(message.id): serializers.message_payload(backend, stored)}
    data = {
        "id": command["id"],
        "name": name,
        "type": MENU,
        "target_id": str(message.id),
        "resolved": {"messages": shown},
    }
    return _dispatch_actor_interaction(place.actor, InteractionType.APPLICATION_COMMAND, place.channel, data)


_Act = Callable[[Actions, Place, Body, Mapping[str, list[File]]], Callable[[], Awaitable[object]]]
_ACTS: Mapping[str, _Act] = {
    "slash": Actions._slash,
    "complete": Actions._complete,
    "click": Actions._click,
    "select": Actions._select,
    "menu": Actions._menu,
    "submit": Actions._submit,
}
_HANDLES = (OptionType.USER, OptionType.CHANNEL, OptionType.ROLE, OptionType.MENTIONABLE)
_PICKED: Mapping[int, int] = {5: OptionType.USER, 6: OptionType.ROLE, 7: OptionType.MENTIONABLE, 8: OptionType.CHANNEL}
"""Types of select menus that offer people, roles or channels, and the options' types for the same."""


def number(text: object) -> int:
    """An id from the browser, where it is a string."""
    return int(str(text))


def _options(
    place: Place, name: str, given: Body, files: Mapping[str, list[File]], *, partial: bool = False
) -> dict[str, Any]:
    """Values of a command's options; with `partial`, without those that are not complete yet."""
    declared = {option["name"]: option for option in place.leaf(name).get("options") or []}
    values: dict[str, Any] = {}
    for key, raw in given.items():
        option = declared[key]
        try:
            if option["type"] in _HANDLES:
                values[key] = place.one(option["type"], raw)
            else:
                values[key] = parse_option_input(name, option, raw)
        except (simcord.OptionError, NotPossible, ValueError):
            if not partial:
                raise
    return values | {key: files[key][0] for key in files if key in declared}


def _component(tree: object, custom_id: str) -> dict[str, Any]:
    """The component with this custom id in a tree of components."""
    return next(item for item in walk_components(tree) if item.get("custom_id") == custom_id)


def _chosen(place: Place, kind: int, values: list[str]) -> list[Any]:
    return [place.one(_PICKED[kind], value) for value in values] if kind in _PICKED else list(values)
