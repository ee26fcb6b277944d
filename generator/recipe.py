"""Recipes: everything needed to make a picture again, as JSON and inside a picture's file. No torch; any thread.

A recipe (version 1) is an object with four keys: `reverie_recipe`, the version; `request`, with every setting explicit
and parents nested; `images`, the pictures it needs by their SHA-256, in base64, each once; and `made_with`, the
provenance, which changes nothing. A setting that a recipe lacks has its default. The default of a new setting must
therefore mean the earlier behaviour, or the version goes up.

Recipes are untrusted. Size, nesting, types, names and pictures are checked before they are used, and each error has a
message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NoReturn, TypeVar

from generator.errors import InvalidRequest
from generator.films.plan import read_plan
from generator.images import files as images
from generator.images import films, metadata
from generator.messages import Message, MessageValue
from generator.prompts import MAX_SCENES
from generator.provenance import Provenance
from generator.request import MAX_GENERATIONS, MAX_IMAGE_PROMPTS, MAX_IMAGES, GenerationRequest, ImagePrompt
from generator.settings import Settings

VERSION = 1
MAX_RECIPE_CHARACTERS = metadata.MAX_TEXT_BYTES
MAX_FILE_BYTES = 3 * metadata.MAX_TEXT_BYTES

_MAX_VALUES = 100_000
"""Commas and brackets outside of the pictures: more than the longest recipe has, and fewer than take a tenth of a
second to parse, during which no other thread runs.
"""
_MAX_FILES = 64
_AT_ONCE = 2**20
"""Characters of base64 decoded in one call, during which no other thread runs; a multiple of four."""

_REQUEST_KEYS = {
    "prompt",
    "models",
    "settings",
    "stopped_at",
    "init_image",
    "mask",
    "image_prompts",
    "parent",
    "film",
    "pictures",
}
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A request, with the provenance of its picture if known."""

    request: GenerationRequest
    made_with: Provenance | None = None


def recipe_to_json(recipe: Recipe, *, pictures: bool = True) -> str:
    """Write a recipe as one line of ASCII; equal recipes give equal lines.

    Without `pictures` it is short and complete except for them; a request that needs pictures cannot run from it.
    """
    made_with = recipe.made_with
    images = recipe.request.images if pictures else ()
    content = {
        "reverie_recipe": VERSION,
        "request": _request_to_dict(recipe.request),
        "images": {_digest(image): base64.b64encode(image).decode() for image in images},
        "made_with": None if made_with is None else {**vars(made_with), "files": dict(made_with.files)},
    }
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))


def recipe_from_json(text: str) -> Recipe:
    """Parse a recipe that claims to come from `recipe_to_json`.

    Raises:
        InvalidRequest: with a sentence that says what is wrong.
    """
    content = _Table(_parsed(text), "", {"reverie_recipe", "request", "images", "made_with"})
    if content.get("reverie_recipe", int) != VERSION:
        text = "its version is not {known}, the one that this program reads; perhaps a newer Reverie wrote it"
        _refuse(text, known=VERSION)
    pictures = _Pictures(content.get("images", dict))
    request = _request_from_dict(content.get("request", dict), pictures)
    made_with = content.find("made_with", dict)
    return Recipe(request=request, made_with=None if made_with is None else _made_with(made_with))


def request_to_json(request: GenerationRequest, *, pictures: bool = True) -> str:
    """Write a recipe without provenance."""
    return recipe_to_json(Recipe(request=request), pictures=pictures)


def request_from_json(text: str) -> GenerationRequest:
    """Read the request of a recipe.

    Raises:
        InvalidRequest: as `recipe_from_json`.
    """
    return recipe_from_json(text).request


