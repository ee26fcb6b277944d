"""Losses that compare with a picture: the colour of the edges, and the image prompts' pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.images.tensors import read_image
from generator.models.model_set import Models
from generator.notation.palette import rgb_of
from generator.optimisation.losses.picture import rim_of
from generator.request import GenerationRequest
from generator.settings import Size


@dataclass(frozen=True)
class Goals:
    """Fixed tensors of a dream's losses; None for losses that are off.

    Attributes:
        edges: latent of a picture of the border's colour, `[1, C, h, w]`.
        rim: share of each of its cells that lies in the border, `[1, 1, h, w]`.
        likeness: picture to come near to, `[1, 3, H, W] in 0..1`.
    """

    edges: Tensor | None = None
    rim: Tensor | None = None
    likeness: Tensor | None = None

    def bordered(self, latent: Tensor) -> Tensor:
        """A latent with the border's colour in its outer cells."""
        return latent if self.edges is None or self.rim is None else latent.lerp(self.edges, self.rim)

    def copy(self) -> Goals:
        """Return an independent copy, which may be overwritten."""
        return Goals(*(None if value is None else value.clone() for value in (self.edges, self.rim, self.likeness)))

    def load(self, other: Goals) -> None:
        """Copy the tensors of goals of the same kind and shape, in place."""
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            if mine is not None and mine is not theirs:
                mine.copy_(theirs)


@torch.no_grad()
def goals_of(request: GenerationRequest, models: Models, size: Size) -> Goals:
    """The goals of a request for a picture of `size`.

    Raises:
        InvalidRequest: if an image prompt cannot be read.
    """
    settings, drawer = request.settings, models.drawer(request.settings)
    edges = rim = likeness = None
    for colour in rgb_of(settings.border):
        if drawer.local:
            plain = torch.tensor(colour, device=models.device).view(1, 3, 1, 1).expand(1, 3, size.height, size.width)
            edges = drawer.encode(plain.contiguous())
            frame = rim_of(size.height, size.width, settings.border_width, models.device)
            rim = functional.avg_pool2d(frame[None, None], drawer.factor)
    if settings.likeness:
        near = [read_image(item.image, size) for item in request.image_prompts if item.weight > 0]
        likeness = torch.stack(near).mean(dim=0).to(models.device)
    return Goals(edges, rim, likeness)


def edges_loss(latent: Tensor, edges: Tensor, rim: Tensor) -> Tensor:
    """Mean squared difference of a latent `[1, C, h, w]` from that of a colour, over the cells of the rim; a scalar.

    Source: `EdgeLoss` of pixray (D. White), https://github.com/pixray/pixray. We differ in comparing latents instead of
    pixels: through the decoder's attention and norms a loss of the edge's pixels reaches every cell, and an optimiser
    that rescales gradients, such as Adam, then darkens the whole picture for a dark edge.
    """
    difference = (latent - edges).square().mean(dim=1, keepdim=True)
    return (difference * rim).sum() / rim.sum()


def likeness_loss(image: Tensor, goal: Tensor) -> Tensor:
    """Mean squared difference of an image from the one to come near to, both `[1, 3, H, W]`; a scalar.

    Source: the content loss in pixel space of Mahendran and Vedaldi, "Understanding Deep Image Representations by
    Inverting Them", arXiv 1412.0035. In the perceptors' features an image prompt does the same.
    """
    return functional.mse_loss(image, goal)
