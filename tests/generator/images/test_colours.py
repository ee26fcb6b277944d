"""Colours as a file means them become sRGB: profiles and PNG's chunks, good ones and broken ones."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from generator.images import files as images

PROFILES = {
    "Adobe RGB": (2.19921875, (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "Display P3": (None, (0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
    "ProPhoto": (1.8, (0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)),
}
"""Gamma (none: sRGB's curve), and red, green and blue as XYZ under D50, as the published profiles have them."""
COLOUR = (201, 60, 50)
EXPECTED = {"Adobe RGB": (233, 57, 46), "Display P3": (219, 41, 39), "ProPhoto": (255, 0, 60)}


def number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 with these tags."""
    head = 132 + 12 * len(tags)
    table, bodies = b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", head + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    light = number(0.9642) + number(1.0) + number(0.8249)
    body = struct.pack(">I", len(tags)) + table + bodies
    start = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ") + bytes(12)
    return (start + b"acsp" + bytes(28) + light).ljust(128, b"\0") + body


def gamma_curve(gamma: float | None) -> bytes:
    if gamma is None:
        steps = np.linspace(0, 1, 1024)
        light = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
        return b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(light * 65535).round().astype(int))
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(name: str) -> bytes:
    gamma, *primaries = PROFILES[name]
    tags = {b"wtpt": b"XYZ " + bytes(4) + number(0.9642) + number(1) + number(0.8249)}
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(map(number, primary))
        tags[bytes([letter]) + b"TRC"] = gamma_curve(gamma)
    return profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    white = b"XYZ " + bytes(4) + number(0.9642) + number(1) + number(0.8249)
    return profile(b"GRAY", {b"wtpt": white, b"kTRC": gamma_curve(gamma)})


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def middle(data: bytes) -> tuple[int, ...]:
    image = Image.open(BytesIO(images.normalise(data)))
    return image.getpixel((image.width // 2, image.height // 2))


def near(found: tuple[int, ...], expected: tuple[int, ...], steps: int = 3) -> bool:
    return bool(np.abs(np.subtract(found, expected)).max() <= steps)


def with_chunks(*chunks: tuple[bytes, bytes], image: Image.Image | None = None) -> bytes:
    """A PNG file with more chunks behind its header."""
    plain = saved(image or Image.new("RGB", (8, 8), COLOUR), "PNG")
    more = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return plain[:33] + more + plain[33:]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(
    ("file_format", "options"), [("PNG", {}), ("JPEG", {"quality": 100}), ("WEBP", {"lossless": True})]
)
def test_pictures_with_a_profile_become_srgb(name: str, file_format: str, options: dict[str, object]) -> None:
    image = Image.new("RGB", (16, 16), COLOUR)
    data = saved(image, file_format, icc_profile=rgb_profile(name), **options)
    assert near(middle(data), EXPECTED[name])
    assert near(middle(saved(image, file_format, **options)), COLOUR)
    assert b"ICC" not in images.normalise(data)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparency_outlives_a_profile(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (*COLOUR, 128))
    if mode == "P":
        image = Image.new("P", (8, 8), 0)
        image.putpalette([*COLOUR, 0, 0, 0])
    options = {"transparency": bytes([128, 255])} if mode == "P" else {}
    found = middle(saved(image, "PNG", icc_profile=rgb_profile("Adobe RGB"), **options))
    assert near(found, tuple(round((value * 128 + 255 * 127) / 255) for value in EXPECTED["Adobe RGB"]))


def test_grey_pictures_have_profiles_too() -> None:
    expected = round(255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055))
    linear = grey_profile(1.0)
    for image in (Image.new("L", (8, 8), 100), Image.new("LA", (8, 8), (100, 255))):
        assert near(middle(saved(image, "PNG", icc_profile=linear)), (expected,) * 3, 2)
    sixteen = Image.fromarray(np.full((8, 8), 100 << 8, dtype=np.uint16))
    assert near(middle(saved(sixteen, "PNG", icc_profile=linear)), (expected,) * 3, 2)


def test_a_cmyk_profile_decides_what_inks_look_like() -> None:
    # One grid of two points for each ink: all paper is white, any ink is black.
    grid = bytes([255, 128, 128]) + bytes([0, 128, 128]) * 15
    identity = struct.pack(">9i", *(65536 if at in (0, 4, 8) else 0 for at in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + bytes(range(256)) * 4 + grid + bytes(range(256)) * 3
    white = b"XYZ " + bytes(4) + number(0.9642) + number(1) + number(0.8249)
    lab = profile(b"CMYK", {b"wtpt": white, b"A2B0": table})
    lab = lab[:12] + b"prtr" + lab[16:20] + b"Lab " + lab[24:]
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert near(middle(saved(cyan, "JPEG", quality=100, icc_profile=lab)), (0, 0, 0), 8)
    assert near(middle(saved(cyan, "JPEG", quality=100)), (0, 255, 255), 8)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"rubbish",
        rgb_profile("Adobe RGB")[:140],
        rgb_profile("Adobe RGB").replace(b"rXYZ", b"zzzz"),
        rgb_profile("Adobe RGB").replace(b"acsp", b"zzzz"),
        rgb_profile("Adobe RGB").replace(b"RGB ", b"CMYK"),
        grey_profile(1.0),
    ],
)
def test_a_broken_or_foreign_profile_counts_as_none(broken: bytes) -> None:
    assert middle(saved(Image.new("RGB", (8, 8), COLOUR), "PNG", icc_profile=broken)) == COLOUR


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_profile_never_refuses_a_picture(data: st.DataObject) -> None:
    damaged = bytearray(rgb_profile("Adobe RGB"))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert len(middle(saved(Image.new("RGB", (8, 8), COLOUR), "PNG", icc_profile=bytes(damaged)))) == 3


def test_a_profile_of_srgb_changes_no_byte() -> None:
    noise = Image.frombytes("RGB", (64, 64), np.random.default_rng(1).bytes(64 * 64 * 3))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = images.normalise(saved(noise, "PNG"))
    assert images.normalise(saved(noise, "PNG", icc_profile=srgb)) == plain
    gamma, chromaticity = (
        struct.pack(">I", 45455),
        struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    )
    assert images.normalise(with_chunks((b"gAMA", gamma), (b"cHRM", chromaticity), image=noise)) == plain
    assert images.normalise(with_chunks((b"cICP", b"\1\x0d\0\1"), image=noise)) == plain


def test_gamma_and_primaries_of_a_png_are_applied() -> None:
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    gamma = struct.pack(">I", 45470)
    assert near(middle(with_chunks((b"gAMA", gamma), (b"cHRM", adobe))), EXPECTED["Adobe RGB"])
    linear = with_chunks((b"gAMA", struct.pack(">I", 100_000)))
    assert near(middle(linear), tuple(round(255 * (1.055 * (v / 255) ** (1 / 2.4) - 0.055)) for v in COLOUR), 1)
    assert middle(with_chunks((b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000)))) == COLOUR


def test_code_points_of_a_png_go_before_its_profile() -> None:
    packed = b"x\0\0" + zlib.compress(rgb_profile("ProPhoto"))
    assert near(middle(with_chunks((b"cICP", b"\x0c\x0d\0\1"), (b"iCCP", packed))), EXPECTED["Display P3"])


@pytest.mark.parametrize(
    "chunk",
    [
        (b"gAMA", bytes(4)),
        (b"gAMA", b"\xff\xff\xff\xff"),
        (b"cHRM", bytes(32)),
        (b"cHRM", b"\xff" * 32),
        (b"cHRM", struct.pack(">8I", *[33333] * 8)),
        (b"cICP", b"\1"),
        (b"cICP", b"\x09\x10\0\1"),  # for screens brighter than sRGB's
        (b"cICP", b"\x0c\x0d\0\0"),
    ],
)
def test_chunks_that_make_no_sense_count_as_none(chunk: tuple[bytes, bytes]) -> None:
    assert middle(with_chunks(chunk)) == COLOUR
