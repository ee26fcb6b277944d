"""Order of jobs: fair between servers, then between people of a server. Pure, no I/O or clock; any one thread.

Servers form a ring: a served one goes to its end, one with new jobs joins at its end, so each waits at most one turn
of every other one. The people of a server form a ring of the same kind. People with a higher priority go before the
others of their server, and only of theirs; every RANKED_TURNS + 1st turn of a server goes by the ring alone, so that
nobody waits for ever.

A forecast simulates this order with measured times.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

RANKED_TURNS = 3
"""Maximum number of consecutive turns of a server that priority can take from those without."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A waiting job with the fields that determine the order."""

    job_id: int
    guild_id: int
    user_id: int
    priority: int = 0
    running_limit: int = 1
    """Maximum number of running jobs of this person."""
    resumed: bool = False
    """It was interrupted by the end of the process or the worker thread; such jobs continue before any other starts."""


@dataclass(eq=False, kw_only=True)
class Lane:
    """A worker in a forecast.

    Attributes:
        device: kind of its device.
        resident: model sets in its memory, the most recently used last.
        room: number of sets that it keeps.
        job_id: the job that it runs at the beginning.
        leaving: it takes no other job.
    """

    device: str = ""
    resident: list[str] = field(default_factory=list)
    room: int = 1
    job_id: int | None = None
    leaving: bool = False

    def use(self, models: str) -> None:
        """Load a set if need be, in the place of the least recently used one."""
        if models in self.resident:
            self.resident.remove(models)
        self.resident.append(models)
        del self.resident[: -self.room]


class Costs(Protocol):
    """Times of waiting jobs, for a forecast."""

    def models(self, job_id: int) -> str:
        """Model set of a job."""

    def job_s(self, job_id: int, device: str) -> float:
        """Seconds of a job on a device, its models being loaded."""

    def load_s(self, models: str, device: str) -> float:
        """Seconds to load a model set."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Expected begin and end of a waiting job, in seconds from now; None if its server is paused."""

    job_id: int
    place: int
    start_s: float | None
    end_s: float | None


Key = tuple[int, int, int, int]
"""Rank, turn, served in that turn, oldest job: lower comes first."""
_End = tuple[float, int, Entry, Lane | None]
"""Time of a running job's end, its id, its entry, and the worker that becomes free."""


@dataclass
class _Seat:
    """A place in a ring: the turn in which it was last served, and its waiting jobs, oldest first."""

    served: int = -1
    jobs: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Each waiting job with the turn in which it came and its priority."""

    def key(self, *, ranked: bool) -> Key | None:
        """Sort key; a member who came during a turn goes before the one served in it. None without a waiting job."""
        if not self.jobs:
            return None
        oldest, (came, priority) = next(iter(self.jobs.items()))
        rank = -priority if ranked else 0
        return (rank, self.served, 1, oldest) if self.served >= came else (rank, came, 0, oldest)


class _Ring:
    """Seats by the id of their server or person, and the order of their turns.

    The heaps, one by turn and one by rank and turn, hold old keys as well: one that is not its seat's any more is
    dropped when it comes to the top.
    """

    def __init__(self, *, ranked: bool) -> None:
        self.turn = 0
        self.seats: dict[int, _Seat] = {}
        self._heaps: dict[bool, list[tuple[Key, int]]] = {False: [], True: []} if ranked else {False: []}

    def copy(self) -> _Ring:
        twin = _Ring(ranked=True in self._heaps)
        twin.turn = self.turn
        twin.seats = {member: _Seat(seat.served, dict(seat.jobs)) for member, seat in self.seats.items()}
        twin._heaps = {ranked: list(heap) for ranked, heap in self._heaps.items()}
        return twin

    def add(self, member: int, job_id: int, priority: int) -> None:
        """Add a waiting job."""
        seat = self.seats.setdefault(member, _Seat())
        seat.jobs[job_id] = (self.turn, priority)
        if len(seat.jobs) == 1:
            self._push(member)

    def remove(self, member: int, job_id: int) -> None:
        """Remove a waiting job. An empty seat is forgotten: a returning member joins at the end in any case."""
        seat = self.seats[member]
        del seat.jobs[job_id]
        if seat.jobs:
            self._push(member)
        else:
            del self.seats[member]

    def serve(self, member: int, job_id: int) -> None:
        """Give the turn to a member's job."""
        self.turn += 1
        self.seats[member].served = self.turn
        self.remove(member, job_id)

    def first(self, offer: Callable[[int], Entry | None], *, ranked: bool = False) -> Entry | None:
        """First entry that `offer` returns, in order of the members; `ranked`: higher priorities first."""
        heap, aside = self._heaps[ranked], []
        found = None
        while heap and found is None:
            key, member = heap[0]
            if member not in self.seats or self.seats[member].key(ranked=ranked) != key:
                heapq.heappop(heap)
                continue
            found = offer(member)
            if found is None:
                aside.append(heapq.heappop(heap))
        for item in aside:
            heapq.heappush(heap, item)
        return found

    def turns_before(self, member: int, own: int) -> int:
        """Number of turns of all members before a member's turn that follows `own` turns, without ranks and limits."""
        key, before = self.seats[member].key(ranked=False), own
        for other, seat in self.seats.items():
            theirs = seat.key(ranked=False)
            if other != member and theirs is not None and key is not None:
                before += min(len(seat.jobs), own + (theirs < key))
        return before

    def _push(self, member: int) -> None:
        for ranked, heap in self._heaps.items():
            key = self.seats[member].key(ranked=ranked)
            if key is not None:
                heapq.heappush(heap, (key, member))


