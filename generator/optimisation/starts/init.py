"""Start of a dream: random codes, noise, a picture, a parent's latent, or the prior's proposal.

All randomness comes from the dream's own generator. Pixel noise, gradients and fractal noise follow
nerdyrodent/VQGAN-CLIP; the fractal is a sum of octaves of value noise (Perlin, SIGGRAPH 1985).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.images.tensors import read_image
from generator.models.drawers.interface import Drawer
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.request_warnings import prior_for
from generator.optimisation.starts.canvas import Canvas
from generator.optimisation.starts.composer import StartComposer
from generator.optimisation.targets import Targets
from generator.prompts import Scene
from generator.request import GenerationRequest
from generator.settings import Size

# Decode proposals in groups of about this many pixels, to bound the memory.
_DECODED_AT_ONCE_PX = 512 * 512
_COMPOSED = ("prior", "init", "parent")


@torch.no_grad()
def start_latent(
    request: GenerationRequest,
    models: Models,
    size: Size,
    targets: Targets,
    parent_latent: Tensor | None,
    generator: torch.Generator,
    scenes: Sequence[Scene] | None = None,
    canvas: Canvas | None = None,
) -> Tensor:
    """Create the first latent `[1, C, h, w]` for a picture of `size`, a multiple of the model's factor.

    `scenes`: those of the request with the texts to read; by default the typed ones. `canvas`: the picture of which a
    region is painted.

    Raises:
        InvalidRequest: if the models or the prompt do not support the start.
    """
    vqgan, drawer, start = models.vqgan, models.drawer(request.settings), request.settings.start
    if request.parent is not None and parent_latent is not None:
        parent_latent, old = parent_latent.to(models.device), models.drawer(request.parent.settings)
        kept = request.settings.drawer == request.parent.settings.drawer and old.factor == drawer.factor
        if kept and drawer is not vqgan and not _changes(request, request.parent):
            return at_size(drawer, parent_latent, size)
        if old is not vqgan:
            parent_latent = vqgan.encode(_fitted(drawn(old, parent_latent), _whole(vqgan, size)))
    if canvas is not None:
        return _on_canvas(request, models, canvas, size, targets, generator)
    if drawer is vqgan:
        return _vqgan_start(request, models, size, targets, parent_latent, generator, scenes)
    if start == "random":
        return drawer.random(*drawer.grid(size.height, size.width), generator)
    if start in _PATTERNS:
        return drawer.encode(_PATTERNS[start](size, generator))
    latent = _vqgan_start(request, models, _whole(vqgan, size), targets, parent_latent, generator, scenes)
    return drawer.encode(_fitted(drawn(vqgan, latent), size))


def _vqgan_start(
    request: GenerationRequest,
    models: Models,
    size: Size,
    targets: Targets,
    parent_latent: Tensor | None,
    generator: torch.Generator,
    scenes: Sequence[Scene] | None,
) -> Tensor:
    """The first latent of a VQGAN."""
    vqgan, start = models.vqgan, request.settings.start
    composer = composer_of(request, models, generator)
    if composer is not None and (start == "prior" or (start == "init" and not request.settings.variation)):
        return composer.first(size, targets)
    if start == "prior":
        return _best_proposal(request, models, size, targets, generator, request.scenes if scenes is None else scenes)
    if start == "parent" and parent_latent is not None:
        latent = at_size(vqgan, parent_latent, size)
        if composer is not None and request.parent is not None and _changes(request, request.parent):
            return composer.child(request.parent, latent, size, targets)
        return _varied(vqgan, latent, request.settings.variation, generator)
    if start == "init" and request.init_image is not None:
        latent = vqgan.encode(read_image(request.init_image, size).to(models.device))
        return _varied(vqgan, latent, request.settings.variation, generator)
    if start == "random":
        return vqgan.random(size.height // vqgan.factor, size.width // vqgan.factor, generator)
    return vqgan.encode(_PATTERNS[start](size, generator))


def drawn(drawer: Drawer, latent: Tensor) -> Tensor:
    """The picture of a latent, `[1, 3, H, W] in 0..1`."""
    return drawer.decode(drawer.settle(latent)).clamp(0, 1)


def _whole(vqgan: VQGAN, size: Size) -> Size:
    """A size that a VQGAN can draw, at least as large as that of a picture of another drawer."""
    return Size(*(-(-side // vqgan.factor) * vqgan.factor for side in size))


@torch.no_grad()
def next_scene(
    request: GenerationRequest,
    models: Models,
    number: int,
    latent: Tensor,
    size: Size,
    targets: Targets,
    generator: torch.Generator,
    canvas: Canvas | None = None,
) -> Tensor | None:
    """The latent that scene `number` of a story begins with; None to continue with the previous one."""
    told_before = request.parent is not None and request.prompt == request.parent.prompt
    if request.settings.start not in _COMPOSED or told_before:
        return None
    composer = composer_of(request, models, generator, number)
    if composer is None:
        return None
    vqgan, drawer = models.vqgan, models.drawer(request.settings)
    if canvas is not None:
        return drawer.encode(composer.region(number, canvas, size, targets))
    if drawer is vqgan:
        return composer.scene(number, latent, size, targets)
    whole = _whole(vqgan, size)
    start = composer.scene(number, vqgan.encode(_fitted(drawn(drawer, latent), whole)), whole, targets)
    return drawer.encode(_fitted(drawn(vqgan, start), size))


def _on_canvas(
    request: GenerationRequest,
    models: Models,
    canvas: Canvas,
    size: Size,
    targets: Targets,
    generator: torch.Generator,
) -> Tensor:
    """The start of a masked picture: composed, or the base with noise in the cells of the region."""
    drawer, composer = models.drawer(request.settings), composer_of(request, models, generator)
    if composer is not None and not request.settings.variation and request.scenes:
        return drawer.encode(composer.region(0, canvas, size, targets))
    latent = drawer.encode(canvas.base)
    return latent.lerp(_varied(drawer, latent, request.settings.variation, generator), canvas.free)


def composer_of(
    request: GenerationRequest, models: Models, generator: torch.Generator, scene: int = 0
) -> StartComposer | None:
    """The start composer of a request that asks for posed compositions, if the models have a prior."""
    if request.settings.composition != "posed" or models.prior is None:
        return None
    if generator.device.type != "cpu":  # the prior draws on the CPU
        generator = torch.Generator().manual_seed(request.settings.seed + scene)
    return StartComposer(request, models, models.prior, generator)


def _changes(request: GenerationRequest, parent: GenerationRequest) -> bool:
    """True for a varied, remixed or larger picture, false for one that is continued."""
    settings = request.settings
    return settings.variation > 0 or request.prompt != parent.prompt or settings.size != parent.settings.size


@torch.no_grad()
def at_size(drawer: Drawer, latent: Tensor, size: Size) -> Tensor:
    """Adapt a latent to a picture of `size`, `[1, C, h, w]`: unchanged if it fits, else decoded, resized and encoded.

    A different shape is centre-cropped before resizing.
    """
    if latent.shape[2:] == drawer.grid(size.height, size.width):
        return latent
    return drawer.encode(_fitted(drawn(drawer, latent), size))


def _fitted(image: Tensor, size: Size) -> Tensor:
    """An image `[1, 3, H, W]`, centre-cropped to the shape of `size` and resized; unchanged if it fits."""
    height, width = image.shape[2:]
    if (width, height) == size:
        return image
    kept_width = min(width, max(1, round(height * size.width / size.height)))
    kept_height = min(height, max(1, round(width * size.height / size.width)))
    left, upper = (width - kept_width) // 2, (height - kept_height) // 2
    kept = image[:, :, upper : upper + kept_height, left : left + kept_width]
    return functional.interpolate(kept, (size.height, size.width), mode="bicubic", antialias=True).clamp(0, 1)


def _varied(drawer: Drawer, latent: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Blend a latent with a random one, `share` of it, at every position."""
    if share == 0:
        return latent
    return latent.lerp(drawer.random(latent.shape[2], latent.shape[3], generator), share)


