"""Frozen VQGAN decoder: `taming.modules.diffusionmodules.model.Decoder.forward` in lean layers.

The modules with the weights are taming's own. Results differ only by rounding
(`tests/generator/models/test_decoder.py`).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as functional
from torch import Tensor, nn

from generator.models.layers import attend, convolve, layout, norm, norm_swish


def decode(network: Any, features: Tensor, tiled: str = "") -> Tensor:  # noqa: ANN401 - taming has no types
    """Decode features `[N, C, h, w]` to images `[N, 3, H, W]`, about -1..1.

    Along the axes in `tiled`, letters of `xy`, the images continue themselves: convolutions see the opposite edge.
    Source: the circular padding of stable-diffusion-webui's `tiling` (AUTOMATIC1111, issue 693); here for each axis.
    """
    middle = network.mid
    features = features.contiguous(memory_format=layout(network.conv_in.weight))
    images = _block(middle.block_1, convolve(features, network.conv_in, tiled), tiled)
    images = _block(middle.block_2, _attention(middle.attn_1, images), tiled)
    for level in reversed(network.up):
        for number, block in enumerate(level.block):
            images = _block(block, images, tiled)
            if len(level.attn):
                images = _attention(level.attn[number], images)
        if level is not network.up[0]:
            images = _upsampled(level.upsample, images, tiled)
    return convolve(norm_swish(images, network.norm_out), network.conv_out, tiled).contiguous()


def _block(block: Any, images: Tensor, tiled: str) -> Tensor:  # noqa: ANN401
    change = convolve(norm_swish(images, block.norm1), block.conv1, tiled)
    change = convolve(norm_swish(change, block.norm2), block.conv2, tiled)
    if block.in_channels != block.out_channels:
        images = convolve(images, block.conv_shortcut if block.use_conv_shortcut else block.nin_shortcut, tiled)
    return change.add_(images)  # a convolution's result is not kept for the backward pass


def _attention(layer: Any, images: Tensor) -> Tensor:  # noqa: ANN401
    """Single-headed attention among all positions; nothing in a network without attention."""
    if isinstance(layer, nn.Identity):
        return images
    normal = norm(images, layer.norm)
    query, key, value = (
        convolve(normal, part).flatten(2).transpose(1, 2)[:, None] for part in (layer.q, layer.k, layer.v)
    )
    mixed = attend(query, key, value)[:, 0].transpose(1, 2).reshape(images.shape)
    return images + convolve(mixed, layer.proj_out)


def _upsampled(layer: Any, images: Tensor, tiled: str) -> Tensor:  # noqa: ANN401
    double = functional.interpolate(images, scale_factor=2.0, mode="nearest")
    return convolve(double, layer.conv, tiled) if layer.with_conv else double
