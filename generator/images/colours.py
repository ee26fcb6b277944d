"""Colour conversion to sRGB: ICC profiles, and the PNG chunks for gamma, primaries and code points.

The order is that of browsers: a PNG's cICP takes precedence over its profile, then sRGB, then gAMA and cHRM. A
description is ignored if it is broken, belongs to another kind of picture, or describes screens brighter than sRGB's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import product

from PIL import Image, ImageChops

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
    if "srgb" in source.info or not {"chromaticity", "gamma"} & source.info.keys():
        return None
    primaries, gamma = source.info.get("chromaticity", _PRIMARIES[1]), source.info.get("gamma", _SRGB_GAMMA)
    return _by_primaries(primaries, gamma)


def _by_profile(mode: str, profile: bytes) -> Conversion | None:
    from PIL import ImageCms

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
    from generator.images.primaries import by_primaries

    own_curve = math.isclose(gamma, _SRGB_GAMMA, abs_tol=0.0001)
    return by_primaries(primaries, _PRIMARIES[1], None if own_curve else gamma)


def _changes_nothing(conversion: Conversion, mode: str) -> bool:
    """Compare colours from the whole space, so that an sRGB picture is the same with its profile or without."""
    if mode == "CMYK":
        return False
    steps = [max(0, 32 * step - 1) for step in range(9)]
    samples = bytes(value for sample in product(steps, repeat=3) for value in sample)
    probe = Image.frombytes("RGB", (len(samples) // 3, 1), samples).convert(mode)
    changes = ImageChops.difference(probe.convert("RGB"), conversion(probe)).histogram()
    return max(level % 256 for level, count in enumerate(changes) if count) <= _INVISIBLE
