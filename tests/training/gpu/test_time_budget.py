"""The time of a training on a GPU stays within its bound, whatever the steps take, and survives a kill."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.gpu import part as parts
from training.gpu.__main__ import SHARES, train_all
from training.gpu.part import Diverged, train
from training.gpu.time_budget import TimeBudget

TOTAL_S = 540.0


class Clock:
    """Time that passes only where something is said to take it."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Slow:
    """A part whose steps take given times."""

    def __init__(self, clock: Clock, file: str, seconds: Iterator[float]) -> None:
        self.file, self.peak, self.batch = file, 1.0, 8
        self._clock, self._seconds = clock, seconds
        self.model = nn.Linear(1, 1)
        self.optimiser = torch.optim.SGD(self.model.parameters())
        self.state = {"model": self.model}
        self.rates: list[float] = []
        self.loss = 1.0

    def step(self, share: float) -> dict[str, Tensor]:
        self._clock.now_s += next(self._seconds)
        self.rates.append(self.optimiser.param_groups[0]["lr"])
        return {"loss": torch.tensor(self.loss)}


def run(folder: Path, clock: Clock, seconds: Callable[[str], Iterator[float]], build_s: float = 0.0) -> TimeBudget:
    budget = TimeBudget(folder / "gpu.json", TOTAL_S, SHARES, clock=clock)
    for name, entry in budget.entries.items():
        if not entry.done:
            budget.begin(name)
            clock.now_s += build_s
            train(name, Slow(clock, name, seconds(name)), budget, folder)
    budget.save()
    return budget


@pytest.mark.parametrize(
    ("loading_s", "build_s", "steps_s"),
    [(5, 0, (0.01,)), (40, 3, (0.1,)), (200, 4, (0.5, 0.05)), (20, 1, (4.0, 0.02, 0.02)), (535, 1, (0.1,))],
)
def test_all_parts_together_stay_within_the_bound(
    tmp_path: Path, loading_s: float, build_s: float, steps_s: tuple[float, ...]
) -> None:
    clock = Clock(loading_s)
    budget = run(tmp_path, clock, lambda _: itertools.cycle(steps_s), build_s)
    assert clock.now_s <= max(TOTAL_S, loading_s + build_s * len(SHARES))
    assert all(entry.done for entry in budget.entries.values())
    if loading_s < 500:
        assert clock.now_s > 0.85 * TOTAL_S  # and uses most of it
        assert all(entry.steps for entry in budget.entries.values())


def test_parts_get_their_shares_and_what_one_takes_too_much_the_others_lose(tmp_path: Path) -> None:
    clock = Clock(20)
    first = next(iter(SHARES))
    budget = run(tmp_path, clock, lambda name: itertools.repeat(0.02) if name != first else iter([300.0]))
    taken = {name: entry.seconds for name, entry in budget.entries.items()}
    assert taken[first] == pytest.approx(300)  # one step of five minutes cannot be foreseen
    assert clock.now_s <= TOTAL_S
    others = sum(share for name, share in SHARES.items() if name != first)
    left = TOTAL_S * 0.96 - 320
    for name in list(SHARES)[1:]:
        assert taken[name] == pytest.approx(left * SHARES[name] / others, rel=0.2)


def test_the_learning_rate_follows_the_time_not_the_steps(tmp_path: Path) -> None:
    clock = Clock()
    budget = TimeBudget(tmp_path / "gpu.json", TOTAL_S, {"only": 1.0}, clock=clock)
    # the second half of the time holds a tenth of the steps
    half = round((TOTAL_S * 0.96 - 100) / 2 / 0.1)
    steps = itertools.chain(itertools.repeat(0.1, half), itertools.repeat(0.9))
    slow = Slow(clock, "only", steps)
    budget.begin("only")
    clock.now_s += 100  # building it is no part of the schedule
    train("only", slow, budget, tmp_path)
    assert slow.rates[0] < 0.1
    assert max(slow.rates) == pytest.approx(1.0, abs=0.01)
    assert slow.rates[half - 1] == pytest.approx(0.55, abs=0.05)
    assert slow.rates[-1] == pytest.approx(0.05, abs=0.01)


