"""Upscalers: networks of the Real-ESRGAN kind, which enlarge a finished picture. The only module that imports spandrel.

Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", arXiv
2107.10833. The networks are spandrel's: ESRGAN (as in RealESRGAN_x4plus) and Compact (as in realesr-general-x4v3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from PIL import Image
from torch import Tensor

from generator.errors import OutOfMemory
from generator.images.files import to_array
from generator.images.tensors import to_image
from generator.messages import Message
from generator.runtime.device import run_or_oom

TILE_PX, LEAST_TILE_PX = 192, 96
"""Side of the squares that the network sees at once; halved down to the second number if memory runs out."""
OVERLAP_PX = 48
"""Overlap of two squares: the outer third of each, where the network misses its surroundings, is not used, and the
middle third of one turns gradually into that of the other.
"""
SCALES = (2, 3, 4)
ARCHITECTURES = ("ESRGAN", "Compact")


class UnknownNetwork(ValueError):
    """The weights are of no upscaler that Reverie runs; the message continues a sentence about their file."""


def build(tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401 - spandrel has no types
    """Build a network from its state dict, whose names and shapes tell the architecture; on the tensors' device.

    Raises:
        UnknownNetwork: if it is another architecture, or enlarges no RGB pictures.
    """
    import spandrel

    state = dict(tensors)
    found = next((each for each in spandrel.MAIN_REGISTRY.architectures("detection") if each.detect(state)), None)
    if found is None or found.architecture.id not in ARCHITECTURES:
        name = "no network that spandrel knows" if found is None else f"a {found.architecture.name}"
        raise UnknownNetwork(f"is {name}; give an upscaler of the Real-ESRGAN kind ({' or '.join(ARCHITECTURES)}).")
    device = next(iter(state.values())).device
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):  # its random initialisation is not used
            network = found.architecture.load(state)
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError, AssertionError, ZeroDivisionError) as exc:
        raise UnknownNetwork(f"is no whole upscaler ({' '.join(str(exc).split())[:120]}); get it again.") from exc
    if (network.input_channels, network.output_channels) != (3, 3):
        raise UnknownNetwork("is an upscaler for pictures that are not RGB; give one for RGB.")
    if network.scale not in SCALES:
        known = ", ".join(map(str, SCALES[:-1]))
        raise UnknownNetwork(f"enlarges by {network.scale}; give an upscaler that enlarges by {known} or {SCALES[-1]}.")
    return network


class Upscaler:
    """A frozen upscaler.

    Attributes:
        name: as in settings and recipes.
        scale: factor of width and height.
        files: SHA-256 of its file by name.
    """

    def __init__(
        self, name: str, tensors: Mapping[str, Tensor], device: torch.device, files: Mapping[str, str]
    ) -> None:
        """Build it from its state dict.

        Raises:
            UnknownNetwork: as `build`.
        """
        self.name, self.files = name, files
        network = build({key: value.to(device, torch.float32) for key, value in tensors.items()})
        self.scale: int = network.scale
        self._network, self._device = network.eval(), device
        self._network.model.requires_grad_(False)

    def enlarge(
        self, picture: Image.Image, tiled: str = "", exact: bool = False, between: Callable[[], None] = lambda: None
    ) -> Image.Image:
        """Enlarge a picture, square by square; `between` is called after each.

        Along the axes `tiled` (some of the letters of `xy`) the picture continues itself. The squares depend on the
        picture's size alone, so the same picture gives the same bytes, except where memory is short.

        Raises:
            OutOfMemory: if not even the smallest square fits.
        """
        image = torch.from_numpy(to_array(picture))[None]
        height, width = image.shape[2:]
        above = min(OVERLAP_PX, height) if "y" in tiled else 0
        beside = min(OVERLAP_PX, width) if "x" in tiled else 0
        padded = functional.pad(image, (beside, beside, above, above), mode="circular")
        tile_px, found = TILE_PX, list[Tensor]()

        def work() -> None:
            found.append(self._joined(padded, tile_px, between))

        while not run_or_oom(self._device, exact, work):
            tile_px //= 2
            if tile_px < LEAST_TILE_PX:
                text = "The upscaler {name} does not fit in memory, not even for a small part of the picture."
                raise OutOfMemory(Message(text, name=self.name))
        rows = slice(above * self.scale, (above + height) * self.scale)
        columns = slice(beside * self.scale, (beside + width) * self.scale)
        return to_image(found[0][:, :, rows, columns])

    @torch.inference_mode()
    def _joined(self, image: Tensor, tile_px: int, between: Callable[[], None]) -> Tensor:
        """Enlarge `[1, 3, H, W]` on the host, in squares of at most `tile_px` whose overlaps are blended."""
        scale, (height, width) = self.scale, image.shape[2:]
        total = torch.zeros(1, 3, height * scale, width * scale)
        shares = torch.zeros(height * scale, width * scale)
        for top, rows in _spans(height, tile_px):
            for left, columns in _spans(width, tile_px):
                part = image[:, :, top : top + rows, left : left + columns].to(self._device)
                large = self._network(part).float().cpu()
                share = torch.outer(_shares(top, rows, height, scale), _shares(left, columns, width, scale))
                at = slice(top * scale, (top + rows) * scale), slice(left * scale, (left + columns) * scale)
                total[0, :, *at] += large[0] * share
                shares[at] += share
                between()
        return total / shares


def _spans(length: int, tile_px: int) -> Sequence[tuple[int, int]]:
    """First pixel and length of evenly spread spans that cover a side and overlap by OVERLAP_PX at least."""
    if length <= tile_px:
        return [(0, length)]
    count = math.ceil((length - OVERLAP_PX) / (tile_px - OVERLAP_PX))
    # Networks that fold 2 x 2 pixels into channels see all squares alike if those begin at even pixels.
    firsts = [round(index * (length - tile_px) / (count - 1)) // 2 * 2 for index in range(count - 1)]
    return [(first, tile_px) for first in (*firsts, length - tile_px)]


def _shares(first: int, length: int, whole: int, scale: int) -> Tensor:
    """Weight of each enlarged pixel of a span: 1 inside, and a ramp to 0 at each end that is not the picture's own."""
    place = (torch.arange(length * scale) + 0.5) / scale
    third = OVERLAP_PX / 3
    shares = torch.ones(length * scale)
    if first > 0:
        shares = shares * ((place - third) / third).clamp(0, 1)
    if first + length < whole:
        shares = shares * ((length - place - third) / third).clamp(0, 1)
    return shares
