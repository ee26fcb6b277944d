"""The choice of the next job: by example, and by random sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.service.scheduler import RANKED_TURNS, Entry, Lane, Scheduler


class Times:
    """Seconds of jobs on any device; model sets other than "tiny" are named here."""

    def __init__(self, seconds: Mapping[int, float], models: Mapping[int, str] | None = None) -> None:
        self._seconds, self._models = seconds, models or {}

    def models(self, job_id: int) -> str:
        return self._models.get(job_id, "tiny")

    def job_s(self, job_id: int, device: str) -> float:
        return self._seconds[job_id] * (2 if device == "slow" else 1)

    def load_s(self, models: str, device: str) -> float:
        return 0.0 if models == "tiny" else 100.0


def entry(job_id: int, guild_id: int = 1, user_id: int = 1, **values: object) -> Entry:
    return Entry(**{"job_id": job_id, "guild_id": guild_id, "user_id": user_id, **values})


def scheduler_of(*entries: Entry) -> Scheduler:
    scheduler = Scheduler()
    for item in entries:
        scheduler.add(item)
    return scheduler


def take_all(scheduler: Scheduler) -> list[int]:
    return [item.job_id for item in iter(scheduler.take, None)]


def test_servers_take_turns_however_much_one_of_them_queues() -> None:
    scheduler = scheduler_of(*(entry(number, guild_id=1) for number in range(5)), entry(10, guild_id=2))
    assert take_all(scheduler) == [0, 10, 1, 2, 3, 4]


def test_people_of_a_server_take_turns() -> None:
    scheduler = scheduler_of(entry(0), entry(1), entry(2), entry(3, user_id=2), entry(4, user_id=2))
    assert take_all(scheduler) == [0, 3, 1, 4, 2]


def test_a_server_that_comes_new_does_not_wait_for_anothers_queue() -> None:
    scheduler = scheduler_of(*(entry(number) for number in range(4)))
    assert scheduler.take() == entry(0)
    scheduler.add(entry(9, guild_id=2))
    assert take_all(scheduler) == [9, 1, 2, 3]


def test_leaving_the_ring_and_coming_back_gains_nothing() -> None:
    scheduler = scheduler_of(entry(0, guild_id=1), entry(1, guild_id=2), entry(2, guild_id=2))
    assert [scheduler.take(), scheduler.take()] == [entry(0, guild_id=1), entry(1, guild_id=2)]
    scheduler.add(entry(3, guild_id=1))
    scheduler.add(entry(4, guild_id=3))
    assert take_all(scheduler)[:2] == [3, 4]


def test_priority_goes_first_in_its_own_server_only() -> None:
    scheduler = scheduler_of(entry(0, guild_id=2), entry(1), entry(2, user_id=2, priority=5))
    assert take_all(scheduler) == [0, 2, 1]


def test_priority_lets_the_others_through_now_and_then() -> None:
    favoured = [entry(100 + number, user_id=2, priority=1) for number in range(20)]
    order = take_all(scheduler_of(entry(0), *favoured))
    assert order.index(0) == RANKED_TURNS


def test_interrupted_jobs_resume_first() -> None:
    scheduler = scheduler_of(
        entry(5, guild_id=1), entry(6, guild_id=2, resumed=True), entry(7, guild_id=3, resumed=True)
    )
    assert take_all(scheduler) == [6, 7, 5]


def test_a_paused_server_begins_nothing_and_keeps_its_place() -> None:
    scheduler = scheduler_of(entry(0, guild_id=1), entry(1, guild_id=2), entry(2, guild_id=2))
    assert scheduler.take(paused={1}) == entry(1, guild_id=2)
    assert scheduler.take() == entry(0, guild_id=1)
    assert scheduler.take(paused={2}) is None
    assert 2 in scheduler


def test_no_user_runs_more_jobs_at_once_than_allowed() -> None:
    scheduler = scheduler_of(entry(1), entry(2, user_id=2))
    assert scheduler.take([entry(0)]) == entry(2, user_id=2)
    assert scheduler.take([entry(0)]) is None
    assert scheduler.take() == entry(1)


def test_a_job_that_is_removed_is_not_taken_and_one_that_is_added_twice_waits_once() -> None:
    scheduler = scheduler_of(entry(1), entry(2), entry(2))
    assert scheduler.remove(1) == entry(1)
    assert scheduler.remove(1) is None
    assert take_all(scheduler) == [2]


def test_the_forecast_adds_up_what_goes_before() -> None:
    scheduler = scheduler_of(entry(1), entry(2, guild_id=2), entry(3, guild_id=3))
    forecast = list(scheduler.forecast(Times({1: 10.0, 2: 5.0, 3: 1.0}), {entry(0): 4.0}, lanes=[Lane()], paused={3}))
    assert [(item.job_id, item.place, item.start_s, item.end_s) for item in forecast] == [
        (1, 1, 4.0, 14.0),
        (2, 2, 14.0, 19.0),
        (3, 3, None, None),
    ]


def test_with_two_workers_a_long_job_blocks_only_one() -> None:
    scheduler = scheduler_of(entry(1, guild_id=1), entry(2, guild_id=2), entry(3, guild_id=3))
    forecast = scheduler.forecast(Times({1: 100.0, 2: 5.0, 3: 1.0}), lanes=[Lane(), Lane()])
    assert [(item.job_id, item.start_s) for item in forecast] == [(1, 0.0), (2, 0.0), (3, 5.0)]


def test_a_forecast_counts_the_loading_of_models_and_prefers_a_worker_that_has_them() -> None:
    scheduler = scheduler_of(*(entry(number, guild_id=number) for number in range(1, 5)))
    times = Times(dict.fromkeys(range(1, 5), 10.0), {1: "big", 2: "wide", 3: "big", 4: "wide"})
    lanes = [Lane(resident=["big"]), Lane(device="slow")]
    ends = [item.end_s for item in scheduler.forecast(times, lanes=lanes)]
    assert ends == [10.0, 120.0, 20.0, 130.0], "4 loads its models where 3 was: that worker is free first"


def test_a_worker_that_leaves_ends_its_job_and_takes_no_other() -> None:
    scheduler = scheduler_of(entry(1), entry(2, guild_id=2))
    lanes = [Lane(job_id=7, leaving=True), Lane(job_id=8), Lane(leaving=True)]
    running = {entry(7, guild_id=7): 1.0, entry(8, guild_id=8): 5.0}
    forecast = scheduler.forecast(Times({1: 10.0, 2: 10.0}), running, lanes=lanes)
    assert [item.start_s for item in forecast] == [5.0, 15.0]


def test_a_worker_with_room_for_two_sets_forgets_the_least_recently_used_one() -> None:
    lane = Lane(room=2)
    for models in ("a", "b", "a", "c"):
        lane.use(models)
    assert lane.resident == ["a", "c"]


def test_an_interrupted_job_goes_first_but_not_beyond_its_owners_limit() -> None:
    scheduler = scheduler_of(entry(1, resumed=True), entry(2, guild_id=2))
    assert scheduler.take([entry(0)]) == entry(2, guild_id=2)
    assert scheduler.take([entry(0)]) is None
    assert scheduler.take() == entry(1, resumed=True)


def test_a_forecast_is_not_changed_by_what_comes_later() -> None:
    scheduler = scheduler_of(entry(1), entry(2))
    forecast = scheduler.forecast(Times({1: 1.0, 2: 1.0}), lanes=[Lane()])
    scheduler.add(entry(3, guild_id=2))
    assert [item.job_id for item in forecast] == [1, 2]


# A random sequence: jobs come (server, person, priority) and are taken, in any order.
arrivals = st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 0, 0, 1, 2]))
stories = st.lists(st.one_of(arrivals, st.none()), max_size=60)


def play(story: list[tuple[int, int, int] | None], scheduler: Scheduler) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Play a sequence; each event as (job that came, job that was taken)."""
    for number, event in enumerate([*story, *[None] * len(story)]):
        if event is None:
            yield None, scheduler.take()
        else:
            guild_id, user_id, priority = event
            came = entry(number, guild_id=guild_id, user_id=user_id, priority=priority)
            scheduler.add(came)
            yield came, None


