"""Settings of each server: limits, channels, pause, safety, retention; and its statistics. Event loop.

Every method that changes something checks that the requester manages the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from bot.config import Caps, Config, Limits, within_cap
from bot.errors import InvalidJobSpec, NotFound, OverLimit, WrongState
from bot.service.queue import JobQueue
from bot.service.values import Requester, RetentionPlan, Safety, ServerModels, Statistics
from bot.store import GuildTable, RecordCache, Store

MAX_RETENTION_DAYS = 3_650
DAY_S = 86_400
MAX_STATISTICS_DAYS = 366
_PAUSED, _SAFETY, _REPORTS, _RETENTION = "paused", "safety", "report_channel", "retention_days"
_MODELS_DENIED, _MODELS_DEFAULT = "models_denied", "models_default"
_CERTAINTY = "safety_certainty_percent"
_CACHED_GUILDS = 2_000
LIMIT_NAMES = tuple(item.name for item in fields(Limits))
_LOWER_IS_BETTER = frozenset({"cooldown_s"})
_ZERO_IS_ENDLESS = frozenset({"daily"})


@dataclass(frozen=True)
class GuildRecord:
    """Settings, role limits, channel rules, styles, presets, wildcards, blocklist and blocked people of a server."""

    settings: dict[str, str]
    roles: dict[int, dict[str, int]]
    channels: dict[int, bool]
    styles: dict[str, str]
    presets: dict[str, str]
    wildcards: dict[str, tuple[str, ...]]
    rules: tuple[str, ...]
    people: dict[int, float]


_NO_RECORD = GuildRecord(settings={}, roles={}, channels={}, styles={}, presets={}, wildcards={}, rules=(), people={})


class GuildRecords:
    """Read and write settings of servers. Reads are cached; only this process writes, always by `changing`."""

    def __init__(self, table: GuildTable) -> None:
        self._table = table
        self._cached = RecordCache(self._read, _CACHED_GUILDS)

    async def of(self, guild_id: int) -> GuildRecord:
        """Record of a server; people without one have no settings."""
        return _NO_RECORD if guild_id < 0 else await self._cached.of(guild_id)

    async def _read(self, guild_id: int) -> GuildRecord:
        table = self._table
        # All at once: the loop waits for the database's thread once instead of eight times.
        reads = (
            table.settings, table.role_limits, table.channels, table.styles, table.presets, table.wildcards,
            table.rules, table.blocked_people,
        )  # fmt: skip
        values: list[Any] = await asyncio.gather(*(read(guild_id) for read in reads))
        return GuildRecord(*values)

    @asynccontextmanager
    async def changing(self, requester: Requester) -> AsyncIterator[GuildTable]:
        """Table to write to, for a requester who manages the server; afterwards its record is read again.

        Raises:
            NotOwner
        """
        requester.must_manage()
        try:
            yield self._table
        finally:
            self._cached.changed(requester.guild_id)

    async def forget(self, guild_id: int) -> None:
        """Delete all settings of a server, and its sums."""
        try:
            await self._table.forget(guild_id)
        finally:
            self._cached.changed(guild_id)


class GuildSettings:
    """Settings of each server except its words."""

    def __init__(self, config: Config, store: Store, records: GuildRecords, queue: JobQueue) -> None:
        self._config, self._store, self._records, self._queue = config, store, records, queue

    async def load(self) -> None:
        """Load the paused servers. Called once, when the database is open."""
        for guild_id in await self._store.guilds.guilds_with(_PAUSED):
            self._queue.set_pause(guild_id, True)

    async def limits(self, guild_id: int, role_ids: frozenset[int] = frozenset()) -> Limits:
        """Effective limits with these roles: host defaults, server overrides, best role.

        People who use the bot without a server have limits of their own.
        """
        if guild_id < 0:
            own, base = self._config.personal, self._config.limits
            base = replace(base, queue_server=own.queue_all, queue_user=own.queue_user, daily=own.daily)
            return effective_limits(base, {}, [], self._config.caps)
        record = await self._records.of(guild_id)
        overrides = {name: int(record.settings[name]) for name in LIMIT_NAMES if name in record.settings}
        roles = [values for role_id, values in record.roles.items() if role_id in role_ids]
        return effective_limits(self._config.limits, overrides, roles, self._config.caps)

    async def set_limit(self, requester: Requester, name: str, value: int | None, role_id: int | None = None) -> Limits:
        """Set a limit of the server or of a role, by its name in `Limits`; None restores the default.

        Returns the effective limits of the server, or of a member with that role.

        Raises:
            NotOwner
            InvalidJobSpec: for an unknown name or a value out of range.
            OverLimit: above the host's hard cap.
        """
        async with self._records.changing(requester) as table:
            default = getattr(self._config.limits, name, 0)
            check_limit(name, default if value is None else value, self._config.caps)
            if role_id is None:
                await table.put_setting(requester.guild_id, name, None if value is None else str(value))
            else:
                await table.put_role_limit(requester.guild_id, role_id, name, value)
        return await self.limits(requester.guild_id, frozenset() if role_id is None else frozenset({role_id}))

    async def role_limits(self, guild_id: int) -> dict[int, dict[str, int]]:
        """Limits of each role of a server, by role id."""
        return dict((await self._records.of(guild_id)).roles)

    async def channels(self, guild_id: int) -> dict[int, bool]:
        """Channels with a rule: True is allowed, False denied. If any is allowed, only those are."""
        return dict((await self._records.of(guild_id)).channels)

    async def set_channel(self, requester: Requester, channel_id: int, allowed: bool | None) -> None:
        """Allow or deny a channel or category; None removes its rule.

        Raises:
            NotOwner
        """
        async with self._records.changing(requester) as table:
            await table.put_channel(requester.guild_id, channel_id, allowed)

    async def is_open(self, requester: Requester) -> bool:
        """Return True if jobs are allowed in the requester's channel; its own rule overrides its category's."""
        rules = (await self._records.of(requester.guild_id)).channels
        own = rules.get(requester.channel_id)
        if own is not None:
            return own
        above = [rules[channel_id] for channel_id in requester.parent_channel_ids if channel_id in rules]
        return all(above) if above else True not in rules.values()

    async def pause(self, requester: Requester) -> None:
        """Start no more pictures of this server; new jobs are queued.

        Raises:
            NotOwner
        """
        async with self._records.changing(requester) as table:
            await table.put_setting(requester.guild_id, _PAUSED, "yes")
        self._queue.set_pause(requester.guild_id, True)

    async def resume(self, requester: Requester) -> None:
        """Resume the server's queue.

        Raises:
            NotOwner
        """
        async with self._records.changing(requester) as table:
            await table.put_setting(requester.guild_id, _PAUSED, None)
        self._queue.set_pause(requester.guild_id, False)

    async def paused(self, guild_id: int) -> bool:
        """Return True if the server's queue is paused."""
        return guild_id in self._queue.paused

    async def blocked_people(self, guild_id: int) -> dict[int, float]:
        """People who may not ask for pictures in the server, with the time of the block."""
        return dict((await self._records.of(guild_id)).people)

    async def block_person(self, requester: Requester, user_id: int) -> None:
        """Refuse a person's requests in the server from now on; jobs under way stay.

        Raises:
            NotOwner
        """
        async with self._records.changing(requester) as table:
            await table.block_person(requester.guild_id, user_id)

    async def unblock_person(self, requester: Requester, user_id: int) -> None:
        """Lift the block of a person.

        Raises:
            NotOwner
            NotFound: if the person is not blocked.
        """
        async with self._records.changing(requester) as table:
            removed = await table.unblock_person(requester.guild_id, user_id)
        if not removed:
            raise NotFound("person_not_blocked")

    async def models(self, guild_id: int) -> ServerModels:
        """Model sets that a server may use, and its usual one."""
        settings = (await self._records.of(guild_id)).settings
        denied = set(settings.get(_MODELS_DENIED, "").split())
        allowed = tuple(name for name in self._config.model_names if name not in denied) or self._config.model_names[:1]
        usual = settings.get(_MODELS_DEFAULT, self._config.model_name)
        return ServerModels(allowed=allowed, usual=usual if usual in allowed else allowed[0])

    async def allow_models(self, requester: Requester, name: str, *, allowed: bool) -> ServerModels:
        """Allow or deny one of the host's model sets in a server; the last one stays.

        Raises:
            NotOwner
            NotFound: if the host does not offer it.
            WrongState: if no other would be left.
        """
        async with self._records.changing(requester) as table:
            self._check_offered(name)
            before = await self.models(requester.guild_id)
            left = {*before.allowed, name} if allowed else {*before.allowed} - {name}
            if not left:
                raise WrongState("models_last", models=name)
            denied = " ".join(each for each in self._config.model_names if each not in left)
            await table.put_setting(requester.guild_id, _MODELS_DENIED, denied or None)
        return await self.models(requester.guild_id)

    async def set_usual_models(self, requester: Requester, name: str) -> ServerModels:
        """Choose the model set of pictures for which nobody chooses one; it is allowed thereby.

        Raises:
            NotOwner
            NotFound: if the host does not offer it.
        """
        await self.allow_models(requester, name, allowed=True)
        async with self._records.changing(requester) as table:
            value = None if name == self._config.model_name else name
            await table.put_setting(requester.guild_id, _MODELS_DEFAULT, value)
        return await self.models(requester.guild_id)

    def _check_offered(self, name: str) -> None:
        if name not in self._config.model_names:
            raise NotFound("models_unknown", models=name[:80], known=", ".join(self._config.model_names))

    async def safety(self, guild_id: int) -> tuple[Safety, int | None]:
        """Policy for pictures in which the safety check finds something, and the channel for reports."""
        settings = (await self._records.of(guild_id)).settings
        channel = settings.get(_REPORTS)
        return Safety(settings.get(_SAFETY, self._config.safety.mode)), None if channel is None else int(channel)

    async def unsafe_from(self, guild_id: int) -> float:
        """Certainty of the safety check, 0..1, from which a picture is flagged."""
        percent = (await self._records.of(guild_id)).settings.get(_CERTAINTY)
        return self._config.safety.threshold if percent is None else int(percent) / 100

    async def set_safety(
        self,
        requester: Requester,
        *,
        mode: Safety | None = None,
        report_channel_id: int | None = None,
        certainty_percent: int | None = None,
    ) -> tuple[Safety, int | None]:
        """Change the given values; a report channel of 0 removes it. Return the effective mode and channel.

        Raises:
            NotOwner
        """
        async with self._records.changing(requester) as table:
            if mode is not None:
                await table.put_setting(requester.guild_id, _SAFETY, mode.value)
            if certainty_percent is not None:
                await table.put_setting(requester.guild_id, _CERTAINTY, str(certainty_percent))
            if report_channel_id is not None:
                channel = str(report_channel_id) if report_channel_id else None
                await table.put_setting(requester.guild_id, _REPORTS, channel)
        return await self.safety(requester.guild_id)

    async def retention_days(self, guild_id: int) -> int:
        """Number of days after which pictures are deleted; 0 is never."""
        own = (await self._records.of(guild_id)).settings.get(_RETENTION)
        return shortest_retention(self._config.retention_days, None if own is None else int(own))

    async def retention_plan(self, requester: Requester, days: int) -> RetentionPlan:
        """Effect of `set_retention` with these days, without changing anything.

        Raises:
            NotOwner
            InvalidJobSpec: out of range.
        """
        requester.must_manage()
        check_retention(days)
        days, guild_id = shortest_retention(self._config.retention_days, days), requester.guild_id
        before = time.time() - days * DAY_S
        jobs, pictures = await self._store.pictures.count_old(guild_id, before) if days else (0, 0)
        oldest = await self._store.pictures.oldest_end(guild_id, since=before if days else 0.0)
        return RetentionPlan(
            days=days,
            jobs=jobs,
            pictures=pictures,
            next_at=oldest + days * DAY_S if days and oldest is not None else None,
        )

    async def set_retention(self, requester: Requester, days: int | None) -> int:
        """Set it (None: the host's default); return the effective value, which never exceeds the host's.

        Raises:
            NotOwner
            InvalidJobSpec: out of range.
        """
        async with self._records.changing(requester) as table:
            if days is not None:
                check_retention(days)
            await table.put_setting(requester.guild_id, _RETENTION, None if days is None else str(days))
        return await self.retention_days(requester.guild_id)

    async def forget(self, guild_id: int) -> None:
        """Delete all settings of a server, and its sums; the caller deletes its jobs."""
        self._queue.set_pause(guild_id, False)
        await self._records.forget(guild_id)

    async def statistics(self, guild_id: int | None, days: int = 7) -> Statistics:
        """Statistics of a server, or of all (None), in the last 1 to 366 days."""
        days = min(max(1, days), MAX_STATISTICS_DAYS)
        sums = await self._store.figures.sums(guild_id, days)
        return Statistics(
            days=days,
            pictures=sums.pictures,
            cancelled=sums.cancelled,
            failed=sums.failed,
            paint_s=sums.paint_s,
            waited_mean_s=sums.waited_s / sums.started if sums.started else 0.0,
            waited_most_s=sums.waited_most_s,
            queued_now=self._queue.length(guild_id),
        )


