"""XMP packets as RDF, in any form that other programs write, and hostile ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.images import xmp
from generator.images.metadata import find_text
from generator.recipe import read_recipe

REWRITTEN = Path(__file__).parents[2] / "data" / "rewritten"
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
KEY = (xmp.NAMESPACE, "recipe")


def read(inside: str) -> str | None:
    """The recipe in an RDF with this content."""
    return xmp.read(f"<rdf:RDF {RDF}>{inside}</rdf:RDF>".encode()).get(KEY)


@pytest.mark.parametrize("name", sorted(path.name for path in REWRITTEN.iterdir()))
def test_recipes_outlive_other_programs(name: str) -> None:
    before = find_text((REWRITTEN / "before.jpg").read_bytes())
    after = find_text((REWRITTEN / name).read_bytes())
    assert before is not None and after is not None
    assert json.loads(after) == json.loads(before)
    assert read_recipe((REWRITTEN / name).read_bytes()).request.prompt == 'a "red" apple & <it\'s> ä'


@pytest.mark.parametrize(
    "inside",
    [
        '<rdf:Description xmlns:reverie="urn:reverie:1"><reverie:recipe>it</reverie:recipe></rdf:Description>',
        '<rdf:Description xmlns:reverie="urn:reverie:1" reverie:recipe="it"/>',
        "<rdf:Description xmlns:reverie='urn:reverie:1/' reverie:recipe='it'/>",
        '<rdf:Description xmlns:ns1="urn:reverie:1"><ns1:recipe>it</ns1:recipe></rdf:Description>',
        '<rdf:Description><recipe xmlns="urn:reverie:1">it</recipe></rdf:Description>',
        '<rdf:Description/><rdf:Description xmlns:a="urn:reverie:1" rdf:about="x" a:recipe="it"/>',
        '<rdf:Description xmlns:a="urn:reverie:1"><a:recipe><![CDATA[i]]>&#x74;</a:recipe></rdf:Description>',
        '<rdf:Description xmlns:a="urn:reverie:1"><a:recipe rdf:parseType="Resource"><rdf:value>it</rdf:value>'
        "</a:recipe></rdf:Description>",
    ],
)
def test_all_ways_to_say_the_same_in_rdf_are_read(inside: str) -> None:
    assert read(inside) == "it"


@pytest.mark.parametrize(
    "inside",
    [
        '<rdf:Description xmlns:a="urn:another"><a:recipe>it</a:recipe></rdf:Description>',
        '<rdf:Description xmlns:a="urn:reverie:1"><a:other>it</a:other></rdf:Description>',
        '<rdf:Description xmlns:a="urn:reverie:1" xmlns:b="urn:b"><b:c><a:recipe>it</a:recipe></b:c></rdf:Description>',
        '<rdf:Description xmlns:a="urn:reverie:1"><!-- <a:recipe>it</a:recipe> --></rdf:Description>',
    ],
)
def test_properties_of_others_are_not_ours(inside: str) -> None:
    assert read(inside) is None


def test_only_rdf_is_read() -> None:
    assert xmp.read(b'<reverie:recipe xmlns:reverie="urn:reverie:1">it</reverie:recipe>') == {}
    assert xmp.read(b"") == {}


def test_a_packet_that_breaks_off_has_what_stands_before() -> None:
    packet = xmp.write("recipe", "it")
    assert xmp.read(packet[: packet.index(b"</rdf:Description>")])[KEY] == "it"
    assert KEY not in xmp.read(packet[: packet.index(b"</reverie:recipe>")])


def test_padding_behind_a_packet_does_no_harm() -> None:
    assert xmp.read(b"\n" + xmp.write("recipe", "it") + b" \n" * 100 + bytes(9))[KEY] == "it"


def test_a_document_type_and_its_entities_are_refused() -> None:
    for declared in ('<!ENTITY a "it">', '<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY % a SYSTEM "http://x/">'):
        inside = '<rdf:Description xmlns:a="urn:reverie:1"><a:recipe>&a;</a:recipe></rdf:Description>'
        packet = f"<!DOCTYPE x [{declared}]><rdf:RDF {RDF}>{inside}</rdf:RDF>"
        assert xmp.read(packet.encode()) == {}


def test_countless_marks_are_refused_before_they_are_read() -> None:
    for many in ("<a/>" * 200_001, "&amp;" * 200_001, "".join(f"<a{n}>" for n in range(200_001))):
        with pytest.raises(ValueError, match="too many marks"):
            read(many)
    attributes = " ".join(f'a{n}=""' for n in range(200_000))
    with pytest.raises(ValueError, match="too many marks"):
        read(f"<rdf:Description {attributes}/>")


def test_deep_nesting_is_read_without_recursion() -> None:
    depth = 40_000
    nested = "<a>" * depth + "</a>" * depth
    assert read(f'<rdf:Description xmlns:b="urn:reverie:1" b:recipe="it">{nested}</rdf:Description>') == "it"


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(junk: bytes) -> None:
    packet = xmp.write("recipe", "it")
    for data in (junk, packet[:150] + junk + packet[150:]):
        try:
            xmp.read(data)
        except ValueError as error:
            assert str(error) == "too many marks"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<>&")))
def test_a_text_comes_back(text: str) -> None:
    assert xmp.read(xmp.write("recipe", text))[KEY] == text
