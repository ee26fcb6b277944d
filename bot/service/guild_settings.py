"""The settings of each server: limits, channels, pause, safety, retention; and its statistics. Event loop.

Every method that changes something checks itself that the asker manages the server.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from bot.config import Caps, Config, Limits, within_cap
from bot.errors import InvalidWish, NotOwner, OverLimit
from bot.service.queue import JobQueue
from bot.service.values import Asker, Safety, Statistics
from bot.store import Store

MAX_RETENTION_DAYS = 3_650
MAX_STATISTICS_DAYS = 366
_PAUSED, _SAFETY, _REPORTS, _RETENTION = "paused", "safety", "report_channel", "retention_days"
_CACHED_GUILDS = 2_000
LIMIT_NAMES = tuple(item.name for item in fields(Limits))
_LOWER_IS_BETTER = frozenset({"cooldown_s"})
_ZERO_IS_ENDLESS = frozenset({"daily"})


class Guilds:
    """The settings of each server, beside its words."""

    def __init__(self, config: Config, store: Store, facts: FactCache, queue: JobQueue) -> None:
        self._config, self._store, self._facts, self._queue = config, store, facts, queue

    async def load(self) -> None:
        """Take up which servers are paused. Called once, when the database is open."""
        for guild_id in await self._store.guilds.guilds_with(_PAUSED):
            self._queue.set_pause(guild_id, True)

    async def limits(self, guild_id: int, role_ids: frozenset[int] = frozenset()) -> Limits:
        """What holds for somebody with these roles: the host's defaults, the server's values, then the best role's."""
        facts = await self._facts.of(guild_id)
        own = {name: int(facts.settings[name]) for name in LIMIT_NAMES if name in facts.settings}
        roles = [values for role_id, values in facts.roles.items() if role_id in role_ids]
        return effective_limits(self._config.limits, own, roles, self._config.caps)

    async def set_limit(self, asker: Asker, name: str, value: int | None, role_id: int | None = None) -> Limits:
        """Set a limit of the server or of a role, by its name in `Limits`; None goes back to the default.

        Returns what holds then for the server, or for somebody with that role.

        Raises:
            NotOwner
            InvalidWish: for an unknown name or a value out of range.
            OverLimit: above the host's hard cap.
        """
        must_manage(asker)
        default = getattr(self._config.limits, name, 0)
        check_limit(name, default if value is None else value, self._config.caps)
        if role_id is None:
            await self._store.guilds.put_setting(asker.guild_id, name, None if value is None else str(value))
        else:
            await self._store.guilds.put_role_limit(asker.guild_id, role_id, name, value)
        self._facts.forget(asker.guild_id)
        return await self.limits(asker.guild_id, frozenset() if role_id is None else frozenset({role_id}))

    async def role_limits(self, guild_id: int) -> dict[int, dict[str, int]]:
        """What each role of a server has of its own, by role id."""
        return dict((await self._facts.of(guild_id)).roles)

    async def channels(self, guild_id: int) -> dict[int, bool]:
        """Channels with a rule: True is allowed, False denied. Where any is allowed, only those are."""
        return dict((await self._facts.of(guild_id)).channels)

    async def set_channel(self, asker: Asker, channel_id: int, allowed: bool | None) -> None:
        """Allow or deny a channel or category, or take its rule away (None).

        Raises:
            NotOwner
        """
        must_manage(asker)
        await self._store.guilds.put_channel(asker.guild_id, channel_id, allowed)
        self._facts.forget(asker.guild_id)

    async def is_open(self, asker: Asker) -> bool:
        """Whether pictures may be asked for where the asker is; a channel's own rule goes before its category's."""
        rules = (await self._facts.of(asker.guild_id)).channels
        own = rules.get(asker.channel_id)
        if own is not None:
            return own
        above = [rules[channel_id] for channel_id in asker.parent_channel_ids if channel_id in rules]
        return all(above) if above else True not in rules.values()

    async def pause(self, asker: Asker) -> None:
        """Begin no further picture of this server; what is asked for meanwhile is queued.

        Raises:
            NotOwner
        """
        must_manage(asker)
        await self._store.guilds.put_setting(asker.guild_id, _PAUSED, "yes")
        self._facts.forget(asker.guild_id)
        self._queue.set_pause(asker.guild_id, True)

    async def resume(self, asker: Asker) -> None:
        """Take up the server's queue again.

        Raises:
            NotOwner
        """
        must_manage(asker)
        await self._store.guilds.put_setting(asker.guild_id, _PAUSED, None)
        self._facts.forget(asker.guild_id)
        self._queue.set_pause(asker.guild_id, False)

    async def paused(self, guild_id: int) -> bool:
        """Whether the server's queue is paused."""
        return guild_id in self._queue.paused

    async def clear(self, asker: Asker) -> int:
        """Cancel every queued job of the server; returns how many.

        Raises:
            NotOwner
        """
        must_manage(asker)
        return await self._queue.clear(asker.guild_id)

    async def safety(self, guild_id: int) -> tuple[Safety, int | None]:
        """What is done with pictures in which the check finds something, and the channel for reports."""
        settings = (await self._facts.of(guild_id)).settings
        channel = settings.get(_REPORTS)
        return Safety(settings.get(_SAFETY, self._config.safety.mode)), None if channel is None else int(channel)

    async def set_safety(
        self, asker: Asker, *, mode: Safety | None = None, report_channel_id: int | None = None
    ) -> tuple[Safety, int | None]:
        """Change what is given; a report channel of 0 takes it away. Returns what holds then.

        Raises:
            NotOwner
        """
        must_manage(asker)
        if mode is not None:
            await self._store.guilds.put_setting(asker.guild_id, _SAFETY, mode.value)
        if report_channel_id is not None:
            channel = str(report_channel_id) if report_channel_id else None
            await self._store.guilds.put_setting(asker.guild_id, _REPORTS, channel)
        self._facts.forget(asker.guild_id)
        return await self.safety(asker.guild_id)

    async def retention_days(self, guild_id: int) -> int:
        """After how many days pictures are deleted; 0 is never."""
        own = (await self._facts.of(guild_id)).settings.get(_RETENTION)
        return shortest_retention(self._config.retention_days, None if own is None else int(own))

    async def set_retention(self, asker: Asker, days: int | None) -> int:
        """Set it (None: back to the host's default); returns what holds now, which is never longer than the host's.

        Raises:
            NotOwner
            InvalidWish: out of range.
        """
        must_manage(asker)
        if days is not None and not 0 <= days <= MAX_RETENTION_DAYS:
            raise InvalidWish("out_of_range", field="days", name="days", low=0, high=MAX_RETENTION_DAYS)
        await self._store.guilds.put_setting(asker.guild_id, _RETENTION, None if days is None else str(days))
        self._facts.forget(asker.guild_id)
        return await self.retention_days(asker.guild_id)

    async def forget(self, guild_id: int) -> None:
        """Delete all that a server set, and its sums; its jobs are the caller's."""
        self._queue.set_pause(guild_id, False)
        await self._store.guilds.forget(guild_id)
        self._facts.forget(guild_id)

    async def statistics(self, guild_id: int | None, days: int = 7) -> Statistics:
        """Of a server, or of all (None), in the last 1 to 366 days."""
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