def test_a_killed_run_goes_on_with_its_part_and_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SAVED_EVERY_S", -1)
    second = list(SHARES)[1]

    def killed_at_second(name: str) -> Iterator[float]:
        yield from itertools.repeat(0.5, 40 if name == second else 10**6)
        raise KeyboardInterrupt

    clock = Clock(10)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, clock, killed_at_second)
    used_s = clock.now_s
    # a new process, whose own clock begins at nothing
    again = Clock(30)
    budget = TimeBudget(tmp_path / "gpu.json", TOTAL_S, SHARES, clock=again)
    entries = list(budget.entries.values())
    assert [entry.done for entry in entries] == [True] + [False] * (len(SHARES) - 1)
    assert budget.used_s == pytest.approx(used_s + 30, abs=1)
    steps = entries[1].steps
    assert steps >= 35
    budget = run(tmp_path, again, lambda _: itertools.repeat(0.5))
    assert used_s + again.now_s <= TOTAL_S
    assert budget.entries[second].steps > steps
    assert budget.entries[second].seconds <= budget.entries[second].allotted_s
    assert all(entry.done for entry in budget.entries.values())


def test_a_part_for_which_no_time_is_left_writes_no_checkpoint(tmp_path: Path) -> None:
    budget = run(tmp_path, Clock(TOTAL_S), lambda _: itertools.repeat(0.1))
    assert not list(tmp_path.glob("*.pt"))
    assert budget.table().count("no time was left") == len(SHARES)


def test_a_part_that_diverges_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    clock = Clock()
    budget = TimeBudget(tmp_path / "gpu.json", TOTAL_S, {"only": 1.0}, clock=clock)
    slow = Slow(clock, "only", itertools.repeat(0.5))
    slow.loss = float("nan")
    budget.begin("only")
    with pytest.raises(Diverged, match=r"only diverged.*Run the same command again"):
        train("only", slow, budget, tmp_path)
    assert not (tmp_path / "only.pt").exists()


def test_a_device_with_too_little_memory_gets_half_the_pictures(tmp_path: Path) -> None:
    clock = Clock()

    class Large(Slow):
        def step(self, share: float) -> dict[str, Tensor]:
            if self.batch > 2:
                raise torch.OutOfMemoryError
            return super().step(share)

    budget = TimeBudget(tmp_path / "gpu.json", TOTAL_S, {"only": 1.0}, steps=3, clock=clock)
    large = Large(clock, "only", itertools.repeat(1.0))
    budget.begin("only")
    train("only", large, budget, tmp_path)
    assert (large.batch, budget.entries["only"].steps) == (2, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the time is counted from the import on")
def test_time_is_counted_from_the_start_of_the_process() -> None:
    code = "import time; time.sleep(0.5); from training.gpu.time_budget import process_s; print(process_s())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(printed) > 0.45


def test_checkpoints_of_earlier_trainings_are_kept_and_those_of_this_one_resumed(tmp_path: Path) -> None:
    clock = Clock()

    class Shop:
        work = tmp_path

        def build(self, name: str, seed: int) -> Slow:
            return Slow(clock, "only", itertools.repeat(1.0))

    (tmp_path / "only.pt").write_bytes(b"of a separate command")
    for steps in (2, 3):
        budget = TimeBudget(tmp_path / "gpu.json", TOTAL_S, {"only": 1.0}, steps, clock)
        budget.entries["only"].done = False
        train_all(Shop(), budget, seed=1)  # type: ignore[arg-type]  # it builds parts as a PartBuilder does
        assert budget.entries["only"].steps == torch.load(tmp_path / "only.pt", weights_only=True)["step"] == steps
    assert (tmp_path / "only_before.pt").read_bytes() == b"of a separate command"
