"""A dream resumed from a snapshot equals the uninterrupted dream, to the byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.snapshot import latent_of
from generator.request import GenerationRequest, ImagePrompt
from generator.settings import OPTIMISERS

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]

WAYS: dict[str, dict[str, object]] = {
    **{name: {"optimiser": name} for name in OPTIMISERS},
    "ema": {"ema": 0.9},
    "coarse": {"coarse": 0.5, "size": "48x32", "init_weight": 0.5},
    "pulls": {"pull": 1.0, "init_weight": 1.0, "total_variation": 1.0, "learning_rate_end": 0.1},
    "story": {"prompt": "dawn ^ noon | heat:-1 ^ dusk", "scene_steps": 2},
    "plateau": {"plateau": 2, "learning_rate": 1e-4},
    "prior": {"start": "prior"},
}


@pytest.mark.parametrize("at", [0, 1, 3, 5])
@pytest.mark.parametrize("way", WAYS)
def test_resuming_equals_never_having_stopped(
    models: Models, make_request: Make, dreamt: Run, way: str, at: int
) -> None:
    request = make_request(**WAYS[way])
    undisturbed = Dream(request, models)
    snapshot = dreamt(undisturbed, at).snapshot()
    dreamt(undisturbed)
    resumed = dreamt(Dream.resume(snapshot, models))
    assert resumed.request == request
    assert resumed.losses == undisturbed.losses
    assert resumed.progress.prompts == undisturbed.progress.prompts
    assert torch.equal(resumed.latent, undisturbed.latent)
    assert resumed.picture().image.tobytes() == undisturbed.picture().image.tobytes()


def test_a_dream_may_be_resumed_after_every_step(models: Models, make_request: Make, dreamt: Run) -> None:
    request = make_request(ema=0.5, coarse=0.5)
    dream = Dream(request, models)
    while not dream.finished:
        dream = Dream.resume(dream.snapshot(), models)
        dream.step()
    assert dream.picture().image.tobytes() == dreamt(Dream(request, models)).picture().image.tobytes()


def test_an_ensemble_with_pictures_resumes_too(
    ensemble: Models, make_request: Make, dreamt: Run, png: Callable[..., bytes]
) -> None:
    request = make_request(
        "a castle", image_prompts=(ImagePrompt(image=png(), weight=-0.5),), init_image=png(48, 40), start="init"
    )
    undisturbed = Dream(request, ensemble)
    snapshot = dreamt(undisturbed, 2).snapshot()
    resumed = dreamt(Dream.resume(snapshot, ensemble))
    assert resumed.picture().image.tobytes() == dreamt(undisturbed).picture().image.tobytes()


def test_a_resumed_child_does_not_need_its_parent_again(models: Models, make_request: Make, dreamt: Run) -> None:
    parent = dreamt(Dream(make_request(), models))
    child = make_request("a castle", start="parent", parent=make_request(), variation=0.2)
    undisturbed = Dream(child, models, parent.latent)
    snapshot = dreamt(undisturbed, 2).snapshot()
    resumed = dreamt(Dream.resume(snapshot, models))
    assert resumed.picture().image.tobytes() == dreamt(undisturbed).picture().image.tobytes()


@pytest.mark.parametrize("at", [2, 6])
def test_existing_files_are_kept(models: Models, make_request: Make, dreamt: Run, at: int) -> None:
    dream = dreamt(Dream(make_request(size="50x32"), models), at)
    resumed = Dream.resume(dream.snapshot(), models)
    assert resumed.finished == dream.finished
    assert resumed.warnings == dream.warnings
    assert resumed.progress.step == at
    assert resumed.progress.prompts == dream.progress.prompts
    assert resumed.preview().size == dream.preview().size


def test_the_latent_of_a_snapshot_is_what_children_go_on_from(models: Models, make_request: Make, dreamt: Run) -> None:
    parent = dreamt(Dream(make_request(ema=0.5), models))
    assert torch.equal(latent_of(parent.snapshot()), parent.latent)
