"""Colour conversion to sRGB: ICC profiles, and the PNG chunks for gamma, primaries and code points.

The order is that of browsers: a PNG's cICP takes precedence over its profile, then sRGB, then gAMA and cHRM. A
description is ignored if it is broken, belongs to another kind of picture, or describes screens brighter than sRGB's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Conversion = Callable[[Image.Image], Image.Image]

_MODES = {"RGB": ("RGB", "L"), "GRAY": ("L",), "CMYK": ("CMYK",)}
"""Picture modes that a profile of a colour space can describe; a grey picture may have a profile for three colours."""
_INVISIBLE = 2
"""Largest difference, in steps of 255, that rounding causes between another description of sRGB and ours."""

_WHITE = (0.3127, 0.3290)
_PRIMARIES = {
    1: (*_WHITE, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    9: (*_WHITE, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*_WHITE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""White, red, green and blue as x and y, by their numbers in ITU-T H.273: sRGB, Rec. 2020, Display P3."""
_SRGB_GAMMA = 1 / 2.2
_GAMMAS = {4: 1 / 2.2, 8: 1.0, 13: _SRGB_GAMMA}
"""Supported transfer functions of H.273; a gAMA of 1/2.2 means sRGB's own curve, which has no single exponent."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_srgb(image: Image.Image, source: Image.Image, cicp: bytes | None = None) -> Image.Image:
    """Convert an L, LA, RGB, RGBA or CMYK picture to sRGB, in RGB or RGBA; transparency stays.

    `source` is the picture as Pillow read it from its file; `cicp` is the body of a PNG's chunk of that name.
    """
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    opaque = image if alpha is None else image.convert("L" if image.mode == "LA" else "RGB")
    conversion = _conversion(opaque.mode, source, cicp)
    if conversion is None or _changes_nothing(conversion, opaque.mode):
        opaque = opaque.convert("RGB")
    else:
        opaque = conversion(opaque)
    if alpha is not None:
        opaque.putalpha(alpha)
    return opaque


def _conversion(mode: str, source: Image.Image, cicp: bytes | None) -> Conversion | None:
    if cicp is not None and len(cicp) == 4 and cicp[0] in _PRIMARIES and cicp[1] in _GAMMAS and cicp[2:] == b"\0\1":
        return _by_primaries(_PRIMARIES[cicp[0]], _GAMMAS[cicp[1]])
    profile = source.info.get("icc_profile")
    if profile and (conversion := _by_profile(mode, profile)) is not None:
        return conversion
    if "srgb" in source.info:
        return None
    primaries, gamma = source.info.get("chromaticity", _PRIMARIES[1]), source.info.get("gamma", _SRGB_GAMMA)
    return _by_primaries(primaries, gamma)


def _by_profile(mode: str, profile: bytes) -> Conversion | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if mode not in _MODES.get(space, ()):
            return None
        taken = "RGB" if space == "RGB" else mode
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), taken, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # Pillow's errors for a broken profile
        return None
    return lambda image: transform.apply(image.convert(taken))


def _by_primaries(primaries: Sequence[float], gamma: float) -> Conversion | None:
    """Build the conversion from a gamma and white, red, green and blue as x and y; None if they make no sense."""
    if not 0.1 <= gamma <= 10:
        return None
    steps = np.arange(256) / 255
    curve = _srgb_light(steps) if math.isclose(gamma, _SRGB_GAMMA, abs_tol=0.0001) else steps ** (1 / gamma)
    try:
        source, target = _light(primaries), _light(_PRIMARIES[1])
        cones_from, cones_to = (_BRADFORD @ matrix.sum(axis=1) for matrix in (source, target))
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones_to / cones_from) @ _BRADFORD @ source
        matrix = np.linalg.inv(target) @ adapted
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


def _changes_nothing(conversion: Conversion, mode: str) -> bool:
    """Compare colours from the whole space, so that an sRGB picture is the same with its profile or without."""
    if mode == "CMYK":
        return False
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(samples).convert(mode)
    before, after = (np.asarray(each, dtype=np.int16) for each in (probe.convert("RGB"), conversion(probe)))
    return bool(np.abs(before - after).max() <= _INVISIBLE)
