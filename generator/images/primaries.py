"""Conversion to sRGB from primaries and a gamma. Imported where a picture needs it, since numpy takes its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def by_primaries(
    primaries: Sequence[float], target: Sequence[float], gamma: float | None
) -> Callable[[Image.Image], Image.Image] | None:
    """Build a conversion of pictures to RGB; None if the numbers make no sense.

    Args:
        primaries: white, red, green and blue as x and y.
        target: those of sRGB.
        gamma: exponent of the values; None for sRGB's own curve.
    """
    steps = np.arange(256) / 255
    curve = _srgb_light(steps) if gamma is None else steps ** (1 / gamma)
    try:
        source, wanted = _light(primaries), _light(target)
        cones_from, cones_to = (_BRADFORD @ matrix.sum(axis=1) for matrix in (source, wanted))
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones_to / cones_from) @ _BRADFORD @ source
        matrix = np.linalg.inv(wanted) @ adapted
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    if not np.abs(matrix).max() < 100:
        return None

    def convert(image: Image.Image) -> Image.Image:
        light = curve.astype(np.float32)[np.asarray(image.convert("RGB"))] @ matrix.T.astype(np.float32)
        return Image.fromarray((_srgb_values(light.clip(0, 1)) * 255).round().astype(np.uint8))

    return convert


def _light(primaries: Sequence[float]) -> NDArray[np.float64]:
    """Return the matrix from amounts of red, green and blue light to XYZ."""
    white, *colours = (
        np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    )
    matrix = np.stack(colours, axis=1)
    return np.asarray(matrix * np.linalg.solve(matrix, white), dtype=np.float64)


def _srgb_light(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _srgb_values(light: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
