"""Estimates from measurements."""

from __future__ import annotations

import pytest

from bot.service.estimates import BEGIN_S, UNKNOWN_LOAD_S, UNKNOWN_STEP_S, Estimates
from generator import Settings

SMALL, LARGE = Settings(size="256x256", cutouts=32, steps=10), Settings(size="512x512", cutouts=32)


def test_a_measured_size_takes_what_was_measured() -> None:
    speeds = Estimates()
    speeds.note("tiny", SMALL, 0.5)
    assert speeds.step_s("tiny", SMALL) == 0.5
    assert speeds.picture_s("tiny", SMALL) == pytest.approx(BEGIN_S + 5)


def test_measurements_are_averaged_with_the_newest_ones_weighing_most() -> None:
    speeds = Estimates()
    speeds.note("tiny", SMALL, 1.0)
    for _ in range(20):
        key, value = speeds.note("tiny", SMALL, 2.0)
    assert 1.9 < value < 2.0
    assert Estimates({key: value}).step_s("tiny", SMALL) == value


def test_an_unmeasured_size_is_estimated_from_the_nearest() -> None:
    speeds = Estimates()
    speeds.note("tiny", SMALL, 1.0)
    speeds.note("tiny", Settings(size="64x64", cutouts=4), 0.1)
    speeds.note("other", LARGE, 9.0)
    assert 2.0 < speeds.step_s("tiny", LARGE) < 4.0
    assert speeds.step_s("new", LARGE) == 9.0


def test_without_any_measurement_there_is_a_guess() -> None:
    assert Estimates().step_s("tiny", SMALL) == UNKNOWN_STEP_S


def test_the_estimate_of_a_size_distinguishes_coarse_steps() -> None:
    coarse = SMALL.merged({"coarse": 0.8})
    speeds = Estimates()
    speeds.note("tiny", coarse, 0.5)
    assert speeds.step_s("tiny", coarse) == pytest.approx(0.5)
    assert 0.6 < speeds.step_s("tiny", SMALL) < 1.0


def test_a_running_picture_is_a_better_estimate_than_a_guess_and_worse_than_a_measurement() -> None:
    speeds = Estimates()
    speeds.note_unfinished("tiny", SMALL, 3.0)
    assert speeds.step_s("tiny", SMALL) == pytest.approx(3.0)
    assert speeds.step_s("tiny", LARGE) > 3.0
    speeds.note("tiny", SMALL, 0.5)
    speeds.note_unfinished("tiny", SMALL, 9.0)
    assert speeds.step_s("tiny", SMALL) == 0.5


def test_each_kind_of_device_has_its_own_speed() -> None:
    speeds = Estimates({("tiny", 256, 256, 32, ""): 8.0})
    assert speeds.step_s("tiny", SMALL, "gpu") == 8.0, "one that is not known is better than a guess"
    speeds.note("tiny", SMALL, 1.0, "gpu")
    speeds.note("tiny", SMALL, 3.0, "cpu")
    assert (speeds.step_s("tiny", SMALL, "gpu"), speeds.step_s("tiny", SMALL, "cpu")) == (1.0, 3.0)
    assert Estimates({("tiny", 256, 256, 32, "gpu"): 1.0, ("tiny", 256, 256, 32, "cpu"): 3.0}).step_s(
        "tiny", LARGE.merged({"size": "256x256"})
    ) == pytest.approx(2.0)
    assert speeds.step_s("tiny", LARGE, "cpu") == pytest.approx(3 * speeds.step_s("tiny", LARGE, "gpu"))


def test_loading_takes_what_it_took_on_that_device_or_else_on_another() -> None:
    speeds = Estimates()
    assert speeds.load_s("big") == UNKNOWN_LOAD_S
    speeds.note_load("big", 20.0, "gpu")
    assert (speeds.load_s("big", "gpu"), speeds.load_s("big", "cpu")) == (20.0, 20.0)