def _best_proposal(
    request: GenerationRequest,
    models: Models,
    size: Size,
    targets: Targets,
    generator: torch.Generator,
    scenes: Sequence[Scene],
) -> Tensor:
    """Choose the best of the prior's proposals, as scored by the perceptors.

    The prior gets all positively weighted words of the first scene, as the first perceptor reads them; all prompts
    count when the proposals are scored.
    """
    prior, words = prior_for(models, scenes)
    alone = targets.vectors[0] if targets.labels == (words,) else None  # these words are already embedded
    features = models.perceptors[0].embed_texts([words]) if alone is None else alone
    places = (size.height // models.vqgan.factor, size.width // models.vqgan.factor)
    if generator.device.type != "cpu":
        generator = torch.Generator().manual_seed(request.settings.seed)  # the prior draws on the CPU
    codes = prior.propose(words, features, request.settings.candidates, places, generator).to(models.device)
    group = max(1, _DECODED_AT_ONCE_PX // (size.width * size.height))
    scores = [targets.scores(_pictures(models.vqgan, some), models.perceptors) for some in torch.split(codes, group)]
    return models.vqgan.lookup(codes[torch.cat(scores).argmax()][None])


def _pictures(vqgan: VQGAN, codes: Tensor) -> Tensor:
    return vqgan.decode(vqgan.lookup(codes)).clamp(0, 1)


def _pixel_noise(size: Size, generator: torch.Generator) -> Tensor:
    """Random colour for each pixel."""
    return torch.rand(1, 3, size.height, size.width, generator=generator, device=generator.device)


def _gradient(size: Size, generator: torch.Generator) -> Tensor:
    """Linear gradient between two random colours, in a random direction."""
    colours = torch.rand(2, 1, 3, 1, 1, generator=generator, device=generator.device)
    angle = torch.rand((), generator=generator, device=generator.device) * 2 * torch.pi
    across = torch.linspace(-1, 1, size.width, device=generator.device)
    down = torch.linspace(-1, 1, size.height, device=generator.device)[:, None]
    share = (across * angle.cos() + down * angle.sin()) / (angle.cos().abs() + angle.sin().abs())
    return colours[0].lerp(colours[1], (share + 1) / 2)


def _fractal(size: Size, generator: torch.Generator) -> Tensor:
    """Clouds: octaves of noise, each twice as fine and half as strong, stretched to 0..1 in each channel."""
    total = torch.zeros(1, 3, size.height, size.width, device=generator.device)
    for octave in range(1, min(size).bit_length()):
        height, width = ((side << octave) // min(size) + 1 for side in (size.height, size.width))
        noise = torch.rand(1, 3, height, width, generator=generator, device=generator.device)
        smooth: Tensor = functional.interpolate(noise, (size.height, size.width), mode="bicubic", align_corners=True)
        total += smooth / (1 << octave)
    total = total - total.amin(dim=(2, 3), keepdim=True)
    return total / total.amax(dim=(2, 3), keepdim=True)


_PATTERNS: Mapping[str, Callable[[Size, torch.Generator], Tensor]] = {
    "pixels": _pixel_noise,
    "gradient": _gradient,
    "fractal": _fractal,
}
