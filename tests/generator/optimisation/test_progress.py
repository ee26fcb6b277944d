"""Metrics arrive in order, delayed by the lag, and survive a snapshot."""

from __future__ import annotations

import json

import pytest
import torch

from generator.optimisation.progress import GPU_LAG_STEPS, MetricsQueue, StepMetrics

CPU = torch.device("cpu")


def test_a_reading_knows_its_parts() -> None:
    reading = StepMetrics(1, (0.9, 0.5, 0.4, 0.2, 0.1))
    assert (reading.loss, reading.losses, reading.similarities) == (0.9, (0.5, 0.4), (0.2, 0.1))
    bare = StepMetrics(0, (0.9,))
    assert (bare.losses, bare.similarities) == ((), ())


def test_on_a_cpu_readings_are_there_at_once() -> None:
    readings = MetricsQueue(CPU)
    readings.put(0, torch.tensor([1.0, 0.5, 0.25]))
    assert readings.take() == [StepMetrics(0, (1.0, 0.5, 0.25))]
    assert readings.take() == []
    assert readings.waiting() == []


def test_on_a_gpu_they_come_a_fixed_number_of_steps_later() -> None:
    readings = MetricsQueue(torch.device("cuda"))
    taken = []
    for number in range(5):
        readings.put(0, torch.tensor([float(number)]))
        taken.append([reading.loss for reading in readings.take()])
    assert taken == [[]] * GPU_LAG_STEPS + [[0.0], [1.0], [2.0]]


def test_waiting_entries_can_be_saved_and_restored() -> None:
    readings, again = MetricsQueue(torch.device("cuda")), MetricsQueue(torch.device("cuda"))
    for number in range(2):
        readings.put(number, torch.tensor([0.1 * number, 1 / 3, 0.7]))
    kept = json.loads(json.dumps(readings.waiting()))
    again.restore([StepMetrics.read(item) for item in kept])
    assert again.waiting() == readings.waiting()
    for each in (readings, again):
        each.put(2, torch.tensor([9.0]))
    assert readings.take() == again.take()


@pytest.mark.parametrize("item", [None, 3, [], [0], [0, [1.0, 2.0]], [0, 1, 2], ["x", [1.0]], [0, ["x"]], [0, [[]]]])
def test_an_invalid_reading_is_refused(item: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        StepMetrics.read(item)
