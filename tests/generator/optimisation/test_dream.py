"""The dream as a whole: it improves, is reproducible, supports every start, ends early, and reports its progress."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from generator.errors import InvalidRequest
from generator.images.files import encode
from generator.images.tensors import to_image
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.prompts import parse_story
from generator.request import GenerationRequest, ImagePrompt

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]
PLAIN = {"flip": 0.0, "affine": 0.0, "perspective": 0.0, "colour": 0.0, "sharpness": 0.0, "noise": 0.0, "overview": 1.0,
         "overview_end": 1.0}  # fmt: skip


def pixels(dream: Dream) -> bytes:
    return dream.picture().image.tobytes()


def test_the_loss_falls_and_the_similarity_rises(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = Dream(make_request(steps=20, cutouts=1, learning_rate=0.2, **PLAIN), models)
    first, last = dream.step(), dreamt(dream).progress
    assert last.loss < first.loss - 0.03
    assert last.similarity > first.similarity + 0.03
    assert len(dream.losses) == 20


def test_the_same_request_gives_the_same_bytes(models: Models, make_request: Make, dreamt: Run) -> None:
    first = pixels(dreamt(Dream(make_request(), models)))
    torch.rand(3)
    assert pixels(dreamt(Dream(make_request(), models))) == first
    assert pixels(dreamt(Dream(make_request(seed=1), models))) != first


def test_the_global_random_state_is_left_alone(models: Models, make_request: Make, dreamt: Run) -> None:
    before = torch.get_rng_state()
    dreamt(Dream(make_request(start="prior"), models)).snapshot()
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_has_step_loss_and_times(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = Dream(make_request("a castle:2 | fog:-1"), models)
    assert (dream.progress.step, dream.progress.steps, dream.progress.prompts) == (0, 6, ())
    progress = dream.step()
    assert (progress.step, progress.steps) == (1, 6)
    assert [item.text for item in progress.prompts] == ["a castle", "fog"]
    assert progress.loss == pytest.approx(sum(item.loss for item in progress.prompts), abs=1e-6)
    assert progress.prompts[1].loss < 0
    assert progress.similarity == pytest.approx(progress.prompts[0].similarity)
    assert progress.seconds_left == pytest.approx(5 * progress.seconds_per_step)
    assert dreamt(dream).progress.seconds_left == 0
    assert dream.step() == dream.progress


def test_weights_are_shares_of_their_sum(models: Models, make_request: Make) -> None:
    few, many = (Dream(make_request(text), models).step() for text in ("a:1 | b:-0.5", "a:10 | b:-5"))
    assert few.loss == pytest.approx(many.loss, abs=1e-6)


def test_several_perceptors_see_their_own_sizes_and_are_averaged(
    models: Models, ensemble: Models, make_request: Make
) -> None:
    both = Dream(make_request(cutouts=1, **PLAIN), ensemble).step()
    alone = Dream(make_request(cutouts=1, **PLAIN), models).step()
    second = Models("tiny", models.vqgan, ensemble.perceptors[1:], None, models.device, {})
    other = Dream(make_request(cutouts=1, **PLAIN), second).step()
    assert both.similarity == pytest.approx((alone.similarity + other.similarity) / 2, abs=1e-5)
    assert both.loss == pytest.approx((alone.loss + other.loss) / 2, abs=1e-5)


@pytest.mark.parametrize("size", ["32x32", "56x32"])
@pytest.mark.parametrize("start", ["random", "pixels", "gradient", "fractal", "init", "prior"])
def test_every_start_gives_another_beginning(
    models: Models, make_request: Make, png: Callable[..., bytes], start: str, size: str
) -> None:
    parts = {"init_image": png(), "variation": 0.2} if start == "init" else {}
    dream = Dream(make_request(start=start, size=size, **parts), models)
    before = dream.latent
    dream.step()
    assert before.isfinite().all()
    assert not torch.equal(dream.latent, before)
    assert str(dream.preview().size) == str(tuple(int(side) for side in size.split("x")))


def test_a_preview_shows_what_the_last_step_decoded(models: Models, make_request: Make) -> None:
    dream = Dream(make_request(ema=0.5), models)
    dream.step()
    latent = dream._latent.value.detach()
    expected = to_image(models.vqgan.decode(models.vqgan.quantise(latent)[0]))
    dream.step()
    assert dream.preview().tobytes() == expected.tobytes()


def test_the_last_preview_is_the_picture(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = dreamt(Dream(make_request(ema=0.5, coarse=0.5), models))
    assert dream.preview().tobytes() == pixels(dream)


def test_a_preview_before_the_first_step_shows_the_start(models: Models, make_request: Make) -> None:
    dream = Dream(make_request(), models)
    early = dream.preview()
    dream.step()
    assert dream.preview().tobytes() == early.tobytes()


def test_with_a_moving_average_the_picture_is_decoded_from_it(models: Models, make_request: Make, dreamt: Run) -> None:
    plain, averaged = (dreamt(Dream(make_request(ema=ema), models)) for ema in (0.0, 0.9))
    assert plain.losses == averaged.losses  # the optimisation is the same
    assert not torch.equal(plain.latent, averaged.latent)
    assert pixels(averaged) == to_image(models.vqgan.decode(models.vqgan.quantise(averaged.latent)[0])).tobytes()


def test_the_first_steps_may_be_made_at_half_size(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = Dream(make_request(size="64x32", coarse=0.5), models)
    shapes = []
    while not dream.finished:
        dream.step()
        shapes.append(tuple(dream._latent.value.shape[2:]))
        assert dream.preview().size == (64, 32)
    assert shapes == [(2, 4)] * 3 + [(4, 8)] * 3


@pytest.mark.parametrize(("asked", "coarse", "painted"), [("50x33", 0.0, "48x32"), ("50x44", 0.5, "48x48")])
def test_a_size_that_does_not_fit_is_rounded_and_said(
    models: Models, make_request: Make, asked: str, coarse: float, painted: str
) -> None:
    dream = Dream(make_request(size=asked, coarse=coarse), models)
    assert "{}x{}".format(*dream.preview().size) == painted
    assert any(painted in warning for warning in dream.warnings)


@pytest.mark.parametrize(("stop", "coarse"), [(1, 0.0), (4, 0.0), (2, 0.5), (3, 0.5)])
def test_a_picture_stopped_early_can_be_made_again(
    models: Models, make_request: Make, dreamt: Run, stop: int, coarse: float
) -> None:
    picture = dreamt(Dream(make_request(ema=0.5, coarse=coarse), models), stop).picture()
    assert picture.request.stopped_at == stop
    again = dreamt(Dream(picture.request, models))
    assert again.progress.step == stop
    assert again.picture().request == picture.request
    assert again.picture().image.tobytes() == picture.image.tobytes()


def test_a_picture_before_the_first_step_takes_one(models: Models, make_request: Make) -> None:
    assert Dream(make_request(), models).picture().request.stopped_at == 1


def test_a_finished_picture_keeps_its_request(models: Models, make_request: Make, dreamt: Run) -> None:
    picture = dreamt(Dream(make_request(), models)).picture()
    assert picture.request == make_request()
    assert picture.progress.step == 6


def test_a_story_shows_one_scene_after_another(models: Models, make_request: Make) -> None:
    dream = Dream(make_request("dawn ^ noon | heat ^ dusk"), models)
    seen = [tuple(item.text for item in dream.step().prompts) for _ in range(6)]
    assert seen == [("dawn",)] * 2 + [("noon", "heat")] * 2 + [("dusk",)] * 2
    assert dream.warnings == ()


def test_a_scene_that_is_never_reached_is_said(models: Models, make_request: Make) -> None:
    dream = Dream(make_request("dawn ^ noon ^ dusk", scene_steps=3), models)
    assert dream.warnings == ("There are 3 scenes, but 6 steps reach only 2.",)


def test_a_plateau_ends_the_dream(models: Models, make_request: Make, dreamt: Run) -> None:
    still = {**PLAIN, "learning_rate": 1e-4, "cutouts": 1, "steps": 40}
    dream = dreamt(Dream(make_request(plateau=3, **still), models))
    assert 3 < dream.progress.step < 20
    assert dream.picture().request.stopped_at is None
    assert pixels(dreamt(Dream(make_request(plateau=3, **still), models))) == pixels(dream)


def test_an_image_prompt_pulls_towards_it(models: Models, make_request: Make, png: Callable[..., bytes]) -> None:
    prompts = (ImagePrompt(image=png()), ImagePrompt(image=png(48, 32), weight=-1.0))
    progress = Dream(make_request("", image_prompts=prompts), models).step()
    assert [item.text for item in progress.prompts] == ["picture 1", "picture 2"]
    assert progress.prompts[0].loss > 0 > progress.prompts[1].loss


def test_a_picture_agrees_fully_with_itself(models: Models, make_request: Make) -> None:
    """Without augmentation, a picture of the right size whose embedding is the target has the similarity 1."""
    dream = Dream(make_request(cutouts=1, **PLAIN), models)
    image = dream.preview()
    request = make_request("", image_prompts=(ImagePrompt(image=encode(image, "png")),), cutouts=1, **PLAIN)
    assert Dream(request, models).step().similarity == pytest.approx(1, abs=1e-3)


def test_the_pull_to_the_start_keeps_the_latent_near(models: Models, make_request: Make, dreamt: Run) -> None:
    distances = []
    for weight in (0.0, 10.0):
        dream = Dream(make_request(init_weight=weight, steps=10), models)
        start = dream.latent
        distances.append((dreamt(dream).latent - start).square().mean().item())
    assert distances[1] < distances[0] / 2


@pytest.mark.parametrize("name", ["total_variation", "pull"])
def test_the_other_losses_add_to_the_loss(models: Models, make_request: Make, name: str) -> None:
    without, with_it = (Dream(make_request(**{name: value}), models).step() for value in (0.0, 5.0))
    assert with_it.loss > without.loss
    assert with_it.prompts == without.prompts


def test_the_latent_stays_in_the_range_of_the_codebook(models: Models, make_request: Make, dreamt: Run) -> None:
    dream = dreamt(Dream(make_request(learning_rate=2.0), models))
    low, high = models.vqgan.codebook.amin(dim=0), models.vqgan.codebook.amax(dim=0)
    assert (dream.latent >= low[:, None, None]).all()
    assert (dream.latent <= high[:, None, None]).all()


@pytest.mark.parametrize("changes", [{}, {"size": "64x48"}, {"size": "64x64", "coarse": 0.5}, {"variation": 0.3}])
def test_a_child_goes_on_from_its_parent(
    models: Models, make_request: Make, dreamt: Run, changes: dict[str, object]
) -> None:
    parent = make_request(steps=3, ema=0.5)
    child = make_request("a castle", start="parent", parent=parent, **changes)
    given = dreamt(Dream(child, models, dreamt(Dream(parent, models)).latent))
    dreamt_before = dreamt(Dream(child, models))
    assert pixels(given) == pixels(dreamt_before)


def test_a_child_of_the_same_size_begins_with_its_parents_picture(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    parent = dreamt(Dream(make_request(), models))
    child = Dream(make_request(start="parent", parent=make_request()), models, parent.latent)
    assert child.preview().tobytes() == pixels(parent)


def test_variations_of_one_parent_differ_by_their_seed(models: Models, make_request: Make, dreamt: Run) -> None:
    parent = dreamt(Dream(make_request(), models))
    varied = {"start": "parent", "parent": make_request(), "variation": 0.3}
    starts = [Dream(make_request(seed=seed, **varied), models, parent.latent).latent for seed in (1, 1, 2)]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def test_a_prior_that_is_not_there_is_refused(ensemble: Models, make_request: Make) -> None:
    with pytest.raises(InvalidRequest, match="have no prior"):
        Dream(make_request(start="prior"), ensemble)


def test_a_prior_needs_words(models: Models, make_request: Make, png: Callable[..., bytes]) -> None:
    pictures = (ImagePrompt(image=png()),)
    with pytest.raises(InvalidRequest, match="needs words"):
        Dream(make_request("", image_prompts=pictures, start="prior"), models)
    with pytest.raises(InvalidRequest, match="needs words"):
        Dream(make_request("fog:-1", image_prompts=pictures, start="prior"), models)


def test_a_parent_of_other_models_is_refused(models: Models, make_request: Make) -> None:
    parent = GenerationRequest(prompt="a castle", models="other", settings=make_request().settings)
    with pytest.raises(InvalidRequest, match="painted by the models 'other'"):
        Dream(make_request(start="parent", parent=parent), models)


def test_truncated_text_is_shown(models: Models, make_request: Make) -> None:
    text = "apple " * 76 + "behind a\nCastle, 1.5 m"
    assert len(parse_story(text)) == 1
    (warning,) = Dream(make_request(text), models).warnings
    assert "“apple behind a Castle, 1.5 m”" in warning


class HostReads(TorchDispatchMode):
    """Count operations that make the host wait for a value from the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back_from_the_device(ensemble: Models, make_request: Make) -> None:
    dream = Dream(make_request("a | b:-1:-0.5", total_variation=1.0, init_weight=1.0, pull=1.0, ema=0.5), ensemble)
    with HostReads() as by_the_optimiser:  # its step count is on the host
        dream._latent.update(dream._latent.value.square().sum(), 0.1)
    with HostReads() as in_all:
        dream._run_step()
    assert in_all.count == by_the_optimiser.count > 0
