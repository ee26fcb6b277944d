"""Estimates from measurements."""

from __future__ import annotations

import pytest

from bot.speeds import BEGIN_S, UNKNOWN_STEP_S, Speeds, key_of
from generator import Settings

SMALL = ("tiny", 256, 256, 32)


def test_a_measured_size_takes_what_was_measured() -> None:
    speeds = Speeds()
    speeds.note(SMALL, 0.5)
    assert speeds.step_s(SMALL) == 0.5


def test_measurements_are_averaged_with_the_newest_ones_weighing_most() -> None:
    speeds = Speeds({SMALL: 1.0})
    for _ in range(20):
        speeds.note(SMALL, 2.0)
    assert 1.9 < speeds.step_s(SMALL) < 2.0


def test_a_size_that_was_never_measured_is_told_from_the_nearest() -> None:
    speeds = Speeds({SMALL: 1.0, ("tiny", 64, 64, 4): 0.1, ("other", 512, 512, 32): 9.0})
    assert 2.0 < speeds.step_s(("tiny", 512, 512, 32)) < 4.0
    assert speeds.step_s(("new", 512, 512, 32)) == 9.0


def test_without_any_measurement_there_is_a_guess() -> None:
    assert Speeds().step_s(SMALL) == UNKNOWN_STEP_S


def test_a_picture_takes_its_steps_and_its_beginning() -> None:
    settings = Settings(size="256x256", steps=10)
    speeds = Speeds({key_of("tiny", settings): 0.5})
    assert speeds.picture_s("tiny", settings) == pytest.approx(BEGIN_S + 5)
    assert speeds.picture_s("tiny", settings, steps=2) == pytest.approx(BEGIN_S + 1)