@given(stories)
def test_no_job_is_lost_or_taken_twice(story: list[tuple[int, int, int] | None]) -> None:
    events = list(play(story, Scheduler()))
    came = Counter(item.job_id for item, _ in events if item is not None)
    taken = Counter(item.job_id for _, item in events if item is not None)
    assert came == taken


@given(stories)
def test_no_server_waits_longer_than_one_turn_of_each_that_is_or_comes_before_it(
    story: list[tuple[int, int, int] | None],
) -> None:
    scheduler = Scheduler()
    waiting: dict[int, Counter[int]] = {}
    for _, taken in play(story, scheduler):
        still = {item.guild_id for item in scheduler.entries}
        for guild_id in still:
            waiting.setdefault(guild_id, Counter())
        if taken is not None:
            for guild_id, others in waiting.items():
                if guild_id != taken.guild_id:
                    others[taken.guild_id] += 1
            waiting.pop(taken.guild_id, None)
            if taken.guild_id in still:
                waiting[taken.guild_id] = Counter()
        waiting = {guild_id: others for guild_id, others in waiting.items() if guild_id in still}
        # One turn of another server at most, and one more if that server left the ring and came back in between.
        assert all(count <= 2 for others in waiting.values() for count in others.values())


@given(stories)
def test_no_user_starves_whatever_the_priorities(story: list[tuple[int, int, int] | None]) -> None:
    scheduler = Scheduler()
    passed: Counter[tuple[int, int]] = Counter()
    for _, taken in play(story, scheduler):
        if taken is None:
            continue
        heads = {(item.guild_id, item.user_id) for item in scheduler.entries}
        for guild_id, user_id in heads:
            if guild_id == taken.guild_id and user_id != taken.user_id:
                passed[guild_id, user_id] += 1
        passed[taken.guild_id, taken.user_id] = 0
        # Three people: at most two others have a turn of the ring first, and before each of those three go by priority.
        assert all(passed[head] <= 3 * (RANKED_TURNS + 1) for head in heads)


