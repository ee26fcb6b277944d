"""Losses of the picture: values by hand, pictures that move as asked, and nothing at all without them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from generator.errors import InvalidRequest
from generator.images.files import encode, normalise
from generator.images.palette import palette_of
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache
from generator.optimisation.losses.goals import edges_loss
from generator.optimisation.losses.picture import (
    border_loss,
    colourfulness,
    contrast,
    flatness_loss,
    laplacian_loss,
    palette_loss,
    picture_losses,
    symmetry_loss,
)
from generator.request import GenerationRequest, ImagePrompt
from generator.settings import LOSSES, Settings
from tests.generator.recording import Repeating

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]
ON: dict[str, object] = {
    "palette": "navy, gold",
    "symmetry": "both",
    "border": "white",
    "flatness": 1.0,
    "laplacian": 1.0,
    "saturation": 1.0,
    "contrast": 1.0,
    "likeness": 1.0,
}
WITH_GOALS = ("border", "likeness")
"""Losses that compare with something that was made when the dream began."""
TEAL = (ImagePrompt(image=normalise(encode(Image.new("RGB", (8, 8), (0, 128, 128)), "png"))),)


def random_images(height: int = 12, width: int = 8) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)).requires_grad_(True)


def one_colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, 6, 8).contiguous().requires_grad_(True)


def pixels(dream: Dream) -> np.ndarray:
    return np.asarray(dream.picture().image, dtype=np.float64) / 255


def test_every_loss_is_tried_here() -> None:
    assert set(ON) == set(LOSSES)


def test_without_a_setting_there_is_no_loss() -> None:
    assert list(picture_losses(random_images(), Settings())) == []


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in WITH_GOALS])
def test_a_loss_alone_has_a_finite_gradient_also_for_one_colour(name: str) -> None:
    for images in (random_images(), one_colour(0.5, 0.5, 0.5), one_colour(0.0, 0.0, 0.0)):
        (loss,) = picture_losses(images, Settings().merged({name: ON[name]}))
        loss.backward()
        assert loss.shape == () and loss.isfinite()
        assert images.grad.isfinite().all()


def test_the_palette_loss_is_the_squared_distance_to_the_nearest_colour() -> None:
    images, palette = random_images(), [(0.0, 0.0, 0.5), (1.0, 0.8, 0.0), (1.0, 1.0, 1.0)]
    each = torch.stack([(images - torch.tensor(colour).view(3, 1, 1)).square().sum(dim=1) for colour in palette])
    expected = each.amin(dim=0).mean()
    loss = palette_loss(images, palette)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(*(torch.autograd.grad(value, images)[0] for value in (loss, expected)), atol=1e-6)
    assert palette_loss(one_colour(1.0, 1.0, 1.0), palette).item() == 0


@pytest.mark.parametrize(("kind", "axes"), [("left-right", [3]), ("up-down", [2]), ("both", [2, 3])])
def test_a_symmetric_picture_has_no_loss_along_its_axes(kind: str, axes: list[int]) -> None:
    images = random_images().detach()
    for axis in axes:
        images = images + images.flip(axis)
    assert symmetry_loss(images, kind).item() == pytest.approx(0, abs=1e-12)
    assert symmetry_loss(random_images(), kind).item() > 0.1


def test_the_three_kinds_of_smoothness_differ_in_edges_and_gradients() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 11, 11)
    step = (torch.arange(11) > 4).float().expand(1, 3, 11, 11)
    assert flatness_loss(ramp).item() == pytest.approx(flatness_loss(step).item(), rel=1e-5)
    assert laplacian_loss(ramp).item() == pytest.approx(0, abs=1e-12)
    assert laplacian_loss(step).item() == pytest.approx(2 / 9, rel=1e-5)


@pytest.mark.parametrize(("width", "pixels_inside"), [(0.01, 6 * 10), (0.25, 4 * 8), (0.5, 0)])
def test_the_border_loss_sees_the_frame_alone(width: float, pixels_inside: int) -> None:
    images = torch.zeros(1, 3, 8, 12, requires_grad=True)
    loss = border_loss(images, (1.0, 0.0, 0.0), width)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert (images.grad[0, 0] == 0).sum() == pixels_inside
    assert images.grad[0, 1:].abs().max() == 0


def test_colourfulness_and_contrast_are_zero_for_grey_and_grow_with_their_names() -> None:
    grey, pink, red = (one_colour(1.0, share, share) for share in (1.0, 0.5, 0.0))
    assert colourfulness(grey).item() == pytest.approx(0, abs=1e-6)
    assert 0.05 < colourfulness(pink) < colourfulness(red)
    halves = torch.cat([torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)], dim=3)
    assert contrast(grey).item() == pytest.approx(0, abs=1e-6)
    assert contrast(halves).item() == pytest.approx(0.5, abs=2e-3)
    assert contrast(halves / 2).item() == pytest.approx(0.25, abs=2e-3)


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "palette": lambda image: palette_loss(as_tensor(image), [(0.0, 0.0, 128 / 255), (1.0, 215 / 255, 0.0)]).item(),
    "symmetry": lambda image: symmetry_loss(as_tensor(image), "both").item(),
    "border": lambda image: border_loss(as_tensor(image), (1.0, 1.0, 1.0), 0.1).item(),
    "flatness": lambda image: flatness_loss(as_tensor(image)).item(),
    "laplacian": lambda image: laplacian_loss(as_tensor(image)).item(),
    "saturation": lambda image: -colourfulness(as_tensor(image)).item(),
    "contrast": lambda image: -contrast(as_tensor(image)).item(),
    "likeness": lambda image: float(((image - np.array([0, 128, 128]) / 255) ** 2).mean()),
}


def as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).float().permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", LOSSES)
def test_a_picture_comes_nearer_to_what_a_loss_asks_for(
    models: Models, make_request: Make, dreamt: Run, name: str
) -> None:
    strong = {name: 10.0 if isinstance(ON[name], float) else ON[name]}
    prompts = TEAL if name == "likeness" else ()
    # The codes of a colour say nothing in a VQGAN with random weights.
    drawer = {"drawer": "pixel"} if name == "border" else {}
    without, with_it = (
        pixels(dreamt(Dream(make_request(steps=20, image_prompts=prompts, **drawer, **changes), models)))
        for changes in ({}, strong)
    )
    assert MEASURES[name](with_it) < MEASURES[name](without)


def test_all_losses_together_are_captured_as_they_are_run(models: Models, make_request: Make, dreamt: Run) -> None:
    cache = GraphCache(recorder := Repeating())
    captured = dreamt(Dream(make_request(image_prompts=TEAL, **ON), models, graphs=cache))
    plain = dreamt(Dream(make_request(image_prompts=TEAL, **ON), models))
    assert captured.losses == pytest.approx(plain.losses, abs=1e-4)
    dreamt(Dream(make_request(image_prompts=TEAL, **{**ON, "palette": "red"}), models, graphs=cache))
    assert recorder.recorded == 2


def test_the_border_reaches_no_cell_inside_of_it(models: Models, make_request: Make) -> None:
    request = make_request(size="64x64", border="black", border_width=0.1)
    state = Dream(request, models)._state
    goals, latent = state.goals, state.latent.value.detach().clone().requires_grad_(True)
    assert goals.edges is not None and goals.rim is not None
    edges_loss(latent, goals.edges, goals.rim).backward()
    moved = (latent.grad != 0).any(dim=1)[0]
    assert moved[0].all() and moved[:, -1].all() and not moved[1:-1, 1:-1].any()


def picture_of(*colours: tuple[int, int, int]) -> bytes:
    """A picture of stripes, the first the widest."""
    image, out = Image.new("RGB", (60, 30), colours[0]), BytesIO()
    for number, colour in enumerate(colours[1:], 1):
        image.paste(colour, (60 - 10 * number, 0, 70 - 10 * number, 30))
    image.save(out, "PNG")
    return out.getvalue()


def test_a_palette_is_taken_from_the_picture_that_comes_along(models: Models) -> None:
    settings = Settings().merged({"palette": "picture", "size": "32x32", "steps": 1, "cutouts": 2, "start": "random"})
    warm, cold = picture_of((200, 30, 40), (255, 204, 0)), picture_of((0, 0, 128), (255, 255, 255))
    given = {"prompt": "a cat", "models": "tiny"}
    pulls = ((cold, -1.0), (warm, 0.0), (cold, 1.0))
    prompts = tuple(ImagePrompt(image=image, weight=weight) for image, weight in pulls)
    dream = Dream(GenerationRequest(settings=settings, image_prompts=prompts, **given), models)
    assert dream.request.settings.palette == "#c81e28, #ffcc00"
    dream.step()
    assert Dream.resume(dream.snapshot(), models).request.settings.palette == "#c81e28, #ffcc00"
    inited = settings.merged({"start": "init"})
    dream = Dream(GenerationRequest(settings=inited, init_image=cold, **given), models)
    assert dream.request.settings.palette == "#000080, #ffffff"
    assert settings.merged({"palette": "Picture"}).palette == "picture"
    for image_prompts in ((), prompts[:1]):
        with pytest.raises(InvalidRequest, match="palette 'picture' takes the colours of an image prompt or"):
            GenerationRequest(settings=settings, image_prompts=image_prompts, **given)
    with pytest.raises(InvalidRequest, match="border has the colour 'picture', which is unknown"):
        settings.merged({"border": "picture"})


def test_a_palette_has_eight_colours_of_a_picture_with_more() -> None:
    found = palette_of(picture_of(*((31 * number, 255 - 31 * number, 90) for number in range(6))))
    assert len(found.split(", ")) == 6
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    assert len(palette_of(out.getvalue()).split(", ")) == 8


def test_likeness_without_an_image_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="give one with a positive weight"):
        GenerationRequest(prompt="a cat", settings=Settings(likeness=1.0))
