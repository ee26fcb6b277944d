"""Between pictures and tensors. Runs on the thread that dreams."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from generator.images import files as images
from generator.settings import Size


def read_image(data: bytes, size: Size | None = None) -> Tensor:
    """A normalised picture file as `[1, 3, H, W] float32 in 0..1`, cut and resized to `size` where one is given.

    Raises:
        InvalidRequest: if the file cannot be read.
    """
    image = images.load(data)
    return torch.from_numpy(images.to_array(image if size is None else images.fit(image, size)))[None]


def to_image(tensor: Tensor) -> Image.Image:
    """The picture of `[1, 3, H, W]`, clamped to 0..1, in 8 bits; made on the tensor's device, where it is smaller."""
    levels = tensor.detach()[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())