@given(stories)
def test_the_place_by_turns_is_that_of_the_forecast_if_nobody_goes_first(
    story: list[tuple[int, int, int] | None],
) -> None:
    scheduler = Scheduler()
    for _ in play([event and (*event[:2], 0) for event in story], scheduler):
        seconds = {item.job_id: 1.0 for item in scheduler.entries}
        forecast = scheduler.forecast(Times(seconds), lanes=[Lane()])
        assert {item.job_id: item.place for item in forecast} == {
            job_id: scheduler.place_in_turn(job_id) for job_id in seconds
        }


@given(stories, st.integers(1, 3), st.data())
def test_the_forecast_is_the_order_in_which_jobs_are_taken(
    story: list[tuple[int, int, int] | None], workers: int, data: st.DataObject
) -> None:
    scheduler = Scheduler()
    for _ in play(story, scheduler):
        if data.draw(st.booleans(), label="stop here"):
            break
    seconds = {item.job_id: data.draw(st.floats(0.1, 100), label="seconds") for item in scheduler.entries}
    forecast = list(scheduler.forecast(Times(seconds), lanes=[Lane() for _ in range(workers)]))
    starts = [item.start_s for item in forecast if item.start_s is not None]
    assert [item.place for item in forecast] == list(range(1, len(seconds) + 1))
    assert starts == sorted(starts)
    assert all(item.start_s is not None and item.end_s == item.start_s + seconds[item.job_id] for item in forecast)
    if workers == 1:
        assert [item.job_id for item in forecast] == take_all(scheduler)
        assert all(one.end_s == other.start_s for one, other in pairwise(forecast))
