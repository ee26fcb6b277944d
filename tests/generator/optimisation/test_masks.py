"""Masks: what is kept stays to the byte, the edge is soft, and the region shows the new picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from generator.errors import InvalidRequest
from generator.images.files import normalise, normalise_mask
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache
from generator.optimisation.request_warnings import request_warnings
from generator.optimisation.starts.canvas import canvas_of
from generator.optimisation.starts.named_regions import region_of_words
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest, canvas_size
from generator.settings import Settings, Size
from tests.generator.recording import Repeating

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]
SIZE = Size(64, 48)


def file_of(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PHOTO = normalise(file_of(Image.effect_noise(SIZE, 80).convert("RGB")))


def mask_file(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> bytes:
    image = Image.new("L", size)
    ImageDraw.Draw(image).rectangle(box, fill=255)
    return normalise_mask(file_of(image))


def pixels(image: Image.Image | bytes) -> np.ndarray:
    return np.asarray(image if isinstance(image, Image.Image) else Image.open(BytesIO(image)).convert("RGB"))


def masked(make_request: Make, values: dict[str, object]) -> GenerationRequest:
    given = dict(values)
    mask = given.pop("mask", None)
    request = make_request(start="init", init_image=PHOTO, size=str(SIZE), learning_rate=0.5)
    return replace(request, mask=mask, settings=request.settings.merged(given))


REGIONS = {
    "side": {"repaint": "left 50%"},
    "box": {"repaint": "box 25% 25% 75% 75%"},
    "kept side": {"keep": "right 50%"},
    "picture": {"repaint": "picture", "mask": mask_file((8, 8, 31, 31))},
    "kept picture": {"keep": "picture", "mask": mask_file((8, 8, 31, 31))},
    "after coarse steps": {"repaint": "left 50%", "coarse": 0.5},
    "with an average": {"repaint": "left 50%", "ema": 0.9},
    "hard edge": {"repaint": "left 50%", "feather": 0.0},
}


@pytest.mark.parametrize("name", REGIONS)
def test_what_is_kept_stays_to_the_byte_and_the_rest_changes(
    name: str, models: Models, make_request: Make, dreamt: Run
) -> None:
    request = masked(make_request, REGIONS[name])
    canvas = canvas_of(request, models, SIZE)
    assert canvas is not None
    mask = canvas.mask[0, 0].numpy()
    assert 0.1 < (mask == 0).mean() < 0.9
    dream = dreamt(Dream(request, models))
    for shown in (dream.preview(), dream.picture().image):
        result = pixels(shown)
        assert (result[mask == 0] == pixels(PHOTO)[mask == 0]).all()
        assert np.abs(result[mask == 1].astype(int) - pixels(PHOTO)[mask == 1]).mean() > 5


def test_the_edge_falls_from_one_to_nothing_within_the_feather(models: Models, make_request: Make) -> None:
    canvas = canvas_of(masked(make_request, {"repaint": "left 50%", "feather": 0.25}), models, SIZE)
    assert canvas is not None
    row = canvas.mask[0, 0, 24]
    assert (row[:32] == 1).all() and (row[32 + 12 :] == 0).all()
    assert (row[32:44].diff() < 0).all()
    assert torch.equal(canvas.over(torch.rand(1, 3, 48, 64))[..., 44:], canvas.base[..., 44:])


def test_outpainting_surrounds_the_picture_with_a_margin_and_keeps_it(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    settings = Settings().merged({"outpaint": "left 50%, bottom 50%"})
    size = canvas_size(PHOTO, settings, 1024)
    assert size == (96, 72)
    assert canvas_size(PHOTO, settings, 48) == (48, 36)
    request = masked(make_request, {"outpaint": "left 50%, bottom 50%", "size": str(size), "feather": 0.0})
    result = pixels(dreamt(Dream(request, models)).picture().image)
    assert (result[:48, 32:] == pixels(PHOTO)).all()
    assert np.abs(result[48:].astype(int) - 128).mean() > 5


def test_the_perceptor_sees_the_region_with_its_surroundings_and_the_rest_of_the_latent_stays(
    models: Models, make_request: Make
) -> None:
    big = normalise(file_of(Image.effect_noise((256, 128), 80).convert("RGB")))
    request = make_request(start="init", init_image=big, size="256x128", learning_rate=0.5, steps=2)
    request = replace(request, settings=request.settings.merged({"repaint": "box 0% 0% 25% 50%", "feather": 0.0}))
    dream = Dream(request, models)
    canvas, before = dream._state.canvas, dream.latent
    assert canvas is not None
    assert canvas.seen == (slice(0, 80), slice(0, 80)) and canvas.region == (slice(0, 64), slice(0, 64))
    dream.step()
    moved = (dream.latent != before).any(dim=1)[0]
    assert moved[:8, :8].any() and not moved[9:].any() and not moved[:, 9:].any()


def test_a_masked_dream_resumes_and_runs_again_from_its_recipe_to_the_byte(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    request = masked(make_request, {"keep": "picture", "mask": mask_file((8, 8, 31, 31)), "coarse": 0.5})
    whole = pixels(dreamt(Dream(request, models)).picture().image)
    dream = Dream(request_from_json(request_to_json(request)), models)
    for _ in range(2):
        dream.step()
    again = Dream.resume(dream.snapshot(), models)
    assert (pixels(dreamt(again).picture().image) == whole).all()


def test_a_captured_step_paints_another_mask_of_the_same_extent(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    recorder = Repeating()
    graphs = GraphCache(recorder)
    for hole in (None, (12, 12, 20, 20)):
        image = Image.open(BytesIO(mask_file((8, 8, 31, 31))))
        if hole is not None:
            ImageDraw.Draw(image).rectangle(hole, fill="black")
        mask = normalise_mask(file_of(image))
        request = masked(make_request, {"repaint": "picture", "mask": mask, "feather": 0.0})
        captured, plain = dreamt(Dream(request, models, graphs=graphs)), dreamt(Dream(request, models))
        assert (pixels(captured.picture().image) == pixels(plain.picture().image)).all()
    assert recorder.recorded == 1


def test_words_find_the_part_that_they_name(starter: Models) -> None:
    scene = torch.full((1, 3, 128, 128), 0.9)
    scene[:, :, 40:100, 20:60] = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
    thing = region_of_words(scene, "an apple", starter)
    assert thing[0, 0, 70, 40] == 1 and thing[0, 0, 10, 110] == 0
    ground = region_of_words(scene, "the background", starter)
    assert torch.equal(ground, 1 - thing)


def test_words_of_a_region_are_read_like_those_of_a_prompt(starter: Models) -> None:
    scene = Image.new("RGB", (128, 128), (230, 230, 230))
    ImageDraw.Draw(scene).rectangle((20, 40, 60, 100), fill=(230, 25, 25))

    def masked_by(words: str) -> tuple[torch.Tensor, tuple[str, ...]]:
        settings = Settings().merged({**starter.defaults, "repaint": words, "start": "init"})
        request = GenerationRequest(prompt="a pear", init_image=normalise(file_of(scene)), settings=settings)
        canvas = canvas_of(request, starter, Size(128, 128))
        assert canvas is not None
        return canvas.mask, request_warnings(request, starter)

    german, notes = masked_by("den Apfel")
    assert torch.equal(german, masked_by("an apple")[0]) and notes == ("Read as “an apple” (German).",)
    for background in ("the background", "den Hintergrund", "il fondo"):
        mask, notes = masked_by(background)
        assert torch.equal(mask, masked_by("the background")[0]) and notes == ()
    assert "“qqqzz”" in masked_by("the qqqzz")[1][0]


def test_words_for_a_picture_of_one_colour_and_an_empty_mask_are_refused(models: Models, make_request: Make) -> None:
    flat = normalise(file_of(Image.new("RGB", SIZE, "teal")))
    request = make_request(start="init", init_image=flat, size=str(SIZE))
    request = replace(request, settings=request.settings.merged({"keep": "the sky"}))
    with pytest.raises(InvalidRequest, match="nothing that stands out"):
        Dream(request, models)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"init_image": None, "keep": "left 50%"},
            "keep, repaint and outpaint change a part of a picture; give an init image.",
        ),
        ({"keep": "picture"}, "The region 'picture' needs a mask; give one, or name the region."),
        ({"mask": mask_file((0, 0, 9, 9))}, "A mask goes with keep or repaint 'picture', and only with those."),
        (
            {"mask": mask_file((0, 0, 9, 9), (48, 64)), "repaint": "picture"},
            "The mask has another shape (48x64) than the init image (64x48); make them alike.",
        ),
    ],
)
def test_a_mask_that_does_not_fit_its_request_is_refused(values: dict[str, object], sentence: str) -> None:
    parts: dict[str, object] = {"init_image": PHOTO, "mask": None} | values
    settings = {name: parts.pop(name) for name in ("keep", "repaint") if name in parts}
    start = "init" if parts["init_image"] is not None else "random"
    with pytest.raises(InvalidRequest) as refused:
        GenerationRequest(prompt="a cat", settings=Settings().merged({"start": start, **settings}), **parts)  # type: ignore[arg-type]
    assert str(refused.value) == sentence


@pytest.mark.parametrize("shade", ["black", "white"])
def test_a_mask_of_one_shade_is_refused(shade: str) -> None:
    with pytest.raises(
        InvalidRequest, match=rf"^The mask is all {shade}; white is what it shows, and black the rest.$"
    ):
        normalise_mask(file_of(Image.new("L", SIZE, shade)))


def test_a_mask_is_white_where_a_picture_is_rubbed_out() -> None:
    image = Image.new("RGBA", SIZE, "red")
    image.paste((0, 0, 0, 0), (0, 0, 32, 48))
    levels = pixels(normalise_mask(file_of(image)))
    assert (levels[:, :32] == 255).all() and (levels[:, 32:] == 0).all()
    assert normalise_mask(mask_file((8, 8, 31, 31))) == mask_file((8, 8, 31, 31))
