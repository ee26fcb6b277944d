"""Recipes that could break the bot, by name; each is made on request."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from generator import GenerationRequest, recipe_to_json
from generator.images import xmp
from generator.recipe import Recipe
from tests.faults.hostile_pictures import MEGA, chunk, header

HUGE = 19 * MEGA


def recipe(**request: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A recipe's file with some of its request changed."""
    content = json.loads(recipe_to_json(Recipe(request=GenerationRequest(prompt="a"))))
    content["request"] |= request
    return json.dumps(content).encode()


def nested(depth: int, **request: Any) -> bytes:  # noqa: ANN401
    """A chain of parents."""
    one = json.loads(recipe(**request))["request"]
    whole = dict(one)
    for _ in range(depth):
        whole = {**one, "settings": {"start": "parent"}, "parent": whole}
    return recipe(**{**whole})


def in_png(text: bytes, *, packed: bool = True) -> bytes:
    """A picture that carries the text."""
    body = b"reverie:recipe\0" + bytes([packed]) + b"\0\0\0" + (zlib.compress(text, 9) if packed else text)
    return header(1, 1) + chunk(b"iTXt", body) + chunk(b"IEND")


def in_xmp(text: bytes) -> bytes:
    """An XMP packet that carries the text as it is."""
    start, end = xmp.write("recipe", "|").split(b"|")
    return start + text + end


def webp_with(packet: bytes) -> bytes:
    """A picture with that XMP packet."""
    riff = b"WEBPXMP " + struct.pack("<I", len(packet)) + packet
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def in_webp(text: bytes) -> bytes:
    """A picture that carries the text in its XMP."""
    return webp_with(in_xmp(text))


def in_attribute(text: bytes) -> bytes:
    """A picture that carries the text as an attribute in its XMP."""
    rdf = b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:v="urn:reverie:1">'
    return webp_with(rdf + b'<r:Description v:recipe="' + text + b'"/></r:RDF>')


def laughs() -> bytes:
    """A picture whose XMP declares entities that double each other."""
    declared = b'<!ENTITY a0 "{}">' + b"".join(b'<!ENTITY a%d "&a%d;&a%d;">' % (n, n - 1, n - 1) for n in range(1, 40))
    return webp_with(b"<!DOCTYPE x [" + declared + b"]>" + in_xmp(b"&a39;"))


def in_jpeg(text: bytes) -> bytes:
    """A picture that carries the text in its XMP."""
    body = b"http://ns.adobe.com/xap/1.0/\0" + in_xmp(text)
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + b"\xff\xd9"


def keys(count: int) -> dict[str, int]:
    """Return an object with this number of keys."""
    return {str(number): 1 for number in range(count)}


def with_image(encoded: str) -> bytes:
    """A recipe with this base64 as its start picture."""
    content = json.loads(recipe(init_image="x", settings={"start": "init"}))
    content["images"] = {"x": encoded}
    return json.dumps(content).encode()


FILES: Mapping[str, Callable[[], bytes]] = {
    "not text": lambda: b"{" + b"\xff" * HUGE,
    "packed, not text": lambda: in_png(b"\xff" * (24 * MEGA)),
    "unpacks to 90 MB": lambda: in_png(bytes(90 * MEGA)),
    "claims to be packed": lambda: in_png(b"{}", packed=False).replace(b"recipe\0\0", b"recipe\0\1"),
    "long text": lambda: b'{"a":"' + b"a" * HUGE + b'"}',
    "escapes": lambda: b'{"a":"' + b"\\u0041" * (3 * MEGA) + b'"}',
    "long whole number": lambda: b'{"a":' + b"1" * HUGE + b"}",
    "long number": lambda: b'{"a":0.' + b"1" * HUGE + b"}",
    "spaces": lambda: b"{" + b" " * HUGE + b"}",
    "deep objects": lambda: b'{"a":' * 90_000 + b"1" + b"}" * 90_000,
    "deep lists": lambda: b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "many values": lambda: b'{"a":[' + b"1," * 99_000 + b"1]}",
    "many objects": lambda: b'{"a":[' + b"{}," * 49_000 + b"{}]}",
    "many settings": lambda: recipe(settings=keys(90_000)),
    "many keys": lambda: json.dumps(keys(90_000)).encode(),
    "entities": lambda: in_webp(b"&amp;" * (HUGE // 5)),
    "numbered entities": lambda: in_webp(b"&#34;" * (HUGE // 5)),
    "open entities": lambda: in_webp(b"&" * HUGE),
    "entities in an attribute": lambda: in_attribute(b"&#34;" * (HUGE // 5)),
    "long attribute": lambda: in_attribute(b"a" * HUGE),
    "countless elements": lambda: in_webp(b"<a/>" * (HUGE // 4)),
    "countless attributes": lambda: in_webp(b"<a " + b'b="" ' * (HUGE // 5) + b"/>"),
    "laughs": laughs,
    "entity out of range": lambda: in_webp(b"&#9999999;{}"),
    "picture of nothing": lambda: with_image("A" * HUGE),
    "picture is a path": lambda: recipe(init_image="../../../etc/passwd"),
    "model is a path": lambda: recipe(models="../../../etc/passwd"),
    "model of others": lambda: recipe(models="imagenet-16384"),
    "too many parents": lambda: nested(40),
    "parents beyond the limits": lambda: nested(3, settings={"steps": 5_000}),
    "parent is itself a word": lambda: recipe(parent="request"),
    "prompt of 19 million": lambda: recipe(prompt="a" * HUGE),
    "prompt is a number": lambda: recipe(prompt=5),
    "prompt of surrogates": lambda: recipe(prompt="\ud800"),
    "huge steps": lambda: recipe(settings={"steps": 10**400}),
    "steps out of range": lambda: recipe(settings={"steps": 10**9}),
    "steps below": lambda: recipe(settings={"steps": -1}),
    "not a number": lambda: recipe().replace(b'"stopped_at": null', b'"stopped_at": NaN'),
    "endless": lambda: recipe().replace(b'"stopped_at": null', b'"stopped_at": 1e999'),
    "size of a planet": lambda: recipe(settings={"size": "99999x99999"}),
    "size is a list": lambda: recipe(settings={"size": [64, 64]}),
    "unknown setting": lambda: recipe(settings={"__class__": "os.system"}),
    "wrong version": lambda: b'{"reverie_recipe":999}',
    "jpeg with nonsense": lambda: in_jpeg(b"{]"),
    "jpeg cut": lambda: in_jpeg(b"{}")[:20],
    "webp whose length lies": lambda: (
        b"RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff<reverie:recipe>{}</reverie:recipe>"
    ),
    "png whose length lies": lambda: header(1, 1) + b"\xff\xff\xff\xffiTXtreverie:recipe",
    "nothing": lambda: b"",
    "program": lambda: b"\x7fELF" + bytes(500),
}
