"""A dream continues from its snapshot on another kind of device after its GPU failed, with a note."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from generator.errors import CheckpointError
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.moving import moved_snapshot
from generator.optimisation.snapshot import pack, unpack
from generator.request import GenerationRequest

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]
NOTE = "The device that began this picture failed"


def as_from_a_gpu(snapshot: bytes, **facts: Any) -> bytes:  # noqa: ANN401 - any fact that a snapshot may hold
    """Snapshot of a GPU: random state of another size, float16's scale, two unread metrics."""
    data = unpack(snapshot)
    losses = data.tensors["losses"][:-2]
    waiting = [data.facts["last"]] * (len(data.tensors["losses"]) - len(losses))
    changes = {"device": "cuda", "scale": [4096.0, 0], "waiting": waiting, "last": None, **facts}
    tensors = {**data.tensors, "random": torch.zeros(16, dtype=torch.uint8), "losses": losses}
    return pack(data._replace(facts={**data.facts, **changes}, tensors=tensors))


@pytest.mark.parametrize(
    "ways", [{}, {"coarse": 0.5, "ema": 0.8}, {"prompt": "dawn ^ dusk", "scene_steps": 2}], ids=str
)
def test_it_goes_on_from_its_latent_with_a_note(
    models: Models, make_request: Make, dreamt: Run, ways: dict[str, object]
) -> None:
    dream = dreamt(Dream(make_request(**ways), models), 4)
    snapshot = as_from_a_gpu(dream.snapshot())
    with pytest.raises(CheckpointError, match="not made on a device of the kind 'cpu'"):
        Dream.resume(snapshot, models)
    moved = Dream.resume(moved_snapshot(models, snapshot), models)
    assert (moved.progress.step, moved.request) == (4, dream.request)
    assert torch.equal(moved.latent, dream.latent)
    assert [text for text in moved.warnings if text.startswith(NOTE)]
    dreamt(moved)
    assert moved.finished and len(moved.losses) == 6
    assert any(text.startswith(NOTE) for text in moved.picture().warnings)
    # Interrupted again it still says so.
    assert any(text.startswith(NOTE) for text in Dream.resume(moved.snapshot(), models).warnings)


def test_it_goes_on_in_the_same_way_each_time(models: Models, make_request: Make, dreamt: Run) -> None:
    snapshot = as_from_a_gpu(dreamt(Dream(make_request(), models), 3).snapshot())
    first, second = (dreamt(Dream.resume(moved_snapshot(models, snapshot), models)).latent for _ in range(2))
    assert torch.equal(first, second)


def test_a_snapshot_of_the_same_kind_of_device_stays_as_it_is(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = dreamt(Dream(make_request(), models), 2)
    snapshot = dream.snapshot()
    assert moved_snapshot(models, snapshot) is snapshot
    assert not any(text.startswith(NOTE) for text in dream.warnings)


@pytest.mark.parametrize("facts", [{"step": "x"}, {"fitting": 3}, {"step": None}], ids=str)
def test_a_snapshot_that_makes_no_sense_is_damaged(
    models: Models, make_request: Make, dreamt: Run, facts: dict[str, Any]
) -> None:
    snapshot = as_from_a_gpu(dreamt(Dream(make_request(), models), 3).snapshot(), **facts)
    with pytest.raises(CheckpointError, match="damaged"):
        moved_snapshot(models, snapshot)
