"""The memory plan for made-up numbers, and for this machine's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generator.optimisation.memory.model import LargestFit, MemoryModel, even_group, plan, smaller
from generator.runtime.host_memory import look_at_memory
from generator.runtime.memory import MemoryBudget, gpu_memory
from generator.settings import Size

MIB = 2**20
BASE = MemoryModel(fixed=10 * MIB, per_pixel=20_000, per_pixel_squared=1e-4, per_cutout=30 * MIB)


def planned(free_mib: float, size: int = 512, cutouts: int = 32) -> LargestFit:
    return plan(BASE, int(free_mib * MIB), Size(size, size), cutouts, 16)


def test_with_enough_memory_nothing_changes() -> None:
    assert planned(100_000) == LargestFit(Size(512, 512), 32)


def test_with_less_memory_cutouts_run_in_smaller_groups() -> None:
    at_once = BASE.step_bytes(Size(512, 512), 32) / MIB / 0.9
    assert planned(at_once + 1).group == 32
    assert planned(at_once - 1) == LargestFit(Size(512, 512), 16)
    assert planned(at_once - 30 * 28 / 0.9 + 1) == LargestFit(Size(512, 512), 4)


def test_without_enough_memory_the_picture_shrinks_as_little_as_possible() -> None:
    small = planned(BASE.step_bytes(Size(512, 512), 1) / MIB / 0.9 - 1)
    assert small.size == Size(448, 448)
    assert small.group > 1
    assert planned(1) == LargestFit(Size(64, 64), 1)


@given(
    st.integers(0, 64 * 2**30),
    st.integers(2, 128),
    st.integers(2, 128),
    st.integers(1, 256),
    st.sampled_from([8, 16, 32]),
)
def test_a_plan_fits_or_is_the_least_that_there_is(free: int, across: int, down: int, cutouts: int, unit: int) -> None:
    asked = Size(across * unit, down * unit)
    size, group = plan(BASE, free, asked, cutouts, unit)
    assert 1 <= group <= cutouts
    assert all(0 < side <= limit and side % unit == 0 for side, limit in zip(size, asked, strict=True))
    assert BASE.step_bytes(size, group) <= free or (group == 1 and smaller(size, unit) is None)


@pytest.mark.parametrize(("cutouts", "most", "group"), [(32, 100, 32), (32, 31, 16), (32, 10, 8), (7, 3, 3), (5, 0, 1)])
def test_groups_are_as_even_as_can_be(cutouts: int, most: int, group: int) -> None:
    assert even_group(cutouts, most) == group


def test_sizes_fall_by_an_eighth_and_end() -> None:
    seen = [Size(512, 256)]
    while (less := smaller(seen[-1], 16)) is not None:
        seen.append(less)
    assert seen[1:3] == [Size(448, 224), Size(384, 192)]
    assert seen[-1] == Size(64, 64)
    assert smaller(Size(48, 48), 16) is None


def test_budgets_of_this_machine_and_of_nobody() -> None:
    free, host = MemoryBudget.of(torch.device("cpu")).free_bytes(), look_at_memory()
    assert (free is None) == (host is None)
    assert free is None or host is None or 0 < free <= host.total_bytes < 2**50
    assert MemoryBudget().free_bytes() is None


def test_a_cpu_has_no_memory_of_a_gpu() -> None:
    assert gpu_memory(torch.device("cpu")) == {}
