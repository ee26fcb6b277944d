"""Conversion between pictures and tensors."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from generator.images import files as images
from generator.settings import Size


def read_image(data: bytes, size: Size | None = None) -> Tensor:
    """Load a normalised picture file as `[1, 3, H, W] float32 in 0..1`, cropped and resized to `size` if given.

    Raises:
        InvalidRequest: if the file cannot be read.
    """
    image = images.load(data)
    return torch.from_numpy(images.to_array(image if size is None else images.fit(image, size)))[None]


def to_image(tensor: Tensor) -> Image.Image:
    """Convert `[1, 3, H, W]` to an 8-bit picture, clamped to 0..1; rounded on the tensor's device to copy less."""
    levels = tensor.detach()[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())
