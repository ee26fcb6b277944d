"""Untrusted pictures: accepted formats, normalisation, and rejection before decoding."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generator.errors import InvalidRequest
from generator.images import files as images
from generator.settings import Size

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def corners() -> Image.Image:
    """48x32, a colour in each corner: red, green / blue, white."""
    small = Image.new("RGB", (2, 2))
    small.putdata([RED, GREEN, BLUE, WHITE])
    return small.resize((48, 32), Image.Resampling.NEAREST)


def plain(data: bytes) -> Image.Image:
    """Expected result of `normalise`, from Pillow alone."""
    image = Image.open(BytesIO(images.normalise(data)), formats=("PNG",))
    assert image.mode == "RGB"
    assert not image.info
    return image


def png(size: tuple[int, int], rows: bytes, depth: int = 8, colours: int = 2, key: bytes = b"") -> bytes:
    """A PNG file of these rows, perhaps with a transparent colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colours, 0, 0, 0))
    transparent = chunk(b"tRNS", key) if key else b""
    return b"\x89PNG\r\n\x1a\n" + header + transparent + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds ten pixels."""
    return png((width, height), bytes(30))


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "JPEG", "WEBP"])
def test_all_four_types_are_read(file_format: str) -> None:
    read = plain(saved(corners(), file_format)).convert("RGB")
    for at, colour in (((5, 5), RED), ((40, 5), GREEN), ((5, 25), BLUE), ((40, 25), WHITE)):
        assert np.abs(np.subtract(read.getpixel(at), colour)).max() < 30


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = plain(saved(corners(), file_format, exif=exif))
    turned = orientation >= 5
    assert upright.size == ((32, 48) if turned else (48, 32))
    seen = [upright.getpixel((x * (upright.width - 1), y * (upright.height - 1))) for y in (0, 1) for x in (0, 1)]
    original = [RED, GREEN, BLUE, WHITE]
    order = {1: "0123", 2: "1032", 3: "3210", 4: "2301", 5: "0213", 6: "2031", 7: "3120", 8: "1302"}[orientation]
    for colour, place in zip(seen, order, strict=True):
        assert np.abs(np.subtract(colour, original[int(place)])).max() < 40


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_is_ignored() -> None:
    assert plain(saved(corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\0\0")).size == (48, 32)


def test_transparency_is_laid_over_white() -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    for file_format in ("PNG", "WEBP"):
        assert plain(saved(half, file_format, lossless=True)).getpixel((4, 4)) == (127, 127, 127)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    for file_format in ("PNG", "GIF"):
        assert plain(saved(palette, file_format)).getpixel((4, 4)) == RED
        assert plain(saved(palette, file_format, transparency=1)).getpixel((4, 4)) == WHITE
    assert plain(saved(Image.new("LA", (8, 8), (0, 0)), "PNG")).getpixel((4, 4)) == WHITE
    assert plain(saved(Image.new("L", (8, 8), 7), "PNG", transparency=7)).getpixel((4, 4)) == WHITE


@pytest.mark.parametrize(
    ("depth", "row", "key"),
    [(1, b"\x50", 1), (2, b"\x1b", 2), (4, b"\x01\x23", 2), (8, bytes(range(4)), 2), (16, bytes(range(8)), 0x0405)],
)
def test_a_transparent_grey_is_found_at_every_depth(depth: int, row: bytes, key: int) -> None:
    keyed = plain(png((4, 1), b"\0" + row, depth, 0, struct.pack(">H", key)))
    opaque = plain(png((4, 1), b"\0" + row, depth, 0))
    transparent = {1: (1, 3)}.get(depth, (2,))
    for at in range(4):
        assert keyed.getpixel((at, 0)) == (WHITE if at in transparent else opaque.getpixel((at, 0)))


@pytest.mark.parametrize("form", [">6B", ">6H"])
def test_a_transparent_colour_is_found_at_every_depth(form: str) -> None:
    scale = 257 if form == ">6H" else 1
    row = struct.pack(form, *(value * scale for value in (10, 20, 30, 10, 20, 31)))
    key = struct.pack(">3H", *(value * scale for value in (10, 20, 30)))
    picture = plain(png((2, 1), b"\0" + row, 16 if scale > 1 else 8, 2, key))
    assert list(picture.get_flattened_data()) == [WHITE, (10, 20, 31)]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_turn_in_xmp_alone_turns_nothing(file_format: str) -> None:
    packet = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    options = {"pnginfo": info} if file_format == "PNG" else {"xmp": packet}
    assert plain(saved(corners(), file_format, **options)).size == (48, 32)


def test_sixteen_bits_become_eight_without_clipping() -> None:
    grey = Image.fromarray(np.array([[0, 255, 257, 32768, 65535]], dtype=np.uint16))
    assert [value[0] for value in plain(saved(grey, "PNG")).get_flattened_data()] == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    file_format = "JPEG" if mode == "CMYK" else "PNG"
    assert plain(saved(Image.new("RGB", (8, 8), "white").convert(mode), file_format)).getpixel((4, 4)) == WHITE


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    first = plain(saved(frames[0], file_format, save_all=True, append_images=frames[1:])).getpixel((4, 4))
    assert np.abs(np.subtract(first, RED)).max() < 5


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((1, 1), (1, 1)),
        ((1024, 1024), (1024, 1024)),
        ((1500, 1000), (1254, 836)),
        ((4000, 20), (2048, 10)),
        ((5000, 1), (2048, 1)),
    ],
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_large_pictures_are_made_smaller_in_their_shape(
    size: tuple[int, int], kept: tuple[int, int], file_format: str
) -> None:
    assert plain(saved(Image.new("RGB", size, "teal"), file_format)).size == kept


def test_metadata_is_dropped_and_bytes_are_reproducible() -> None:
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    data = saved(corners(), "PNG", exif=exif, dpi=(300, 300))
    normal = images.normalise(data)
    assert b"secret" not in normal
    assert images.normalise(data) == normal
    images.check_normalised(normal)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.randoms())
def test_a_normalised_picture_stays_as_it_is(width: int, height: int, random: object) -> None:
    pixels = bytes(random.randrange(256) for _ in range(width * height * 3))  # type: ignore[attr-defined]
    once = images.normalise(saved(Image.frombytes("RGB", (width, height), pixels), "PNG"))
    assert images.load(once).tobytes() == pixels
    assert images.normalise(once) == once


@settings(max_examples=80)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.data())
def test_damaged_files_are_read_or_refused_with_a_sentence(file_format: str, data: st.DataObject) -> None:
    damaged = bytearray(saved(corners(), file_format))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for candidate in (bytes(damaged), bytes(damaged[:cut])):
        try:
            images.normalise(candidate)
        except InvalidRequest as error:
            assert error.field == "image"
            assert str(error).endswith(".")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_half_a_file_is_refused(file_format: str) -> None:
    data = saved(Image.effect_noise((64, 64), 50).convert("RGB"), file_format)
    with pytest.raises(InvalidRequest, match="picture is broken or incomplete; save it anew"):
        images.normalise(data[: len(data) // 2])


@pytest.mark.parametrize("side", [10_000, 50_000, 2**31 - 1])
def test_bombs_are_refused_before_they_are_decoded(side: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"{side}x{side} pixels; at most 50 megapixels"):
        images.normalise(png_header(side, side))


def test_a_webp_canvas_is_checked_before_it_is_allocated() -> None:
    canvas = (12_000 - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + canvas
    with pytest.raises(InvalidRequest, match="12000x12000 pixels"):
        images.normalise(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_a_picture_without_pixels_is_refused() -> None:
    for size in ((0, 0), (0, 9), (9, 0)):
        with pytest.raises(InvalidRequest, match=r"The picture has no pixels \(\dx\d\)\."):
            images.normalise(png_header(*size))


def test_gif_and_jpeg_bombs_are_refused() -> None:
    gif = bytearray(saved(corners(), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    jpeg = bytearray(saved(corners(), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    for data in (gif, jpeg):
        with pytest.raises(InvalidRequest, match="60000x60000 pixels"):
            images.normalise(bytes(data))


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(corners(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(InvalidRequest, match="take for ever"):
        images.normalise(data[:-2] + scan * 1000 + data[-2:])


def test_a_jpeg_of_scans_behind_segments_that_hide_them_is_refused() -> None:
    data = saved(corners(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    for between in (b"\xff\xfe\0\4hi", b"\xff\xff\xff", b"rubbish", b"\xff\xd0", b"\xff\xe1\0\0"):
        with pytest.raises(InvalidRequest, match="take for ever"):
            images.normalise(data[:-2] + (between + scan) * 70 + data[-2:])


def test_bytes_that_a_jpeg_decoder_never_reads_are_no_scans() -> None:
    data = saved(corners(), "JPEG")
    expected = images.normalise(data)
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x0c" * 2_000
    assert images.normalise(data + film) == expected  # a motion photo
    segment = b"\xff\xe5" + struct.pack(">H", 4_002) + b"\xff\xda" * 2_000
    assert images.normalise(data[:2] + segment + data[2:]) == expected  # a maker's notes


def test_a_jpeg_of_many_restarts_is_read() -> None:
    noise = Image.effect_noise((1_024, 1_024), 80).convert("RGB")
    data = saved(noise, "JPEG", restart_marker_blocks=1, subsampling=0)
    assert data.count(b"\xff\xd1") > 1_000
    assert plain(data).size == (1_024, 1_024)


def test_a_polyglot_is_the_picture_that_its_first_bytes_say() -> None:
    data = saved(corners(), "PNG") + b"<html><script>alert(1)</script>" + saved(corners(), "GIF")
    normal = images.normalise(data)
    assert b"script" not in normal
    assert plain(data).size == (48, 32)


def test_recipes_may_hold_only_what_we_write() -> None:
    normal = images.normalise(saved(corners(), "PNG"))
    grey = saved(Image.new("L", (8, 8)), "PNG")
    with_text = normal[:33] + b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt")) + normal[33:]
    large = saved(Image.new("RGB", (1100, 1000)), "PNG")
    for bad in (b"", b"GIF89a", normal + b"x", normal[:-13], grey, with_text, large, png_header(0, 0)):
        with pytest.raises(InvalidRequest, match=r"cannot have written|no pixels"):
            images.check_normalised(bad)


def test_resizing_crops_to_the_middle_without_distortion() -> None:
    wide = Image.new("RGB", (300, 100), BLUE)
    wide.paste(RED, (100, 0, 200, 100))
    square = images.fit(wide, Size(64, 64))
    assert square.size == (64, 64)
    assert images.to_array(square)[0].min() > 0.9
    assert images.fit(wide, Size(96, 32)).size == (96, 32)


def test_a_picture_becomes_an_array() -> None:
    array = images.to_array(corners())
    assert (array.shape, array.dtype) == ((3, 32, 48), np.float32)
    assert array[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("file_format", images.FORMATS)
def test_files_are_written_in_the_format_asked_for_and_repeat(file_format: str) -> None:
    data = images.encode(corners(), file_format)
    assert data == images.encode(corners(), file_format)
    assert Image.open(BytesIO(data)).format == file_format.upper()
    if file_format == "png":
        assert Image.open(BytesIO(data)).tobytes() == corners().tobytes()


def test_an_unknown_format_gets_a_sentence() -> None:
    with pytest.raises(InvalidRequest, match="format cannot be 'bmp'; choose one of png, jpeg, webp"):
        images.encode(corners(), "bmp")


def test_the_file_name_determines_the_format() -> None:
    names = ("a.png", "a.JPG", "a.jpeg", "a.webp", "a.gif", "a")
    assert [images.format_of(Path(name)) for name in names] == ["png", "jpeg", "jpeg", "webp", None, None]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "picture.png"
    images.write_file(target, b"old")
    images.write_file(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert target.read_bytes() == b"new"
    folder = tmp_path / "folder"
    folder.mkdir()
    for impossible in (folder, tmp_path / "missing" / "picture.png"):
        with pytest.raises(OSError):
            images.write_file(impossible, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "picture.png"]