def read_recipe(data: bytes) -> Recipe:
    """Read the recipe from one of our picture files, or from a recipe's JSON file.

    Raises:
        InvalidRequest: if there is none, or it is broken; the message says which.
    """
    if len(data) > MAX_FILE_BYTES:
        said = Message("The file has over {most} MiB, which no recipe needs.", most=MAX_FILE_BYTES // 2**20)
        raise InvalidRequest(said, "recipe")
    if data.lstrip()[:1] == b"{":
        try:
            return recipe_from_json(data.decode())
        except UnicodeDecodeError:
            _refuse("it is not JSON")
    text = metadata.find_text(data) or films.find_recipe(data)
    if text is None:
        raise InvalidRequest(
            Message("This file carries no recipe; only pictures as Reverie saved them do, no copies of them."), "recipe"
        )
    return recipe_from_json(text)


class _Table:
    """An object of the recipe that knows its path and returns only values of the requested type."""

    def __init__(self, content: dict[str, object], where: str, keys: set[str]) -> None:
        self._content, self._where = content, where
        for key in content:
            if key not in keys:
                _refuse("there is an unknown key {key}", key=repr(where + key[:40]))

    def get(self, key: str, kind: type[_Kind]) -> _Kind:
        """Return the value at `key`."""
        value = self.find(key, kind)
        if value is None:
            _refuse("{key} is missing", key=self._where + key)
        return value

    def find(self, key: str, kind: type[_Kind]) -> _Kind | None:
        """Return the value at `key`; None if it is null or missing."""
        value = self._content.get(key)
        if kind is float and type(value) is int:
            value = float(value) if abs(value) < 2**53 else math.inf
        if value is None or type(value) is kind:
            return value
        _refuse("{key} is not {kind}", key=self._where + key, kind=_NAMES[kind])


class _Pictures:
    """The pictures of a recipe, each checked on first access."""

    def __init__(self, encoded: dict[str, object]) -> None:
        if len(encoded) > MAX_IMAGES:
            _refuse("it holds {count} pictures; at most {most} are allowed", count=len(encoded), most=MAX_IMAGES)
        self._encoded, self._checked = encoded, dict[str, bytes]()

    def get(self, digest: str) -> bytes:
        """Return the normalised picture with that SHA-256."""
        if digest not in self._checked:
            self._checked[digest] = self._read(digest)
        return self._checked[digest]

    def _read(self, digest: str) -> bytes:
        encoded = self._encoded.get(digest)
        if not isinstance(encoded, str):
            _refuse("its picture {digest} is missing", digest=repr(digest[:12]))
        try:
            parts = range(0, len(encoded), _AT_ONCE)
            data = b"".join(base64.b64decode(encoded[at : at + _AT_ONCE], validate=True) for at in parts)
        except (binascii.Error, ValueError):
            _refuse("its picture {digest} is not in base64", digest=repr(digest[:12]))
        if _digest(data) != digest:
            _refuse("its picture {digest} was changed", digest=repr(digest[:12]))
        images.check_normalised(data)
        return data


_NAMES: Mapping[type, Message] = {
    str: Message("text"),
    int: Message("a whole number"),
    float: Message("a number"),
    dict: Message("an object"),
    list: Message("a list"),
}


def _request_to_dict(request: GenerationRequest) -> dict[str, object]:
    film: dict[str, object] = {}  # a picture's recipe stays as it was
    if request.film is not None:
        film["film"] = request.film.as_dict()
    if request.pictures:
        film["pictures"] = [_request_to_dict(picture) for picture in request.pictures]
    mask = {} if request.mask is None else {"mask": _digest(request.mask)}
    return {
        **film,
        **mask,
        "prompt": request.prompt,
        "models": request.models,
        "settings": request.settings.as_dict(),
        "stopped_at": request.stopped_at,
        "init_image": None if request.init_image is None else _digest(request.init_image),
        "image_prompts": [
            {"image": _digest(item.image), "weight": item.weight, "stop": None if item.stop == -math.inf else item.stop}
            for item in request.image_prompts
        ],
        "parent": None if request.parent is None else _request_to_dict(request.parent),
    }


def _request_from_dict(content: dict[str, object], pictures: _Pictures) -> GenerationRequest:
    """Read a request and its parents, the oldest first, without recursion."""
    tables = [_Table(content, "request.", _REQUEST_KEYS)]
    while (parent := tables[-1].find("parent", dict)) is not None:
        if len(tables) > MAX_GENERATIONS:
            _refuse("it goes back over more than {most} pictures", most=MAX_GENERATIONS)
        tables.append(_Table(parent, "request.parent.", _REQUEST_KEYS))
    request = _one_request(tables.pop(), pictures, None)
    while tables:
        request = _one_request(tables.pop(), pictures, request)
    return request


def _one_request(table: _Table, pictures: _Pictures, parent: GenerationRequest | None) -> GenerationRequest:
    prompts = table.get("image_prompts", list)
    if len(prompts) > MAX_IMAGE_PROMPTS:
        _refuse("it has {count} image prompts; at most {most} are allowed", count=len(prompts), most=MAX_IMAGE_PROMPTS)
    init_image, mask = (table.find(key, str) for key in ("init_image", "mask"))
    film = table.find("film", dict)
    through = table.find("pictures", list) or []
    if len(through) > MAX_SCENES or not all(isinstance(item, dict) and "pictures" not in item for item in through):
        _refuse("its film does not go through pictures")
    return GenerationRequest(
        pictures=tuple(_request_from_dict(item, pictures) for item in through),
        film=None if film is None else read_plan(film),
        prompt=table.get("prompt", str),
        models=table.get("models", str),
        settings=Settings().merged(table.get("settings", dict)),
        stopped_at=table.find("stopped_at", int),
        init_image=None if init_image is None else pictures.get(init_image),
        mask=None if mask is None else pictures.get(mask),
        image_prompts=tuple(_image_prompt(item, pictures) for item in prompts),
        parent=parent,
    )


def _image_prompt(item: object, pictures: _Pictures) -> ImagePrompt:
    if not isinstance(item, dict):
        _refuse("an image prompt is not an object")
    table = _Table(item, "request.image_prompts.", {"image", "weight", "stop"})
    stop = table.find("stop", float)
    return ImagePrompt(
        image=pictures.get(table.get("image", str)),
        weight=table.get("weight", float),
        stop=-math.inf if stop is None else stop,
    )


def _made_with(content: dict[str, object]) -> Provenance:
    table = _Table(content, "made_with.", {item.name for item in fields(Provenance)})
    files = table.get("files", dict)
    if len(files) > _MAX_FILES or not all(isinstance(value, str) for value in files.values()):
        _refuse("made_with.files is not a list of names with digests")
    # Recipes of older versions lack some of the other keys.
    words = {key: (table.find(key, str) or "")[:100] for key in ("generator", "torch", "device", "precision")}
    threads, at_once = (table.find(key, int) or 0 for key in ("threads", "cutouts_at_once"))
    known = {str(name)[:200]: str(value)[:64] for name, value in files.items()}
    return Provenance(
        generator=words["generator"],
        torch=words["torch"],
        device=words["device"],
        precision=words["precision"],
        threads=threads,
        cutouts_at_once=at_once,
        files=known,
    )


def _parsed(text: str) -> dict[str, object]:
    if len(text) > MAX_RECIPE_CHARACTERS:
        _refuse("it has {count} characters; at most {most} are allowed", count=len(text), most=MAX_RECIPE_CHARACTERS)
    if sum(text.count(mark) for mark in ",[{") > _MAX_VALUES:
        _refuse("it has over {most} values", most=_MAX_VALUES)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        _refuse("it is nested too deeply")
    except ValueError:
        _refuse("it is not JSON")
    if isinstance(content, dict):
        return content
    _refuse("it is not an object")


def _refuse_constant(name: str) -> NoReturn:
    _refuse("{name} is no number", name=name)


def _refuse(template: str, /, **values: MessageValue) -> NoReturn:
    what = Message(template, **values)
    raise InvalidRequest(Message("The recipe is broken: {what}.", what=what), "recipe")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
