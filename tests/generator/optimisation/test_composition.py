"""Posed compositions: first pictures, their children and later scenes, as the prior paints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
import torch
from PIL import Image

from generator.images.files import normalise
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.starts.composition import composition_of
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest, ImagePrompt
from generator.settings import Settings

Dreamt = Callable[..., Dream]
CHILD = {"start": "parent"}


def request(models: Models, prompt: str = "a blue cat in the snow", **values: object) -> GenerationRequest:
    suggested = Settings().merged({**models.defaults, "size": "128x128", "steps": 1, "cutouts": 2, "seed": 4})
    return GenerationRequest(prompt=prompt, settings=suggested.merged(values))


def child_of(parent: GenerationRequest, prompt: str = "", **values: object) -> GenerationRequest:
    settings = parent.settings.merged({**CHILD, "seed": 9, **values})
    return replace(parent, prompt=prompt or parent.prompt, parent=parent, settings=settings)


def words(models: Models, made: GenerationRequest) -> str:
    return composition_of(made, models).words


def pixels(dream: Dream) -> torch.Tensor:
    image = dream.picture().image
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(image.height, image.width, 3) / 255


def test_words_and_pose_follow_from_the_recipe(starter: Models) -> None:
    first = request(starter)
    remixed = child_of(first, "a dog")
    assert words(starter, remixed) == "a blue dog in the snow"
    assert words(starter, child_of(remixed, variation=0.4)) == "a blue dog in the snow"
    assert words(starter, child_of(remixed, "a fox at night")) == "a blue fox at night"
    dressed = request(starter, "a woman in a red dress on the beach at sunset")
    assert words(starter, child_of(dressed, "a horse")) == "a horse on the beach at sunset"
    story = request(starter, "a blue cat ^ a dog at night ^ a red fox", steps=3)
    assert words(starter, story) == "a red fox at night"
    assert words(starter, replace(story, stopped_at=2)) == "a dog at night"
    assert composition_of(remixed, starter).pose == composition_of(first, starter).pose
    assert composition_of(child_of(first, variation=0.4), starter).pose != composition_of(first, starter).pose


@pytest.mark.parametrize(("prompt", "changes"), [("", {"variation": 0.4}), ("a dog", {}), ("", {"size": "128x128"})])
def test_a_child_is_the_same_from_a_latent_and_from_its_recipe(
    starter: Models, dreamt: Dreamt, prompt: str, changes: dict[str, object]
) -> None:
    first = dreamt(Dream(request(starter, size="64x64"), starter))
    made = child_of(first.request, prompt, **changes)
    finished = dreamt(Dream(made, starter, parent_latent=first.latent))
    again = dreamt(Dream(request_from_json(request_to_json(finished.picture().request)), starter))
    assert torch.equal(pixels(again), pixels(finished))


def test_a_remix_keeps_the_ground_and_changes_the_thing(starter: Models, dreamt: Dreamt) -> None:
    first = dreamt(Dream(request(starter), starter))
    remixed = dreamt(Dream(child_of(first.request, "a red car"), starter, parent_latent=first.latent))
    elsewhere = dreamt(Dream(child_of(first.request, "a dog at night"), starter, parent_latent=first.latent))
    change, other = ((pixels(first) - pixels(made)).abs().mean(dim=2) for made in (remixed, elsewhere))
    assert change[:12].mean() < 0.04
    assert change[48:80, 48:80].mean() > 0.1
    assert other[:12].mean() > 0.3


def test_the_place_of_a_parents_thing_is_filled_in_its_style(starter: Models, dreamt: Dreamt) -> None:
    first = dreamt(Dream(request(starter, "line art of a house in the forest"), starter))
    varied = dreamt(Dream(child_of(first.request, variation=0.4), starter, parent_latent=first.latent))
    for made in (first, varied):
        shown = pixels(made)
        assert float(((shown.amax(dim=2) - shown.amin(dim=2)) > 0.25).float().mean()) < 0.01


def test_a_varied_picture_shows_the_same_thing_otherwise(starter: Models, dreamt: Dreamt) -> None:
    first = dreamt(Dream(request(starter), starter))
    varied = [
        pixels(dreamt(Dream(child_of(first.request, variation=0.4, seed=seed), starter, parent_latent=first.latent)))
        for seed in (0, 1)
    ]
    assert all((picture - pixels(first)).abs().mean() > 0.03 for picture in varied)
    assert (varied[0] - varied[1]).abs().mean() > 0.03


def test_a_continued_picture_stays_the_same(starter: Models, dreamt: Dreamt) -> None:
    first = dreamt(Dream(request(starter), starter))
    continued = dreamt(Dream(child_of(first.request), starter, parent_latent=first.latent))
    assert (pixels(continued) - pixels(first)).abs().mean() < 0.02


def test_the_pictures_of_a_grid_differ(starter: Models, dreamt: Dreamt) -> None:
    grid = [pixels(dreamt(Dream(request(starter, "a robot", seed=seed), starter))) for seed in range(4)]
    for number, picture in enumerate(grid):
        assert all((picture - other).abs().mean() > 0.05 for other in grid[:number])


def test_a_wide_picture_is_one_scene(starter: Models, dreamt: Dreamt) -> None:
    wide = pixels(dreamt(Dream(request(starter, "a red car on the road", size="256x128"), starter)))
    road, sky = wide[-10:].mean(dim=(0, 1)), wide[:10].mean(dim=(0, 1))
    assert sky[2] > road[2] + 0.2
    red = (wide[..., 0] > 0.6) & (wide[..., 1:].amax(dim=2) < 0.35)
    columns = torch.nonzero(red.any(dim=0))[:, 0]
    assert 60 < columns.float().mean() < 196
    assert columns[-1] - columns[0] < 128


def png(picture: torch.Tensor) -> bytes:
    out = BytesIO()
    Image.fromarray((picture * 255).round().byte().numpy()).save(out, "PNG")
    return normalise(out.getvalue())


def ball(left: int, colour: tuple[float, float, float]) -> torch.Tensor:
    """A square before grey ground, `[128, 128, 3]`."""
    picture = torch.full((128, 128, 3), 0.85)
    picture[40:88, left : left + 48] = torch.tensor(colour)
    return picture


def blue_columns(picture: torch.Tensor) -> torch.Tensor:
    return torch.nonzero(((picture[..., 2] - picture[..., 0]) > 0.25).any(dim=0))[:, 0].float()


def test_a_story_changes_its_scene(starter: Models, dreamt: Dreamt) -> None:
    story = request(starter, "a cat in the snow ^ a cat at night", steps=2, cutouts=1)
    dream = Dream(story, starter)
    dream.step()
    first = dream.preview()
    last = pixels(dreamt(dream))
    assert first.resize((1, 1)).getpixel((0, 0))[0] > 110
    assert last[:12].mean() < 0.3


@pytest.mark.parametrize(("before", "after"), [("in the snow", "a house in the snow"), ("zxcv", "a red apple")])
@pytest.mark.parametrize("kind", ["remix", "story"])
def test_a_thing_comes_to_a_picture_without_one(
    starter: Models, dreamt: Dreamt, kind: str, before: str, after: str
) -> None:
    if kind == "remix":
        wanted = child_of(request(starter, before), after)
    else:
        wanted = request(starter, f"{before} ^ {after}", steps=2)
    bare, full = (dreamt(Dream(one, starter)) for one in (request(starter, before), wanted))
    middle = (pixels(bare) - pixels(full)).abs()[40:100, 40:90]
    assert middle.mean() > 0.1


def test_an_init_image_gives_place_and_colour_and_the_words_give_the_thing(starter: Models, dreamt: Dreamt) -> None:
    plain = request(starter, "a cat")
    settings = plain.settings.merged({"start": "init"})
    left = replace(plain, init_image=png(ball(8, (0.1, 0.3, 0.9))), settings=settings)
    assert words(starter, left) == "a blue cat"
    picture = pixels(dreamt(Dream(left, starter)))
    assert blue_columns(picture).mean() < 50
    assert (picture[:8] - 0.85).abs().mean() < 0.1
    assert (picture - ball(8, (0.1, 0.3, 0.9))).abs()[40:88, 8:56].mean() > 0.1


def test_a_blend_without_words_shows_the_things_of_both_pictures(starter: Models, dreamt: Dreamt) -> None:
    pictures = (png(ball(8, (0.1, 0.2, 0.9))), png(ball(64, (0.9, 0.1, 0.1))))
    blend = GenerationRequest(
        image_prompts=tuple(ImagePrompt(image=data) for data in pictures), settings=request(starter).settings
    )
    picture = pixels(dreamt(Dream(blend, starter)))
    red = torch.nonzero(((picture[..., 0] - picture[..., 2]) > 0.3).any(dim=0))[:, 0].float()
    assert blue_columns(picture).mean() < 64 < red.mean()


def test_styles_show(starter: Models, dreamt: Dreamt) -> None:
    def painted(style: str, words: str = "a red car") -> torch.Tensor:
        return pixels(dreamt(Dream(request(starter, f"{words} | {style}:0.6"), starter)))

    plain, squares, wash = map(painted, ("an oil painting", "pixel art", "a soft watercolour painting"))
    lines = painted("a simple drawing with clear outlines", "a car")  # a colour would be that of the ink
    assert saturation(plain) > 0.1
    assert saturation(lines) < 0.5 * saturation(plain)
    assert 0.2 * saturation(plain) < saturation(wash) < saturation(plain)
    assert (squares - plain).abs().mean() > 0.02


def saturation(picture: torch.Tensor) -> float:
    return float((picture.amax(dim=2) - picture.amin(dim=2)).mean())
