"""A dream that runs out of memory: fewer cutouts at a time, then a smaller size, with a note to the requester."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from generator.errors import OutOfMemory
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.dream import Dream
from generator.optimisation.memory.footprint import memory_model_of
from generator.request import GenerationRequest
from generator.runtime.memory import MemoryBudget
from generator.runtime.precision import Precision
from generator.settings import Size

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]


class Cramped:
    """A perceptor on a device that fits a limited number of pictures at once, from a given call on."""

    def __init__(self, models: Models, most: int, free_looks: int = 0) -> None:
        self._inner, self._most, self._free_looks = models.perceptors[0], most, free_looks

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def embed_images(self, images: Tensor) -> Tensor:
        self._free_looks -= 1
        if self._free_looks < 0 and len(images) > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self._inner.embed_images(images)


class SmallRoom(VQGAN):
    """A VQGAN on a device that cannot decode more than a limited number of codes at once."""

    most_codes: int

    @classmethod
    def of(cls, vqgan: VQGAN, most_codes: int) -> SmallRoom:
        room = cls.__new__(cls)
        room.__dict__.update(vqgan.__dict__)
        room.most_codes = most_codes
        return room

    def decode(self, latent: Tensor, tiled: str = "") -> Tensor:
        if latent.shape[2] * latent.shape[3] > self.most_codes:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return super().decode(latent, tiled)


@pytest.fixture
def make_half(models: Models) -> Callable[[Precision], Models]:
    """A copy of the models that computes in half precision."""

    def make(precision: Precision) -> Models:
        return replace(models, prior=None).in_precision(precision)

    return make


def cramped(models: Models, most: int, free_looks: int = 0) -> Models:
    return replace(models, perceptors=(Cramped(models, most, free_looks),))  # type: ignore[arg-type]


def test_after_out_of_memory_cutouts_run_in_groups_and_the_picture_is_the_same(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    plain = dreamt(Dream(make_request(cutouts=6), models))
    short = dreamt(Dream(make_request(cutouts=6), cramped(models, 3)))
    assert short.losses[0] == pytest.approx(plain.losses[0], abs=1e-6)
    assert short.losses == pytest.approx(plain.losses, abs=1e-4)  # only rounding, but Adam magnifies it
    assert short.request == plain.request
    assert short.made_with.cutouts_at_once == 3
    assert plain.made_with.cutouts_at_once == 0
    assert "judged in groups" in short.picture().warnings[-1]


def test_memory_that_runs_out_on_the_way_costs_no_step(models: Models, make_request: Make, dreamt: Run) -> None:
    plain = dreamt(Dream(make_request(cutouts=6), models))
    short = dreamt(Dream(make_request(cutouts=6), cramped(models, 3, free_looks=3)))
    assert short.losses[:3] == plain.losses[:3]
    assert short.losses[3:] == pytest.approx(plain.losses[3:], abs=1e-4)
    assert short.progress.step == 6


def test_groups_chosen_beforehand_give_the_same_bytes_again(models: Models, make_request: Make, dreamt: Run) -> None:
    first = dreamt(Dream(make_request(cutouts=6), models, cutouts_at_once=2))
    again = dreamt(Dream(make_request(cutouts=6), models, cutouts_at_once=2))
    assert first.picture().image.tobytes() == again.picture().image.tobytes()
    assert first.made_with.cutouts_at_once == 2
    assert first.warnings == ()


def test_if_groups_do_not_help_the_picture_becomes_smaller_and_its_request_records_it(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    room = replace(models, vqgan=SmallRoom.of(models.vqgan, 12 * 12))
    dream = dreamt(Dream(make_request(size="128x128"), room))
    assert dream.request.settings.size == Size(96, 96)
    assert dream.picture().image.size == (96, 96)
    assert dream.warnings[0] == "There is not enough memory for 128x128; the picture is painted at 96x96."
    again = dreamt(Dream(dream.picture().request, models, cutouts_at_once=dream.made_with.cutouts_at_once))
    assert again.picture().image.tobytes() == dream.picture().image.tobytes()


def test_a_start_that_does_not_fit_becomes_smaller_too(
    models: Models, make_request: Make, png: Callable[..., bytes]
) -> None:
    room = replace(models, vqgan=SmallRoom.of(models.vqgan, 100))
    parent = make_request(size="64x64", steps=2)
    dream = Dream(make_request(size="128x128", start="parent", parent=parent, variation=0.5), room)
    dream.step()
    assert dream.request.settings.size == Size(80, 80)


def test_if_nothing_helps_there_is_a_message(models: Models, make_request: Make) -> None:
    with pytest.raises(OutOfMemory, match="too little memory even for a small picture") as caught:
        Dream(make_request(size="96x96"), cramped(models, 0)).step()
    assert "CUDA" not in str(caught.value)


def test_a_dream_in_groups_resumes_to_the_byte_with_its_warning(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    room = replace(cramped(models, 2), vqgan=SmallRoom.of(models.vqgan, 80))
    undisturbed = Dream(make_request(size="96x96", cutouts=6), room)
    snapshot = dreamt(undisturbed, 3).snapshot()
    resumed = dreamt(Dream.resume(snapshot, models))
    dreamt(undisturbed)
    assert resumed.picture().image.tobytes() == undisturbed.picture().image.tobytes()
    assert resumed.warnings == undisturbed.warnings
    assert len(resumed.warnings) == 2


@pytest.mark.parametrize(("share", "size", "in_groups"), [(1.2, 128, False), (0.95, 128, True), (0.5, 96, True)])
def test_a_budget_is_kept_from_the_first_step_on(
    models: Models, make_request: Make, share: float, size: int, in_groups: bool
) -> None:
    needed = memory_model_of(models).step_bytes(Size(128, 128), 8) / 0.9
    room = replace(models, budget=MemoryBudget(lambda: int(needed * share)))
    dream = Dream(make_request(size="128x128", cutouts=8), room)
    if not in_groups:
        assert dream.warnings == ()
    assert dream.request.settings.size.width <= size
    assert (dream.made_with.cutouts_at_once > 0) or not in_groups or dream.request.settings.size.width < 128
    painted = dream.request.settings.size
    group = dream.made_with.cutouts_at_once or 8
    assert memory_model_of(models).step_bytes(painted, group) <= needed * share


def test_a_step_that_the_system_gives_no_memory_for_is_not_begun(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    claimed: list[int] = []
    given = int(memory_model_of(models).step_bytes(Size(128, 128), 3))

    def claim(count: int) -> None:
        claimed.append(count)
        if count > given:
            raise MemoryError

    room = replace(models, budget=MemoryBudget(claim=claim))
    dream = dreamt(Dream(make_request(size="128x128", cutouts=8), room))
    assert dream.made_with.cutouts_at_once == 2 and dream.request.settings.size == Size(128, 128)
    assert claimed[0] == int(memory_model_of(models).step_bytes(Size(128, 128), 1))
    assert claimed[1] > claimed[2] > given >= claimed[3]
    nothing = replace(models, budget=MemoryBudget(claim=lambda count: _refuse()))
    with pytest.raises(OutOfMemory, match="too little memory even for a small picture"):
        Dream(make_request(size="128x128"), nothing)


def _refuse() -> None:
    raise MemoryError


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_a_dream_in_half_precision_improves_repeats_and_resumes(
    make_half: Callable[[Precision], Models], make_request: Make, dreamt: Run, precision: Precision
) -> None:
    half = make_half(precision)
    dream = Dream(make_request(), half)
    snapshot = dreamt(dream, 3).snapshot()
    dreamt(dream)
    assert dream.made_with.precision == precision.value
    assert dream.losses[-1] < dream.losses[0]
    again, resumed = dreamt(Dream(make_request(), half)), dreamt(Dream.resume(snapshot, half))
    assert again.picture().image.tobytes() == dream.picture().image.tobytes()
    assert resumed.picture().image.tobytes() == dream.picture().image.tobytes()


def test_values_beyond_float16_are_computed_in_full_precision(
    make_half: Callable[[Precision], Models], make_request: Make, dreamt: Run
) -> None:
    half = make_half(Precision.FP16)
    dream = Dream(make_request(), half)
    dreamt(dream, 2)
    with torch.no_grad():
        half.vqgan.decoder.conv_in.weight.fill_(60_000)
    dreamt(dream)
    assert half.precision is Precision.FP16
    assert dream.made_with.precision == "fp32"
    assert dream.finished
    assert torch.tensor(dream.losses).isfinite().all()
    assert dream.warnings == ("Half precision was not enough for these models; it was painted in full precision.",)
