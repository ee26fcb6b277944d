"""Stored drawings: codes of things in several styles, each alone on white, and of scenes. Worker thread.

`drawings.safetensors` holds them compressed, one stream of zlib a drawing, so that only those that are painted are
unpacked. Older sets hold two styles of every thing as the tensor `grids` in `prior.safetensors`.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.vqgan import VQGAN

STYLES = ("3d", "noto", "flat", "line", "stencil", "clipart", "doodle")
"""Styles by the numbers that poses give them."""
_USUAL = tuple(STYLES.index(style) for style in ("3d", "noto", "clipart", "flat", "doodle", "line", "stencil"))
"""Styles in which a thing is painted if none is named, the first first."""
_COLOURED, _TURNS = frozenset(_USUAL[:4]), 2
_FORMAT = "1"


@dataclass(frozen=True)
class Frame:
    """Where a stored drawing stands in its picture: centre and longer side, as shares of the picture's side."""

    x: float = 0.5
    y: float = 0.52
    side: float = 0.74


class StoredDrawings:
    """Codes of drawings by thing and style.

    Args:
        rows: for each thing and each of STYLES, the number of its drawing; negative where there is none.
        streams: the compressed codes of each drawing.
        grid: codes along a side of a drawing.
        frame: where the drawings stand.
        grounds: for each scene, the numbers of the pictures of it.
    """

    def __init__(
        self,
        rows: Tensor,
        streams: Sequence[bytes],
        grid: int,
        frame: Frame,
        grounds: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self._rows, self._streams, self.grid, self.frame = rows, streams, grid, frame
        self._grounds = dict(grounds or {})

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def of_grids(cls, grids: Tensor) -> StoredDrawings:
        """Those of an older set: `grids [concepts, styles, grid, grid]`, in the first of STYLES."""
        rows = torch.full((len(grids), len(STYLES)), -1)
        rows[:, : grids.shape[1]] = torch.arange(grids.shape[0] * grids.shape[1]).view(grids.shape[:2])
        return cls(rows, [packed(codes, level=1) for codes in grids.flatten(0, 1)], grids.shape[-1], Frame())

    @classmethod
    def read(cls, path: Path) -> StoredDrawings:
        """Read a file written by `write`.

        Raises:
            CheckpointError: if the file is missing, damaged or of a later format.
        """
        try:
            with safetensors.safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about.get("format") != _FORMAT:
                    raise CheckpointError(f"{path} is of a format that this version does not know: update Reverie.")
                rows, ends, data = (file.get_tensor(name).clone() for name in ("rows", "ends", "data"))
            grid, styles = int(about["grid"]), about["styles"].split(",")
            frame = Frame(*(float(part) for part in about["frame"].split(",")))
            scenes = [part.split(":") for part in about.get("grounds", "").split(",") if part]
            grounds = {name: range(int(first), int(first) + int(count)) for name, first, count in scenes}
            columns = torch.full((len(rows), len(STYLES)), -1)
            for at, style in enumerate(styles):
                if style in STYLES:  # those of later versions are passed over
                    columns[:, STYLES.index(style)] = rows[:, at]
            whole, bounds = data.numpy().tobytes(), [0, *ends.tolist()]
            streams = [whole[begin:end] for begin, end in itertools.pairwise(bounds)]
        except FileNotFoundError as exc:
            raise CheckpointError(f"{path} is missing; get it again from where Reverie came from.") from exc
        except (SafetensorError, OSError, ValueError, KeyError, IndexError, TypeError) as exc:
            raise CheckpointError(f"{path} is damaged ({exc}); get it again from where Reverie came from.") from exc
        return cls(columns, streams, grid, frame, grounds)

    def style(self, concept: int, wanted: int) -> int:
        """The wanted style if the thing has a drawing in it, else the nearest that it has."""
        if self.has(concept, wanted):
            return wanted
        usual = self.usual(concept)
        return usual[wanted % len(usual)] if wanted < _TURNS else usual[0]

    def usual(self, concept: int) -> tuple[int, ...]:
        """The styles of the thing that pictures without a named style take turns with: coloured ones if there are."""
        there = [style for style in _USUAL if self.has(concept, style)]
        coloured = [style for style in there if style in _COLOURED]
        return tuple((coloured or there)[:_TURNS])

    def has(self, concept: int, style: int) -> bool:
        """True if the thing has a drawing in a style."""
        return bool(self._rows[concept, style] >= 0)

    def codes(self, concept: int, style: int) -> Tensor:
        """Codes `[grid, grid]` of a drawing.

        Raises:
            CheckpointError: if they are damaged.
        """
        return self._unpacked(int(self._rows[concept, style]))

    @torch.no_grad()
    def ground(self, scene: str, number: int, vqgan: VQGAN) -> Tensor | None:
        """A picture `[1, 3, h, w]` of a scene, for any number; None for a scene without one.

        Raises:
            CheckpointError: if its codes are damaged.
        """
        there = self._grounds.get(scene)
        if not there:
            return None
        codes = self._unpacked(there[number % len(there)])[None].to(vqgan.codebook.device)
        return vqgan.decode(vqgan.lookup(codes.clamp(max=len(vqgan.codebook) - 1))).clamp(0, 1).float()

    def _unpacked(self, number: int) -> Tensor:
        try:
            planes = np.frombuffer(zlib.decompress(self._streams[number]), np.uint8)
            high, low = planes.reshape(2, self.grid, self.grid).astype(np.int64)
        except (zlib.error, ValueError, IndexError) as exc:
            raise CheckpointError(f"The models' drawings are damaged ({exc}): install Reverie again.") from exc
        return torch.from_numpy(high * 256 + low)

    @torch.no_grad()
    def picture(self, concept: int, style: int, vqgan: VQGAN, margin_px: int = 0) -> Tensor:
        """The drawing on white, `[3, h, w]`, without more of its picture than its own square and a margin; on the CPU.

        Raises:
            CheckpointError: if its codes are damaged.
        """
        codes = self.codes(concept, style)[None].to(vqgan.codebook.device)
        image = vqgan.decode(vqgan.lookup(codes.clamp(max=len(vqgan.codebook) - 1)))[0].clamp(0, 1).float().cpu()
        side = image.shape[-1]
        edge = round(self.frame.side * side)
        left, top = (
            max(0, round((centre - self.frame.side / 2) * side) - margin_px) for centre in (self.frame.x, self.frame.y)
        )
        return image[:, top : top + edge + 2 * margin_px, left : left + edge + 2 * margin_px]


def packed(codes: Tensor, level: int = 9) -> bytes:
    """Codes `[grid, grid]` below 65,536, compressed: the high bytes of all, then the low bytes."""
    numbers = codes.to(torch.int64).numpy()
    return zlib.compress(np.stack([numbers // 256, numbers % 256]).astype(np.uint8).tobytes(), level)


def write(
    path: Path,
    rows: Tensor,
    grids: Sequence[Tensor],
    frame: Frame,
    grounds: Mapping[str, Sequence[Tensor]] | None = None,
) -> None:
    """Write drawings: for each thing and each of STYLES the number of its grid in `rows`, negative for none.

    `grounds` are the pictures of each scene.
    """
    streams, places = [packed(codes) for codes in grids], []
    for scene, pictures in (grounds or {}).items():
        places.append(f"{scene}:{len(streams)}:{len(pictures)}")
        streams += [packed(codes) for codes in pictures]
    tensors = {
        "rows": rows.to(torch.int32).contiguous(),
        "ends": torch.tensor(np.cumsum([len(stream) for stream in streams])),
        "data": torch.frombuffer(bytearray(b"".join(streams)), dtype=torch.uint8),
    }
    about = {
        "format": _FORMAT,
        "grid": str(grids[0].shape[-1]),
        "styles": ",".join(STYLES),
        "frame": f"{frame.x},{frame.y},{frame.side}",
        "grounds": ",".join(places),
    }
    safetensors.torch.save_file(tensors, path, about)