def check_retention(days: int) -> None:
    """Check that an admin may set this retention period.

    Raises:
        InvalidJobSpec: out of range.
    """
    if not 0 <= days <= MAX_RETENTION_DAYS:
        raise InvalidJobSpec("out_of_range", field="days", name="days", low=0, high=MAX_RETENTION_DAYS)


def shortest_retention(host_days: int, guild_days: int | None) -> int:
    """The shorter of two times in days, where 0 means forever; a server without a setting uses the host's."""
    if guild_days is None or guild_days == 0:
        return host_days
    return min(guild_days, host_days) if host_days else guild_days


def effective_limits(
    defaults: Limits, guild: Mapping[str, int], roles: Iterable[Mapping[str, int]], caps: Caps
) -> Limits:
    """Limits of a person; a role's value overrides the server's, of several roles the best one."""
    values = {name: value for name, value in guild.items() if name in LIMIT_NAMES}
    best: dict[str, int] = {}
    for role in roles:
        for name, value in role.items():
            if name in LIMIT_NAMES:
                best[name] = _better(name, best.get(name, value), value)
    values |= best
    for name, value in values.items():
        cap = getattr(caps, name, None)
        if cap is not None and not within_cap(name, value, cap):
            values[name] = cap  # The host lowered the cap after the server set its value.
    return replace(defaults, **values)


def check_limit(name: str, value: int, caps: Caps) -> None:
    """Check that an admin may set a limit to a value.

    Raises:
        InvalidJobSpec: for an unknown name or a value that is out of range for everybody.
        OverLimit: above the host's cap.
    """
    item = {item.name: item for item in fields(Limits)}.get(name)
    if item is None:
        raise InvalidJobSpec("limit_unknown", field="name", name=name[:40], known=", ".join(LIMIT_NAMES))
    low, high = item.metadata["low"], item.metadata["high"]
    cap = getattr(caps, name, None)
    if not low <= value <= high:
        most = min(high, cap or high)  # 0 is unlimited
        raise InvalidJobSpec("out_of_range_whole", field=name, name=name, low=low, high=most)
    if cap is not None and not within_cap(name, value, cap):
        raise OverLimit("limit_over_cap", name=name, cap=cap)


def _better(name: str, one: int, other: int) -> int:
    if name in _ZERO_IS_ENDLESS and 0 in (one, other):
        return 0
    return min(one, other) if name in _LOWER_IS_BETTER else max(one, other)