def shortest_retention(host_days: int, guild_days: int | None) -> int:
    """The shorter of two times in days, where 0 is for ever; a server without its own has the host's."""
    if guild_days is None or guild_days == 0:
        return host_days
    return min(guild_days, host_days) if host_days else guild_days


@dataclass(frozen=True)
class GuildFacts:
    """Settings, limits of roles, channel rules, styles and blocklist of one server, as they are in the database."""

    settings: dict[str, str]
    roles: dict[int, dict[str, int]]
    channels: dict[int, bool]
    styles: dict[str, str]
    rules: tuple[str, ...]


class FactCache:
    """The facts of the servers that asked last. This process is the only one that changes them."""

    def __init__(self, store: Store) -> None:
        self._table = store.guilds
        self._known: OrderedDict[int, GuildFacts] = OrderedDict()

    async def of(self, guild_id: int) -> GuildFacts:
        """What the server set."""
        facts = self._known.get(guild_id)
        if facts is None:
            facts = GuildFacts(
                settings=await self._table.settings(guild_id),
                roles=await self._table.role_limits(guild_id),
                channels=await self._table.channels(guild_id),
                styles=await self._table.styles(guild_id),
                rules=await self._table.rules(guild_id),
            )
            self._known[guild_id] = facts
        self._known.move_to_end(guild_id)
        while len(self._known) > _CACHED_GUILDS:
            self._known.popitem(last=False)
        return facts

    def forget(self, guild_id: int) -> None:
        """Read the server's facts anew next time. To be called after each change, without a wait in between."""
        self._known.pop(guild_id, None)


def must_manage(asker: Asker) -> None:
    """Let only those pass who manage the server.

    Raises:
        NotOwner
    """
    if not asker.manages:
        raise NotOwner("must_manage")


def effective_limits(
    defaults: Limits, guild: Mapping[str, int], roles: Iterable[Mapping[str, int]], caps: Caps
) -> Limits:
    """The limits of a person; a role's value goes before the server's, of several roles the best one."""
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
    """See that an admin may set a limit to a value.

    Raises:
        InvalidWish: for an unknown name or a value that is out of range for everybody.
        OverLimit: above the host's cap.
    """
    item = {item.name: item for item in fields(Limits)}.get(name)
    if item is None:
        raise InvalidWish("limit_unknown", field="name", name=name[:40], known=", ".join(LIMIT_NAMES))
    low, high = item.metadata["low"], item.metadata["high"]
    cap = getattr(caps, name, None)
    if not low <= value <= high:
        most = min(high, cap or high)  # 0 is without end
        raise InvalidWish("out_of_range_whole", field=name, name=name, low=low, high=most)
    if cap is not None and not within_cap(name, value, cap):
        raise OverLimit("limit_over_cap", name=name, cap=cap)


def _better(name: str, one: int, other: int) -> int:
    if name in _ZERO_IS_ENDLESS and 0 in (one, other):
        return 0
    return min(one, other) if name in _LOWER_IS_BETTER else max(one, other)
