"""Captured steps on a CPU: a recorder that repeats the work itself replaces CUDA's, everything else is real."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import ref

import pytest
import torch

from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache, graphs_of
from generator.optimisation.memory.footprint import memory_model_of
from generator.optimisation.memory.model import MARGIN
from generator.request import GenerationRequest
from generator.runtime.memory import MemoryBudget
from generator.settings import Size
from tests.generator.recording import Repeating

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]


def close(first: Dream, second: Dream) -> bool:
    """Equal up to the rounding of the learning rate, which a captured step has in float32."""
    difference = (first.latent - second.latent).norm() / second.latent.norm()
    return bool(difference < 1e-3)


STORIES = {
    "plain": {},
    "half the size first, averaged": {"coarse": 0.5, "ema": 0.9, "init_weight": 0.3},
    "a pull and other crops": {"pull": 0.5, "overview_end": 1.0, "learning_rate_end": 0.1, "optimiser": "adamw"},
}


@pytest.mark.parametrize("values", STORIES.values(), ids=STORIES.keys())
def test_captured_steps_improve_as_the_plain_ones_do(
    models: Models, make_request: Make, dreamt: Run, values: dict[str, object]
) -> None:
    recorder = Repeating()
    captured = dreamt(Dream(make_request(**values), models, graphs=GraphCache(recorder)))
    plain = dreamt(Dream(make_request(**values), models))
    assert recorder.replayed == 6 and recorder.recorded == (2 if "coarse" in values else 1)
    assert close(captured, plain)
    assert captured.losses == pytest.approx(plain.losses, abs=1e-4)


def test_scenes_of_a_story_share_a_step_where_they_have_as_many_prompts(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    recorder = Repeating()
    request = make_request("a red apple ^ a castle | fog:-0.5 ^ a blue cat | snow:0.5")
    captured = dreamt(Dream(request, models, graphs=GraphCache(recorder)))
    assert (recorder.recorded, recorder.replayed) == (2, 6)
    assert close(captured, dreamt(Dream(request, models)))
    assert [item.text for item in captured.progress.prompts] == ["a blue cat", "snow"]


def test_the_next_dream_of_the_same_kind_takes_the_captured_step(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    recorder = Repeating()
    cache = GraphCache(recorder)
    first = dreamt(Dream(make_request(seed=1), models, graphs=cache))
    kept = first.picture().image.tobytes()
    second = dreamt(Dream(make_request("a castle", seed=2, steps=5), models, graphs=cache))
    assert recorder.recorded == 1
    assert first.picture().image.tobytes() == first.preview().tobytes() == kept
    alone = dreamt(Dream(make_request("a castle", seed=2, steps=5), models, graphs=GraphCache(Repeating())))
    assert second.picture().image.tobytes() == alone.picture().image.tobytes()


def test_another_size_setting_or_number_of_prompts_is_another_step(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    recorder = Repeating()
    cache = GraphCache(recorder)
    for request in (
        make_request(), make_request(size="64x32"), make_request(cutouts=5), make_request("a | b"), make_request(),
    ):  # fmt: skip
        dreamt(Dream(request, models, graphs=cache))
    assert recorder.recorded == 4


def test_the_least_recently_used_step_goes_first(models: Models, make_request: Make, dreamt: Run) -> None:
    recorder = Repeating()
    cache = GraphCache(recorder, most=2)
    for cutouts in (1, 2, 1, 3, 1, 2):
        dreamt(Dream(make_request(cutouts=cutouts), models, graphs=cache))
    assert recorder.recorded == 4


def test_a_dream_resumed_in_another_process_is_the_undisturbed_one(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    request = make_request(ema=0.5, steps=8)
    whole = dreamt(Dream(request, models, graphs=GraphCache(Repeating())))
    broken = dreamt(Dream(request, models, graphs=GraphCache(Repeating())), 3)
    resumed = dreamt(Dream.resume(broken.snapshot(), models, GraphCache(Repeating())))
    assert resumed.picture().image.tobytes() == whole.picture().image.tobytes()
    assert resumed.losses == whole.losses


def test_two_dreams_at_once_do_not_share_buffers(models: Models, make_request: Make, dreamt: Run) -> None:
    cache = GraphCache(Repeating())
    first, second = (Dream(make_request(seed=seed), models, graphs=cache) for seed in (1, 2))
    while not second.finished:
        first.step()
        second.step()
    alone = dreamt(Dream(make_request(seed=1), models, graphs=GraphCache(Repeating())))
    assert first.picture().image.tobytes() == alone.picture().image.tobytes()


@pytest.mark.parametrize(("name", "captured"), [("adam", 1), ("adamw", 1), ("radam", 0), ("rmsprop", 0)])
def test_optimisers_that_cannot_be_captured_run_as_they_are(
    models: Models, make_request: Make, dreamt: Run, name: str, captured: int
) -> None:
    recorder = Repeating()
    assert dreamt(Dream(make_request(optimiser=name), models, graphs=GraphCache(recorder))).finished
    assert recorder.recorded == captured


def test_a_step_that_cannot_be_captured_runs_as_it_is_and_the_log_says_so_once(
    models: Models, make_request: Make, dreamt: Run, caplog: pytest.LogCaptureFixture
) -> None:
    cache = GraphCache(Repeating(RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")))
    with caplog.at_level(logging.WARNING):
        dreams = [dreamt(Dream(make_request(), models, graphs=cache)) for _ in range(2)]
    assert caplog.messages == [
        "A step could not be captured as a CUDA graph and runs slower: "
        "CUDA error: operation not permitted when stream is capturing"
    ]
    assert dreams[0].picture().image.tobytes() == dreamt(Dream(make_request(), models)).picture().image.tobytes()


def test_memory_that_captured_steps_hold_is_given_up_before_the_dream_does_without(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    recorder = Repeating()
    cache = GraphCache(recorder)
    dreamt(Dream(make_request(cutouts=3), models, graphs=cache))

    class Full(Repeating):
        def record(self, work: Callable[[], Any], generator: torch.Generator | None = None) -> Callable[[], Any]:
            if cache._kept:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return recorder.record(work, generator)

    cache._recorder = Full()
    dream = dreamt(Dream(make_request(), models, graphs=cache))
    assert dream.finished and dream.warnings == ()
    assert recorder.recorded == 2


@pytest.mark.parametrize(("spare_bytes", "recorded", "kept"), [(2000, 2, 2), (500, 2, 1)])
def test_a_plan_counts_the_memory_of_captured_steps_and_drops_them_where_they_are_in_the_way(
    models: Models, make_request: Make, dreamt: Run, spare_bytes: int, recorded: int, kept: int
) -> None:
    recorder = Repeating()
    cache = GraphCache(recorder)
    dreamt(Dream(make_request(cutouts=3), models, graphs=cache))
    assert cache.held_bytes == 1000
    needed = memory_model_of(models).step_bytes(Size(32, 32), 4) / MARGIN
    budget = MemoryBudget(lambda: int(needed) + spare_bytes)
    dream = dreamt(Dream(make_request(), replace(models, budget=budget), graphs=cache))
    assert dream.warnings == ()
    assert (recorder.recorded, len(cache._kept)) == (recorded, kept)


def test_a_dream_works_without_anything_left_to_drop(models: Models, make_request: Make, dreamt: Run) -> None:
    class Small(Repeating):
        def record(self, work: Callable[[], Any], generator: torch.Generator | None = None) -> Callable[[], Any]:
            if groups[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().record(work, generator)

    groups = [4]
    dream = Dream(make_request(), models, graphs=GraphCache(Small()))
    narrow = dream._plan.narrow

    def noted() -> bool:
        done = narrow()
        groups.append(dream._plan.group)
        return done

    dream._plan.narrow = noted  # type: ignore[method-assign]
    assert dreamt(dream).finished
    assert groups == [4, 2]
    assert dream.warnings == ("Memory ran short, so the crops were judged in groups; it only took longer.",)


def test_captured_steps_do_not_outlive_their_models(models: Models) -> None:
    cache = ref(graphs_of(replace(models)))
    gc.collect()
    assert cache() is None


def test_on_a_cpu_no_step_is_captured(models: Models, make_request: Make) -> None:
    dream = Dream(make_request(), models)
    dream.step()
    assert dream._captured is None
