"""Settings that people choose for themselves, for every server. Event loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import get_type_hints

from bot.config import STYLE_NAME, Limits
from bot.errors import InvalidJobSpec
from bot.jobs import Job
from bot.options import ratio_of
from bot.service.requests import merged
from bot.store import Store
from generator import Settings

LONG_WAIT_S = 60.0
"""A person who waited longer for a picture has probably looked away."""
DEFAULT = "default"
"""Word that restores the default of a setting that is a text."""


class Ping(StrEnum):
    """When a finished picture pings the person who asked for it."""

    ALWAYS = "always"
    LONG = "long"
    NEVER = "never"


class Privacy(StrEnum):
    """Default visibility of the person's pictures, where the request does not name one."""

    PUBLIC = "public"
    PRIVATE = "private"


class Language(StrEnum):
    """Language of the bot's answers."""

    CLIENT = "client"
    """That of the person's Discord client."""
    EN = "en"
    DE = "de"


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """A person's settings by name: choices from an enumeration, or texts, which are empty by default."""

    ping: Ping = Ping.LONG
    private: Privacy = Privacy.PUBLIC
    language: Language = Language.CLIENT
    size: str = ""
    """Size or ratio of pictures, as typed."""
    style: str = ""
    """Name of a style; it counts in the servers that know it."""
    model: str = ""
    """Name of a model set; it counts in the servers that allow it."""


CHOICES: Mapping[str, type[StrEnum]] = {
    name: kind for name, kind in get_type_hints(Preferences).items() if issubclass(kind, StrEnum)
}
"""The values of each setting that is a choice."""
TEXTS = tuple(item.name for item in fields(Preferences) if item.name not in CHOICES)
"""The settings that are texts."""


class PersonalSettings:
    """Settings of people."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._languages: dict[int, str] = {}

    async def load(self) -> None:
        """Load the languages that people chose. Called once, when the database is open."""
        self._languages = {
            user_id: value
            for user_id, value in (await self._store.people.everybody("language")).items()
            if value in list(Language)
        }

    def language(self, user_id: int) -> str | None:
        """The language that a person chose; None is that of the person's Discord client."""
        return self._languages.get(user_id)

    async def of(self, user_id: int) -> Preferences:
        """A person's settings; a value that is unknown, as after a downgrade, counts as the default."""
        stored = await self._store.people.settings(user_id)
        known: dict[str, str] = {
            name: CHOICES[name](value)
            for name, value in stored.items()
            if name in CHOICES and value in list(CHOICES[name])
        }
        known |= {name: value for name, value in stored.items() if name in TEXTS}
        return replace(Preferences(), **known)  # type: ignore[arg-type]  # by the types of its fields

    async def change(self, user_id: int, name: str, value: str) -> Preferences:
        """Change a setting; return all of them. The default is not stored.

        Raises:
            InvalidJobSpec: if there is no such setting or value.
        """
        value = value.strip()
        if name in TEXTS:
            value = "" if value.casefold() == DEFAULT else value
            _check_text(name, value)
        elif name not in CHOICES or value not in list(CHOICES[name]):
            shown = ", ".join(list(CHOICES[name]) if name in CHOICES else [*CHOICES, *TEXTS])
            raise InvalidJobSpec("not_a_choice", field=name, name=name[:40], choices=shown)
        default = next(item.default for item in fields(Preferences) if item.name == name)
        await self._store.people.put_setting(user_id, name, None if value == default else value)
        if name == "language":
            self._languages.pop(user_id, None)
            if value != default:
                self._languages[user_id] = value
        return await self.of(user_id)

    async def forget(self, user_id: int) -> None:
        """Delete a person's settings, presets, favourites, batches, votes and ballots."""
        await self._store.people.forget(user_id)
        self._languages.pop(user_id, None)

    async def pings(self, job: Job) -> bool:
        """True if the owner of a job that has just been finished wants a ping that can be sent; a batch pings once."""
        if job.batch_id is not None or job.by_token:
            return False
        return await self.wants_ping(job.user_id, job.created_at)

    async def wants_ping(self, user_id: int, since: float) -> bool:
        """True if a person wants a ping about something asked for at a time (seconds since 1970)."""
        ping = (await self.of(user_id)).ping
        return ping is Ping.ALWAYS or (ping is Ping.LONG and time.time() - since > LONG_WAIT_S)


def _check_text(name: str, value: str) -> None:
    if name == "size" and value and ratio_of(value) is None:
        merged(Settings(), {"size": value}, Limits(size_px=2_048))
    if name == "style" and value and not STYLE_NAME.fullmatch(value):
        raise InvalidJobSpec("style_name", field="style")