class _Guild:
    """The people of a server, and the number of consecutive turns decided by priority."""

    def __init__(self) -> None:
        self.users = _Ring(ranked=True)
        self.ranked_turns = 0

    def copy(self) -> _Guild:
        twin = _Guild()
        twin.users, twin.ranked_turns = self.users.copy(), self.ranked_turns
        return twin


class Scheduler:
    """The waiting jobs and the order of their turns."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._resumed: dict[int, Entry] = {}
        self._ring = _Ring(ranked=False)
        self._guilds: dict[int, _Guild] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._entries

    @property
    def entries(self) -> Collection[Entry]:
        """Waiting jobs, in order of arrival."""
        return self._entries.values()

    def add(self, entry: Entry) -> None:
        """Add a waiting job; one that waits already keeps its place."""
        if entry.job_id in self._entries:
            return
        self._entries[entry.job_id] = entry
        if entry.resumed:
            self._resumed[entry.job_id] = entry
        self._ring.add(entry.guild_id, entry.job_id, 0)
        self._guilds.setdefault(entry.guild_id, _Guild()).users.add(entry.user_id, entry.job_id, entry.priority)

    def remove(self, job_id: int) -> Entry | None:
        """Remove a waiting job; None if it did not wait."""
        entry = self._entries.get(job_id)
        if entry is not None:
            self._ring.remove(entry.guild_id, job_id)
            self._guilds[entry.guild_id].users.remove(entry.user_id, job_id)
            self._forget(entry)
        return entry

    def place_in_turn(self, job_id: int) -> int:
        """Place of a waiting job, 1 for the next, if no priority, limit, pause or interruption changes the turns.

        It takes a part of the time of a forecast, which considers all of them.
        """
        entry = self._entries[job_id]
        users = self._guilds[entry.guild_id].users
        own = list(users.seats[entry.user_id].jobs).index(job_id)
        return self._ring.turns_before(entry.guild_id, users.turns_before(entry.user_id, own)) + 1

    def take(self, running: Iterable[Entry] = (), paused: Collection[int] = frozenset()) -> Entry | None:
        """Remove and return the next job; None if nothing may start now.

        `running` are the running jobs, `paused` the servers that start nothing.
        """
        return self._take(Counter((entry.guild_id, entry.user_id) for entry in running), paused)

    def forecast(
        self,
        costs: Costs,
        running: Mapping[Entry, float] | None = None,
        *,
        lanes: Iterable[Lane],
        paused: Collection[int] = frozenset(),
    ) -> Iterator[Forecast]:
        """Place and times of every waiting job, in the order in which they will start if nothing else comes.

        `running` holds the remaining time of each running job, `lanes` the workers, which the forecast changes. Jobs of
        paused servers come last, without times. Changes while the result is read do not affect it.
        """
        free = list(lanes)
        ends: list[_End] = []
        for entry, left in (running or {}).items():
            # A job between two pictures has no worker, but keeps the place of one.
            own = [lane for lane in free if lane.job_id == entry.job_id]
            own = own or [lane for lane in free if lane.job_id is None and not lane.leaving]
            if own:
                free.remove(own[0])
            ends.append((left, entry.job_id, entry, own[0] if own else None))
        heapq.heapify(ends)
        free = [lane for lane in free if not lane.leaving]
        return self._copy()._play(costs, ends, free, frozenset(paused))

    def _play(self, costs: Costs, ends: list[_End], free: list[Lane], paused: Collection[int]) -> Iterator[Forecast]:
        """Take all jobs, as soon as workers become free; `ends` is a heap of the ends of the running ones."""
        at_work = Counter((entry.guild_id, entry.user_id) for _, _, entry, _ in ends)
        place, now = 0, 0.0
        while self._entries:
            entry = self._take(at_work, paused) if free else None
            if entry is not None:
                place += 1
                models = costs.models(entry.job_id)
                lane = _lane_for(models, free)
                free.remove(lane)
                load_s = 0.0 if models in lane.resident else costs.load_s(models, lane.device)
                lane.use(models)
                end = now + load_s + costs.job_s(entry.job_id, lane.device)
                at_work[entry.guild_id, entry.user_id] += 1
                heapq.heappush(ends, (end, entry.job_id, entry, lane))
                yield Forecast(job_id=entry.job_id, place=place, start_s=now, end_s=end)
            elif ends:
                now, _, ended, lane_of_it = heapq.heappop(ends)
                if lane_of_it is not None and not lane_of_it.leaving:
                    free.append(lane_of_it)
                at_work[ended.guild_id, ended.user_id] -= 1
            else:
                break
        for stuck, job_id in enumerate(self._entries, start=place + 1):
            yield Forecast(job_id=job_id, place=stuck, start_s=None, end_s=None)

    def _take(self, at_work: Mapping[tuple[int, int], int], paused: Collection[int]) -> Entry | None:
        resumed = [
            job_id
            for job_id, entry in self._resumed.items()
            if entry.guild_id not in paused and at_work.get((entry.guild_id, entry.user_id), 0) < entry.running_limit
        ]
        if resumed:
            entry: Entry | None = self._resumed[min(resumed)]
        else:
            entry = self._ring.first(
                lambda guild_id: None if guild_id in paused else self._next_of_guild(guild_id, at_work)
            )
        if entry is not None:
            self._serve(entry)
        return entry

    def _next_of_guild(self, guild_id: int, at_work: Mapping[tuple[int, int], int]) -> Entry | None:
        """Next entry of a server; each person's own jobs go in order of arrival."""
        guild = self._guilds[guild_id]

        def of_user(user_id: int) -> Entry | None:
            entry = self._entries[next(iter(guild.users.seats[user_id].jobs))]
            return entry if at_work.get((guild_id, user_id), 0) < entry.running_limit else None

        return guild.users.first(of_user, ranked=guild.ranked_turns < RANKED_TURNS)

    def _serve(self, entry: Entry) -> None:
        """Give the turn to an entry."""
        guild = self._guilds[entry.guild_id]
        by_rank = entry.priority > 0 and guild.ranked_turns < RANKED_TURNS
        guild.ranked_turns = guild.ranked_turns + 1 if by_rank else 0
        self._ring.serve(entry.guild_id, entry.job_id)
        guild.users.serve(entry.user_id, entry.job_id)
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.job_id]
        self._resumed.pop(entry.job_id, None)
        if not self._guilds[entry.guild_id].users.seats:
            del self._guilds[entry.guild_id]

    def _copy(self) -> Scheduler:
        twin = Scheduler()
        twin._entries, twin._resumed, twin._ring = dict(self._entries), dict(self._resumed), self._ring.copy()
        twin._guilds = {guild_id: guild.copy() for guild_id, guild in self._guilds.items()}
        return twin


def _lane_for(models: str, free: Iterable[Lane]) -> Lane:
    """The worker that the pool would choose: one with the models, else an empty one, else any."""
    return max(free, key=lambda lane: (models in lane.resident, not lane.resident))
