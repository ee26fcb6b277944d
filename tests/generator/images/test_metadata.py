"""Text inside PNG, JPEG and WebP files: written, read, and read defensively."""

import struct
import zlib
from io import BytesIO
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from generator.errors import InvalidRequest
from generator.images import files as images
from generator.images import xmp
from generator.images.metadata import KEYWORD, MAX_TEXT_BYTES, find_text, xmp_packet

PICTURE = Image.new("RGB", (16, 8), "teal")
FILES = {file_format: images.encode(PICTURE, file_format, '{"a":"<&>\'"}') for file_format in images.FORMATS}
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<>&'"), max_size=200)


def png_with(kind: bytes, body: bytes) -> bytes:
    """A PNG file with one more chunk after the header."""
    plain = images.encode(PICTURE, "png")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return plain[:33] + chunk + plain[33:]


@pytest.mark.parametrize("file_format", images.FORMATS)
@given(ascii_text)
@example("x" * 200_000)
@settings(max_examples=20)
def test_a_text_comes_back_and_the_picture_stays(file_format: str, text: str) -> None:
    data = images.encode(PICTURE, file_format, text)
    assert find_text(data) == text
    decoded = Image.open(BytesIO(data))
    decoded.load()
    assert decoded.tobytes() == Image.open(BytesIO(images.encode(PICTURE, file_format))).tobytes()


@pytest.mark.parametrize("file_format", images.FORMATS)
def test_a_picture_without_text_has_none(file_format: str) -> None:
    assert find_text(images.encode(PICTURE, file_format)) is None


def test_marks_of_xml_stay_the_same_json() -> None:
    assert find_text(FILES["png"]) == """{"a":"<&>'"}"""
    for file_format in ("jpeg", "webp"):
        assert find_text(FILES[file_format]) == r'{"a":"\u003c\u0026\u003e\u0027"}'


def test_other_programs_can_read_it() -> None:
    assert Image.open(BytesIO(FILES["png"])).text == {KEYWORD: """{"a":"<&>'"}"""}
    for file_format in ("jpeg", "webp"):
        packet = ElementTree.fromstring(Image.open(BytesIO(FILES[file_format])).info["xmp"])  # noqa: S314 - our own
        assert packet.findtext(".//{urn:reverie:1}recipe") == r'{"a":"\u003c\u0026\u003e\u0027"}'


def test_entities_that_another_program_wrote_are_understood() -> None:
    assert find_text(FILES["webp"].replace(rb"\u003c", b"&#x3c;")) == r'{"a":"<\u0026\u003e\u0027"}'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"tEXt", KEYWORD.encode() + b"\0hello"),
        (b"zTXt", KEYWORD.encode() + b"\0\0" + zlib.compress(b"hello")),
        (b"iTXt", KEYWORD.encode() + b"\0\0\0en\0\0hello"),
        (b"iTXt", KEYWORD.encode() + b"\0\1\0\0title\0" + zlib.compress(b"hello")),
    ],
)
def test_every_kind_of_png_text_is_read(kind: bytes, body: bytes) -> None:
    assert find_text(png_with(kind, body)) == "hello"


PACKET = xmp_packet("hello")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKET)),
        (b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(PACKET)),
        (b"tEXt", b"XML:com.adobe.xmp\0" + PACKET),
    ],
)
def test_xmp_in_a_png_is_read(kind: bytes, body: bytes) -> None:
    assert find_text(png_with(kind, body)) == "hello"


def test_a_pngs_own_chunk_goes_before_its_xmp() -> None:
    xmp_first = png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET)
    own = images.encode(PICTURE, "png", "own")
    assert find_text(xmp_first[:-12] + own[33 : own.index(b"IDAT") - 4] + xmp_first[-12:]) == "own"


def segment(body: bytes) -> bytes:
    """A segment of a JPEG file."""
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def test_an_extended_packet_is_the_one_that_the_main_one_names() -> None:
    guid, stale = b"A" * 32, b"B" * 32
    note = xmp.write("HasExtendedXMP", guid.decode(), "http://ns.adobe.com/xmp/note/", "xmpNote")
    data = b"\xff\xd8" + segment(b"http://ns.adobe.com/xap/1.0/\0" + note)
    for name, packet in ((stale, xmp_packet("old")), (guid, PACKET)):
        for at in (100, 0):
            part = packet[at:] if at else packet[:100]
            head = b"http://ns.adobe.com/xmp/extension/\0" + name + struct.pack(">II", len(packet), at)
            data += segment(head + part)
    assert find_text(data + b"\xff\xd9") == "hello"


def test_texts_that_unpack_to_too_much_are_refused() -> None:
    bomb = zlib.compress(bytes(MAX_TEXT_BYTES + 1), 1)
    for kind, head in ((b"zTXt", b"\0\0"), (b"iTXt", b"\0\1\0\0\0")):
        with pytest.raises(InvalidRequest, match="too long; at most 24 MiB"):
            find_text(png_with(kind, KEYWORD.encode() + head + bomb))


def test_texts_that_do_not_unpack_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not unpack"):
        find_text(png_with(b"zTXt", KEYWORD.encode() + b"\0\0nonsense"))


def test_files_of_countless_parts_end_soon() -> None:
    nothing = b"\0\0\0\0aaaa\0\0\0\0" * 2_000_000
    assert find_text(b"\x89PNG\r\n\x1a\n" + nothing) is None
    assert find_text(b"\xff\xd8" + b"\xff\xe2\0\2" * 5_000_000) is None
    assert find_text(b"RIFF\0\0\0\0WEBP" + b"aaaa\0\0\0\0" * 2_000_000) is None


@pytest.mark.parametrize("file_format", images.FORMATS)
@given(st.data())
@settings(max_examples=40)
def test_damaged_files_give_a_text_none_or_a_sentence(file_format: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[file_format])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        find_text(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except InvalidRequest as error:
        assert error.field == "recipe"


def test_other_files_carry_nothing() -> None:
    for data in (b"", b"GIF89a", b"%PDF", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\0\0\0\0WEBP"):
        assert find_text(data) is None
