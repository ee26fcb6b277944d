"""Stored drawings: pictures of things in several styles, cut out, and of scenes. No model; any thread.

`drawings.safetensors` holds a WebP of each: with transparency; of drawings in ink a lossless one without, in which
black is ink, grey is paper and white is outside.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.drawings.pixels import Cut, trimmed

STYLES = ("3d", "noto", "flat", "line", "stencil", "clipart", "doodle")
"""Styles by the numbers that poses give them."""
_USUAL = tuple(STYLES.index(style) for style in ("3d", "noto", "clipart", "flat", "doodle", "line", "stencil"))
"""Styles in which a thing is painted if none is named, the first first."""
_COLOURED = frozenset(_USUAL[:4])
_FORMAT = "2"
_EARLIER = "1"
_INK, _PAPER, _OUTSIDE = 0, 128, 255
_QUALITY, _ALPHA_QUALITY, _EFFORT = 45, 20, 6
"""Of the WebP files: they take 2 to 4 kB each, and the picture is encoded by the VQGAN afterwards."""


class StoredDrawings:
    """Drawings by thing and style.

    Args:
        rows: for each thing and each of STYLES, the number of its drawing; negative where there is none.
        streams: the file of each drawing.
        ink: styles in ink.
        grounds: for each scene, the numbers of the pictures of it.
    """

    def __init__(
        self,
        rows: Tensor,
        streams: Sequence[bytes],
        ink: Collection[int] = (),
        grounds: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self._rows, self._streams, self._ink, self._grounds = rows, streams, frozenset(ink), dict(grounds or {})

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def read(cls, path: Path) -> StoredDrawings:
        """Read a file written by `write`.

        Raises:
            CheckpointError: if the file is missing, damaged or of another format.
        """
        try:
            with safetensors.safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about.get("format") == _EARLIER:
                    raise CheckpointError(
                        f"{path} was made for an earlier version of Reverie: make it anew with python -m "
                        "training.export --drawings, or install Reverie again."
                    )
                if about.get("format") != _FORMAT:
                    raise CheckpointError(f"{path} is of a format that this version does not know: update Reverie.")
                rows, ends, data = (file.get_tensor(name).clone() for name in ("rows", "ends", "data"))
            styles = about["styles"].split(",")
            scenes = [part.split(":") for part in about.get("grounds", "").split(",") if part]
            grounds = {name: range(int(first), int(first) + int(count)) for name, first, count in scenes}
            columns = torch.full((len(rows), len(STYLES)), -1)
            for at, style in enumerate(styles):
                if style in STYLES:  # those of later versions are passed over
                    columns[:, STYLES.index(style)] = rows[:, at]
            ink = [STYLES.index(style) for style in about["ink"].split(",") if style in STYLES]
            whole, bounds = data.numpy().tobytes(), [0, *ends.tolist()]
            streams = [whole[begin:end] for begin, end in itertools.pairwise(bounds)]
        except FileNotFoundError as exc:
            raise CheckpointError(f"{path} is missing; get it again from where Reverie came from.") from exc
        except (SafetensorError, OSError, ValueError, KeyError, IndexError, TypeError) as exc:
            raise CheckpointError(f"{path} is damaged ({exc}); get it again from where Reverie came from.") from exc
        return cls(columns, streams, ink, grounds)

    def style(self, concept: int, wanted: int) -> int:
        """The wanted style if the thing has a drawing in it, else the first that it has."""
        return wanted if self.has(concept, wanted) else self.usual(concept)[0]

    def usual(self, concept: int) -> tuple[int, ...]:
        """The styles of the thing that pictures without a named style take turns with: coloured ones if there are."""
        there = [style for style in _USUAL if self.has(concept, style)]
        return tuple([style for style in there if style in _COLOURED] or there)

    def has(self, concept: int, style: int) -> bool:
        """True if the thing has a drawing in a style."""
        return bool(self._rows[concept, style] >= 0)

    def cut(self, concept: int, style: int) -> Cut:
        """A drawing cut out.

        Raises:
            CheckpointError: if it is damaged.
        """
        image = self._opened(int(self._rows[concept, style]))
        if style in self._ink:
            level = _tensor(image.convert("L")) * 255
            return trimmed(
                (level > (_INK + _PAPER) / 2).float().expand(3, -1, -1), (level < (_PAPER + _OUTSIDE) / 2).float()
            )
        pixels = _tensor(image.convert("RGBA"))
        return trimmed(pixels[:3], pixels[3:])

    def ground(self, scene: str, number: int) -> Tensor | None:
        """A picture `[1, 3, h, w] in 0..1` of a scene, for any number; None for a scene without one.

        Raises:
            CheckpointError: if it is damaged.
        """
        there = self._grounds.get(scene)
        return _tensor(self._opened(there[number % len(there)]).convert("RGB"))[None] if there else None

    def _opened(self, number: int) -> Image.Image:
        try:
            image = Image.open(io.BytesIO(self._streams[number]), formats=("WEBP",))
            image.load()
        except (OSError, ValueError, IndexError, SyntaxError) as exc:
            raise CheckpointError(f"The models' drawings are damaged ({exc}): install Reverie again.") from exc
        return image


def _tensor(image: Image.Image) -> Tensor:
    """An image as `[C, h, w] float32 in 0..1`."""
    pixels = np.asarray(image, np.float32) / 255
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0).copy())


def packed(image: Image.Image) -> bytes:
    """File of a drawing in colour (RGBA) or of a scene (RGB)."""
    return _webp(image, quality=_QUALITY, alpha_quality=_ALPHA_QUALITY)


def packed_ink(image: Image.Image) -> bytes:
    """File of a drawing in ink (RGBA): half-transparent is outside, half-dark is paper."""
    levels = np.where(np.asarray(image.convert("L")) < _PAPER, _INK, _PAPER).astype(np.uint8)
    levels[np.asarray(image.getchannel("A")) < _PAPER] = _OUTSIDE
    return _webp(Image.fromarray(np.dstack([levels] * 3)), lossless=True, quality=100)


def _webp(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", method=_EFFORT, **options)
    return file.getvalue()


def write(
    path: Path,
    rows: Tensor,
    streams: Sequence[bytes],
    ink: Collection[str] = (),
    grounds: Mapping[str, Sequence[bytes]] | None = None,
) -> None:
    """Write drawings: for each thing and each of STYLES the number of its file in `rows`, negative for none.

    `ink` names the styles whose files are of `packed_ink`; `grounds` are files of pictures of each scene.
    """
    whole, places = list(streams), []
    for scene, pictures in (grounds or {}).items():
        places.append(f"{scene}:{len(whole)}:{len(pictures)}")
        whole += pictures
    tensors = {
        "rows": rows.to(torch.int32).contiguous(),
        "ends": torch.tensor(np.cumsum([len(stream) for stream in whole])),
        "data": torch.frombuffer(bytearray(b"".join(whole)), dtype=torch.uint8),
    }
    about = {"format": _FORMAT, "styles": ",".join(STYLES), "ink": ",".join(ink), "grounds": ",".join(places)}
    safetensors.torch.save_file(tensors, path, about)
