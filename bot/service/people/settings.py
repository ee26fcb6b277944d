"""Settings that people choose for themselves, for every server. Event loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import get_type_hints

from bot.errors import InvalidJobSpec
from bot.jobs import Job
from bot.store import Store

LONG_WAIT_S = 60.0
"""A person who waited longer for a picture has probably looked away."""


class Ping(StrEnum):
    """When a finished picture pings the person who asked for it."""

    ALWAYS = "always"
    LONG = "long"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """A person's settings; each field is an enumeration, and its name is that of the setting."""

    ping: Ping = Ping.LONG


CHOICES: Mapping[str, type[StrEnum]] = get_type_hints(Preferences)
"""The values of each setting."""


class PersonalSettings:
    """Settings of people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, user_id: int) -> Preferences:
        """A person's settings; a value that is unknown, as after a downgrade, counts as the default."""
        stored = await self._store.people.settings(user_id)
        known = {name: value for name, value in stored.items() if name in CHOICES and value in list(CHOICES[name])}
        return replace(Preferences(), **{name: CHOICES[name](value) for name, value in known.items()})  # type: ignore[arg-type]  # by the types of its fields

    async def change(self, user_id: int, name: str, value: str) -> Preferences:
        """Change a setting; return all of them. The default is not stored.

        Raises:
            InvalidJobSpec: if there is no such setting or value.
        """
        choices = CHOICES.get(name)
        if choices is None or value not in list(choices):
            shown = ", ".join(CHOICES if choices is None else list(choices))
            raise InvalidJobSpec("not_a_choice", field=name, name=name[:40], choices=shown)
        default = next(item.default for item in fields(Preferences) if item.name == name)
        await self._store.people.put_setting(user_id, name, None if value == default else value)
        return await self.of(user_id)

    async def pings(self, job: Job) -> bool:
        """True if the owner of a job that has just been finished wants a ping."""
        ping = (await self.of(job.user_id)).ping
        return ping is Ping.ALWAYS or (ping is Ping.LONG and time.time() - job.created_at > LONG_WAIT_S)
