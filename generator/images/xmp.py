"""XMP packets (ISO 16684-1): written with one property, read as RDF, since other programs rewrite them.

Adobe's XMP core, Exiv2 and `exiftool -z` turn an element into an attribute, choose their own prefixes or add a slash to
a namespace; as RDF all of these are equal. Packets are untrusted: document types, and with them entities, are refused,
marks are counted before they are parsed, and nothing recurses.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

NAMESPACE = "urn:reverie:1"
MAX_MARKS = 200_000
"""Elements, attributes and entities; packets of picture editors, with the history of all edits, have some thousands."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_AT_ONCE = 2**20
"""Bytes parsed in one call, during which no other thread runs."""


def write(name: str, value: str, namespace: str = NAMESPACE, prefix: str = "reverie") -> bytes:
    """Build a packet with `text`, which has no `<`, `>` or `&`, as the property of that name."""
    description = f'<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}">'
    element = f"<{prefix}:{name}>{value}</{prefix}:{name}>"
    rdf = f'<rdf:RDF xmlns:rdf="{_RDF}">{description}{element}</rdf:Description></rdf:RDF>'
    meta = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{meta}<?xpacket end="r"?>'.encode()


def read(packet: bytes) -> Mapping[tuple[str, str], str]:
    """Read the plain properties of a packet, by namespace (without a slash at its end) and name; the first of each.

    From a packet that is cut off, or is not XML, the properties before the error are returned.

    Raises:
        ValueError: if it has more than MAX_MARKS elements, attributes and entities.
    """
    if sum(packet.count(mark) for mark in (b"<", b"=", b"&")) > MAX_MARKS:
        raise ValueError("too many marks")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = _AT_ONCE
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    packet = packet.strip(b"\0 \t\r\n")
    try:
        for at in range(0, len(packet), _AT_ONCE):
            parser.Parse(packet[at : at + _AT_ONCE], at + _AT_ONCE >= len(packet))
    except (expat.ExpatError, _DocumentType):
        pass
    return reader.found


class _DocumentType(Exception):
    """The packet declares a document type, which XMP never does."""


def _refuse(*_: object) -> None:
    raise _DocumentType


class _Reader:
    """Properties below `rdf:RDF`: attributes of its children, which are nodes, and their child elements."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], str] = {}
        self._depth = 0
        self._rdf_depth: int | None = None
        self._property: tuple[str, str] | None = None
        self._value: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._rdf_depth is None:
            if name == f"{_RDF} RDF":
                self._rdf_depth = self._depth
        elif self._depth == self._rdf_depth + 1:
            for attribute, value in attributes.items():
                self.found.setdefault(_split(attribute), value)
        elif self._depth == self._rdf_depth + 2:
            self._property, self._value = _split(name), []

    def text(self, text: str) -> None:
        if self._property is not None:
            self._value.append(text)

    def end(self, _: str) -> None:
        if self._property is not None and self._rdf_depth is not None and self._depth == self._rdf_depth + 2:
            self.found.setdefault(self._property, "".join(self._value))
            self._property = None
        elif self._depth == self._rdf_depth:
            self._rdf_depth = None
        self._depth -= 1


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition(" ")
    return namespace.rstrip("/"), local
