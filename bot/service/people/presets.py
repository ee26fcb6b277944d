"""Presets: options of a picture under a name, of a person in every server or of a server for everybody. Event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from bot.config import STYLE_NAME, Limits
from bot.errors import Blocked, InvalidJobSpec, NotFound
from bot.jobs import Job
from bot.options import SETTINGS, Typed, ratio_of, read, written
from bot.service.guild_settings import GuildRecords
from bot.service.prompt_rules import PromptRules
from bot.service.requests import merged, typed
from bot.service.values import Preset, Requester
from bot.store import Store
from generator import Settings, suggestions_for

MAX_PRESETS = 50
"""Maximum number of presets of a person, and of a server."""
MAX_CHARACTERS = 1_000
MAX_LISTED = 25
_OF_ONE_PICTURE = ("seed", "init_weight")
_OF_BUTTONS = ("init", "parent")
"""Starts that need a picture."""


class Presets:
    """Presets of people and servers."""

    def __init__(
        self,
        store: Store,
        records: GuildRecords,
        words: PromptRules,
        limits: Limits,
        settings: Settings,
        starts: Mapping[str, Mapping[str, object]],
    ) -> None:
        """`settings` are the defaults of every picture, `starts` overrides them by start; `limits` are the host's."""
        self._store, self._records, self._words = store, records, words
        self._limits, self._settings, self._starts = limits, settings, starts

    async def known(self, guild_id: int, user_id: int) -> tuple[Preset, ...]:
        """A person's own presets and the server's, by name; an own one hides the server's of the same name."""
        own = await self._store.people.presets(user_id)
        taken = set(map(str.casefold, own))
        found = [Preset(name=name, options=options, own=True) for name, options in own.items()]
        for name, options in (await self._records.of(guild_id)).presets.items():
            if name.casefold() not in taken:
                found.append(Preset(name=name, options=options, own=False))
        return tuple(sorted(found, key=lambda preset: preset.name.casefold()))

    async def get(self, guild_id: int, user_id: int, name: str) -> Preset:
        """The preset of that name, ignoring case.

        Raises:
            NotFound
        """
        known = await self.known(guild_id, user_id)
        for preset in known:
            if preset.name.casefold() == name.strip().casefold():
                return preset
        raise _unknown(name, [preset.name for preset in known])

    async def save(self, requester: Requester, name: str, options: str, *, server: bool = False) -> Preset:
        """Add a preset of the requester, or of the server, or replace the one of that name.

        Raises:
            NotOwner: for a preset of the server, unless the requester manages it.
            InvalidJobSpec, NotFound: for an invalid name or options.
        """
        name, options = name.strip(), " ".join(options.split())
        if not STYLE_NAME.fullmatch(name):
            raise InvalidJobSpec("preset_name", field="name")
        await self._check(requester, options)
        if server:
            async with self._records.changing(requester) as table:
                _check_room(name, (await self._records.of(requester.guild_id)).presets)
                await table.put_preset(requester.guild_id, name, options)
        else:
            _check_room(name, await self._store.people.presets(requester.user_id))
            await self._store.people.put_preset(requester.user_id, name, options)
        return Preset(name=name, options=options, own=not server)

    async def delete(self, requester: Requester, name: str) -> Preset:
        """Delete the requester's preset of that name, else the server's.

        Raises:
            NotFound
            NotOwner: for a preset of the server, unless the requester manages it.
        """
        preset = await self.get(requester.guild_id, requester.user_id, name)
        if preset.own:
            await self._store.people.put_preset(requester.user_id, preset.name, None)
        else:
            async with self._records.changing(requester) as table:
                await table.put_preset(requester.guild_id, preset.name, None)
        return preset

    async def shareable(self, requester: Requester, name: str) -> Preset:
        """The preset of that name, whose options may be shown to everybody.

        Raises:
            NotFound
            Blocked: if a text in it breaks a rule of the blocklist.
        """
        preset = await self.get(requester.guild_id, requester.user_id, name)
        rule = await self._words.find_block(requester.guild_id, f"{preset.name} {preset.options}")
        if rule is not None:
            raise Blocked("blocked", rule=rule)
        return preset

    async def options_of(self, job: Job) -> str:
        """The settings of a picture that differ from the defaults, as words of a prompt; its seed is left out."""
        values = job.settings.as_dict()
        usual = self._settings.merged(suggestions_for(job.settings.start, values, self._starts)).as_dict()
        kept = {
            name: values[name]
            for name in SETTINGS
            if (name == "size" or values[name] != usual[name]) and name not in _OF_ONE_PICTURE
        }
        if kept.get("start") in _OF_BUTTONS:
            del kept["start"]
        if job.count > 1:
            kept["count"] = job.count
        kept |= {name: True for name in ("timelapse", "private") if getattr(job, name)}
        return written(kept)

    async def _check(self, requester: Requester, options: str) -> None:
        """Check that a text holds options and nothing else, with possible values."""
        if len(options) > MAX_CHARACTERS:
            raise InvalidJobSpec("preset_too_long", field="options", most=MAX_CHARACTERS)
        styles = [style.name for style in await self._words.styles(requester.guild_id)]
        found = read(options, styles)
        if found == Typed(prompt=options) or found.prompt or found.preset is not None:
            words = found.prompt if found.preset is None else "--preset"
            raise InvalidJobSpec("preset_options", field="options", words=words[:60])
        if found.style is not None:
            await self._words.style(requester.guild_id, found.style)
        given = {name: typed(name, value) for name, value in found.settings.items()}
        if ratio_of(given.get("size")) is not None:
            del given["size"]
        merged(self._settings, given, self._limits)


def _check_room(name: str, known: Mapping[str, str]) -> None:
    if len(known) >= MAX_PRESETS and name.casefold() not in map(str.casefold, known):
        raise InvalidJobSpec("presets_full", most=MAX_PRESETS)


def _unknown(name: str, known: Sequence[str]) -> NotFound:
    """The refusal of a preset that does not exist, with the nearest name and those that there are."""
    if not known:
        return NotFound("preset_unknown", name=name[:40])
    names = {each.casefold(): each for each in known}
    listed = ", ".join(known[:MAX_LISTED]) + (", …" if len(known) > MAX_LISTED else "")
    nearest = get_close_matches(name.strip().casefold()[:40], names, 1)
    if not nearest:
        return NotFound("preset_unknown_here", name=name[:40], known=listed)
    return NotFound("preset_unknown_near", name=name[:40], nearest=names[nearest[0]], known=listed)
