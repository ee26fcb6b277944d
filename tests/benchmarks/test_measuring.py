"""The benchmarks themselves, on the starter, as small as they go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from PIL import Image

from benchmarks.ablation import CHANGES, generate
from benchmarks.ablation import rows_of as rows_of_ablation
from benchmarks.cases import CASES, Case, models_of
from benchmarks.extras import EXTRAS
from benchmarks.extras import rows_of as rows_of_extras
from benchmarks.false_alarms import rows_of as rows_of_alarms
from benchmarks.profile import Stopwatch, one_step, operations
from benchmarks.projection import BYTES_S, FLOPS, LAUNCH_S, REPLAY_S, cost_of
from benchmarks.service import measure
from benchmarks.steps import compare, rows_of
from benchmarks.time_to_score import own_score, race
from benchmarks.time_to_score import rows_of as rows_of_races
from generator import Settings, load_models

SMALL = Case("small", "starter", {"start": "random", "size": 64, "cutouts": 2, "steps": 2}, 2, 1, whole=True)


@pytest.mark.slow
def test_both_sides_take_turns_in_processes_of_their_own() -> None:
    figures = compare(SMALL, ["ours", "plain"], 2, 1, "cpu")
    assert {name: len(side["wall_s"]) for name, side in figures.items()} == {"ours": 2, "plain": 2}
    for side in figures.values():
        assert 0 < side["memory_mib"][0] <= side["memory_mib"][1]
        assert min(side["cpu_s"]) > 0
    (row,) = rows_of(SMALL, figures)
    assert row[:2] == ["small", "plain"]


@pytest.mark.slow
def test_the_profile_knows_every_part_and_what_it_computes() -> None:
    models, watch = models_of(SMALL, "cpu"), Stopwatch("cpu")
    one_step(models, SMALL, watch)
    parts = ("decode", "cut and augment", "embed", "loss")
    expected = {"nearest codes", *(f"{part}, {way}" for part in parts for way in ("forward", "backward"))}
    assert set(watch.seconds) == expected
    gflop = operations(SMALL, "cpu")
    assert gflop["decode"] > gflop["embed"] > 0


@pytest.mark.slow
def test_the_service_is_measured_from_inside_its_thread() -> None:
    settings = {"size": 64, "steps": 2, "cutouts": 2, "candidates": 1}
    served, times = asyncio.run(measure(3, settings, "cpu", waiting=1))
    assert len(served.memory_mib) == len(times.jobs_s) == 3
    assert {"starts", "steps", "previews", "last decode", "safety check"} <= set(times.spent_s)
    assert sum(times.spent_s.values()) <= sum(times.jobs_s) * 1.001
    assert times.idle_s > 0
    assert sum(times.jobs_s) + times.idle_s < served.seconds
    assert 0 < served.first_preview_s < served.seconds


@pytest.mark.slow
def test_a_projection_counts_what_is_computed_and_moved() -> None:
    case = replace(SMALL, settings={**SMALL.settings, "coarse": 0.0})
    ours, plain = cost_of(case, "ours"), cost_of(case, "plain")
    forward = sum(operations(SMALL, "cpu").values()) * 1e9
    # There and back; the nearest codes, and attention where there is some, come on top.
    assert 1.8 * forward < plain.flop < 2.6 * forward
    assert ours.flop == pytest.approx(plain.flop, rel=0.15)
    assert ours.bytes < 0.7 * plain.bytes
    assert ours.eager_s < plain.eager_s
    assert max(ours.flop / FLOPS[2], ours.bytes / BYTES_S, ours.calls * REPLAY_S) <= ours.replayed_s
    # So small a step is bound by its launches.
    assert ours.eager_s == ours.calls * LAUNCH_S > ours.replayed_s


@pytest.mark.slow
def test_an_ablation_is_looked_at_step_by_step_and_held_against_the_unchanged() -> None:
    models = models_of(SMALL, "cpu")
    small = replace(models, defaults={**models.defaults, "size": 64, "cutouts": 2, "steps": 3, "candidates": 1})
    rising = count(1)
    own = generate(small, {}, "a cat", 0, lambda image, prompt, vector: float(next(rising)))
    assert own.scores == (1.0, 2.0, 3.0)
    assert list(own.seconds) == sorted(own.seconds)
    poor = generate(small, {"steps": 2}, "a cat", 0, lambda image, prompt, vector: 0.5)
    assert (len(poor.scores), poor.seconds_to(1.0), own.seconds_to(1.5)) == (2, None, own.seconds[1])
    first, second = rows_of_ablation({"own": [own], "poor": [poor]})
    assert (first[2], first[3], first[5]) == ("3.000", "+0.000 ± 0.000", "0")
    assert (second[2], second[3], second[5]) == ("0.500", "-2.500 ± 0.000", "1")


def test_every_change_of_the_ablation_changes_a_default_of_the_starter() -> None:
    own = Settings().merged(load_models("starter", "cpu").defaults)
    for name, change in CHANGES.items():
        assert (own.merged(change) == own) is (name == "the starter's own")


def test_extras_are_held_against_a_step_without_them() -> None:
    seconds = {"none": [0.1, 0.3], "contrast": [0.11, 0.31]}
    rows = rows_of_extras(seconds, {"none": [0.1, 0.2], "contrast": [0.15, 0.3]})
    assert [row[2:] for row in rows] == [["+0.00", "100%"], ["+10.00", "150%"]]
    assert {name: Settings().merged(settings) == Settings() for name, settings in EXTRAS.items()} == {
        name: name == "none" for name in EXTRAS
    }


def test_false_alarms_are_counted_from_each_certainty() -> None:
    rows = rows_of_alarms({"drawings": [("a clock", 0.3), ("a dog", 0.6)], "starter": []})
    assert rows == [["drawings", "2", "2", "1", "1", "0", "0.60"], ["starter", "0", "0", "0", "0", "0", "0.00"]]


def test_every_case_is_known_by_its_name() -> None:
    assert all(case.name == name for name, case in CASES.items())


@pytest.mark.slow
def test_a_race_ends_at_the_plain_loops_score_or_with_a_miss() -> None:
    models, plain = models_of(SMALL, "cpu"), models_of(SMALL, "cpu", "fp32")
    small = replace(models, defaults={**models.defaults, "size": 64, "cutouts": 2, "steps": 2, "candidates": 1})
    easy = race(small, plain, "a cat", 0, 1, lambda image, prompt, vector: 1.0)
    assert (easy.ours_steps, easy.ours_score) == (1, 1.0)
    assert easy.ours_s is not None
    falling = iter((3.0, 2.0, 1.0))
    missed = race(small, plain, "a cat", 0, 1, lambda image, prompt, vector: next(falling))
    assert (missed.ours_s, missed.ours_steps, missed.ours_score) == (None, 2, 2.0)
    table = dict(rows_of_races([easy, missed]))
    assert table["pictures; misses"] == "2; 1"
    vector = small.perceptors[0].embed_texts(["a cat"])
    white, black = (Image.new("RGB", (64, 64), colour) for colour in ("white", "black"))
    assert own_score(small)(white, "a cat", vector) != own_score(small)(black, "a cat", vector)
