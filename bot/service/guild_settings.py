"""What the admins of a server decide: limits, channels, pause, safety, retention; and its statistics. Event loop.

Every method that changes something checks itself that the asker manages the server.
"""

from __future__ import annotations

from bot.config import Config, Limits
from bot.errors import InvalidJobSpec
from bot.service import limits as limit_rules
from bot.service.facts import FactCache, must_manage
from bot.service.queue import JobQueue
from bot.service.values import Requester, Safety, Statistics
from bot.store import Store

MAX_RETENTION_DAYS = 3_650
MAX_STATISTICS_DAYS = 366
_PAUSED, _SAFETY, _REPORTS, _RETENTION = "paused", "safety", "report_channel", "retention_days"


class GuildSettings:
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
        own = {name: int(facts.settings[name]) for name in limit_rules.NAMES if name in facts.settings}
        roles = [values for role_id, values in facts.roles.items() if role_id in role_ids]
        return limit_rules.effective(self._config.limits, own, roles, self._config.caps)

    async def set_limit(self, requester: Requester, name: str, value: int | None, role_id: int | None = None) -> Limits:
        """Set a limit of the server or of a role, by its name in `Limits`; None goes back to the default.

        Returns what holds then for the server, or for somebody with that role.

        Raises:
            NotOwner
            InvalidWish: for an unknown name or a value out of range.
            OverLimit: above the host's hard cap.
        """
        must_manage(requester)
        default = getattr(self._config.limits, name, 0)
        limit_rules.check(name, default if value is None else value, self._config.caps)
        if role_id is None:
            await self._store.guilds.put_setting(requester.guild_id, name, None if value is None else str(value))
        else:
            await self._store.guilds.put_role_limit(requester.guild_id, role_id, name, value)
        self._facts.forget(requester.guild_id)
        return await self.limits(requester.guild_id, frozenset() if role_id is None else frozenset({role_id}))

    async def role_limits(self, guild_id: int) -> dict[int, dict[str, int]]:
        """What each role of a server has of its own, by role id."""
        return dict((await self._facts.of(guild_id)).roles)

    async def channels(self, guild_id: int) -> dict[int, bool]:
        """Channels with a rule: True is allowed, False denied. Where any is allowed, only those are."""
        return dict((await self._facts.of(guild_id)).channels)

    async def set_channel(self, requester: Requester, channel_id: int, allowed: bool | None) -> None:
        """Allow or deny a channel or category, or take its rule away (None).

        Raises:
            NotOwner
        """
        must_manage(requester)
        await self._store.guilds.put_channel(requester.guild_id, channel_id, allowed)
        self._facts.forget(requester.guild_id)

    async def is_open(self, requester: Requester) -> bool:
        """Whether pictures may be asked for where the asker is; a channel's own rule goes before its category's."""
        rules = (await self._facts.of(requester.guild_id)).channels
        own = rules.get(requester.channel_id)
        if own is not None:
            return own
        above = [rules[channel_id] for channel_id in requester.parent_channel_ids if channel_id in rules]
        return all(above) if above else True not in rules.values()

    async def pause(self, requester: Requester) -> None:
        """Begin no further picture of this server; what is asked for meanwhile is queued.

        Raises:
            NotOwner
        """
        must_manage(requester)
        await self._store.guilds.put_setting(requester.guild_id, _PAUSED, "yes")
        self._facts.forget(requester.guild_id)
        self._queue.set_pause(requester.guild_id, True)

    async def resume(self, requester: Requester) -> None:
        """Take up the server's queue again.

        Raises:
            NotOwner
        """
        must_manage(requester)
        await self._store.guilds.put_setting(requester.guild_id, _PAUSED, None)
        self._facts.forget(requester.guild_id)
        self._queue.set_pause(requester.guild_id, False)

    async def paused(self, guild_id: int) -> bool:
        """Whether the server's queue is paused."""
        return guild_id in self._queue.paused

    async def clear(self, requester: Requester) -> int:
        """Cancel every queued job of the server; returns how many.

        Raises:
            NotOwner
        """
        must_manage(requester)
        return await self._queue.clear(requester.guild_id)

    async def safety(self, guild_id: int) -> tuple[Safety, int | None]:
        """What is done with pictures in which the check finds something, and the channel for reports."""
        settings = (await self._facts.of(guild_id)).settings
        channel = settings.get(_REPORTS)
        return Safety(settings.get(_SAFETY, self._config.safety.mode)), None if channel is None else int(channel)

    async def set_safety(
        self, requester: Requester, *, mode: Safety | None = None, report_channel_id: int | None = None
    ) -> tuple[Safety, int | None]:
        """Change what is given; a report channel of 0 takes it away. Returns what holds then.

        Raises:
            NotOwner
        """
        must_manage(requester)
        if mode is not None:
            await self._store.guilds.put_setting(requester.guild_id, _SAFETY, mode.value)
        if report_channel_id is not None:
            channel = str(report_channel_id) if report_channel_id else None
            await self._store.guilds.put_setting(requester.guild_id, _REPORTS, channel)
        self._facts.forget(requester.guild_id)
        return await self.safety(requester.guild_id)

    async def retention_days(self, guild_id: int) -> int:
        """After how many days pictures are deleted; 0 is never."""
        own = (await self._facts.of(guild_id)).settings.get(_RETENTION)
        return shortest_retention(self._config.retention_days, None if own is None else int(own))

    async def set_retention(self, requester: Requester, days: int | None) -> int:
        """Set it (None: back to the host's default); returns what holds now, which is never longer than the host's.

        Raises:
            NotOwner
            InvalidWish: out of range.
        """
        must_manage(requester)
        if days is not None and not 0 <= days <= MAX_RETENTION_DAYS:
            raise InvalidJobSpec("out_of_range", field="days", name="days", low=0, high=MAX_RETENTION_DAYS)
        await self._store.guilds.put_setting(requester.guild_id, _RETENTION, None if days is None else str(days))
        self._facts.forget(requester.guild_id)
        return await self.retention_days(requester.guild_id)

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
