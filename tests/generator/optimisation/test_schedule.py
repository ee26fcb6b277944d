"""Values that change from step to step, and the end of a dream."""

from __future__ import annotations

import json

import pytest

from generator.optimisation.schedule import Plateau, Schedule
from generator.settings import Settings, Size


def schedule(scenes: int = 1, factor: int = 8, **values: object) -> Schedule:
    return Schedule(Settings().merged(values), factor, scenes)


@pytest.mark.parametrize(
    ("asked", "factor", "coarse", "painted"),
    [
        ("128x128", 8, 0.0, (128, 128)),
        ("131x132", 8, 0.0, (128, 136)),
        ("131x132", 16, 0.5, (128, 128)),
        ("32x33", 64, 0.0, (64, 64)),
        ("100x40", 8, 0.5, (96, 48)),
    ],
)
def test_sizes_are_rounded_to_supported_ones(asked: str, factor: int, coarse: float, painted: tuple[int, int]) -> None:
    assert schedule(size=asked, factor=factor, coarse=coarse).size == painted


def test_a_coarse_share_that_is_less_than_a_step_changes_nothing() -> None:
    tiny = schedule(steps=5, coarse=0.1, size="40x40")
    assert (tiny.coarse_steps, tiny.size) == (0, Size(40, 40))


@pytest.mark.parametrize("steps", [1, 2, 7, 300])
@pytest.mark.parametrize("coarse", [0.0, 0.3, 0.9])
def test_the_last_step_is_always_at_full_size(steps: int, coarse: float) -> None:
    plan = schedule(steps=steps, coarse=coarse)
    assert plan.size_at(steps - 1) == plan.size
    assert [plan.is_coarse(step) for step in range(steps)].count(True) == plan.coarse_steps


def test_the_learning_rate_falls_along_a_cosine_to_its_share() -> None:
    plan = schedule(steps=101, learning_rate=0.2, learning_rate_end=0.1)
    rates = [plan.learning_rate(step) for step in range(101)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[50], rates[100]) == pytest.approx((0.2, 0.11, 0.02))


def test_the_learning_rate_is_constant_by_default() -> None:
    assert {schedule(learning_rate=0.2).learning_rate(step) for step in range(300)} == {0.2}


def test_overviews_go_from_one_share_to_the_other() -> None:
    plan = schedule(steps=11, cutouts=20, overview=0.8, overview_end=0.2)
    assert [plan.overviews(step) for step in (0, 5, 10)] == [16, 10, 4]


def test_one_step_is_both_the_first_and_the_last() -> None:
    plan = schedule(steps=1, cutouts=20, overview=0.5)
    assert (plan.overviews(0), plan.learning_rate(0), plan.scene(0)) == (10, 0.1, 0)


def test_the_pull_decays() -> None:
    plan = schedule(pull=2.0, pull_decay=0.5)
    assert [plan.pull(step) for step in range(3)] == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("scenes", "scene_steps", "expected"),
    [(1, 0, [0] * 6), (3, 0, [0, 0, 1, 1, 2, 2]), (4, 0, [0, 0, 1, 2, 2, 3]), (3, 1, [0, 1, 2, 2, 2, 2])],
)
def test_scenes_share_the_steps(scenes: int, scene_steps: int, expected: list[int]) -> None:
    plan = schedule(scenes, steps=6, scene_steps=scene_steps)
    assert [plan.scene(step) for step in range(6)] == expected


def test_a_plateau_counts_only_at_full_size_and_in_the_last_scene() -> None:
    plan = schedule(2, steps=8, coarse=0.25, plateau=3)
    assert [plan.may_end_early(step) for step in range(8)] == [False] * 4 + [True] * 4
    assert not any(schedule(steps=8).may_end_early(step) for step in range(8))


def test_the_remaining_time_weighs_full_size_steps_more() -> None:
    plan = schedule(steps=10, coarse=0.5)
    assert [plan.work_left(step, 10) for step in (4, 6, 10)] == [1 + 5 * 3, 4, 0]
    assert plan.work_left(4, 5) == 1


def test_a_plateau_is_noticed_when_the_mean_finds_no_new_minimum() -> None:
    plateau = Plateau()
    for loss in (1.0, 0.9, 0.8):
        plateau.note(loss)
    assert plateau.since == 0
    for _ in range(4):
        plateau.note(1.5)
    assert plateau.since == 4
    plateau.note(-9.0)
    assert plateau.since == 0


@pytest.mark.parametrize("losses", [[], [0.1], [0.3, 0.2, 0.7]])
def test_a_plateau_survives_json_exactly(losses: list[float]) -> None:
    plateau = Plateau()
    for loss in losses:
        plateau.note(loss)
    assert Plateau.read(json.loads(json.dumps(plateau.as_dict(), allow_nan=False))) == plateau
