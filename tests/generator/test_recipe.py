"""Recipes: every request round-trips through JSON and a picture, and hostile ones get a readable error."""

import base64
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import fields
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generator.errors import InvalidRequest
from generator.images import files as images
from generator.provenance import Provenance, current_provenance
from generator.recipe import (
    MAX_FILE_BYTES,
    MAX_RECIPE_CHARACTERS,
    Recipe,
    read_recipe,
    recipe_from_json,
    recipe_to_json,
    request_from_json,
    request_to_json,
)
from generator.request import MAX_GENERATIONS, GenerationRequest, ImagePrompt
from generator.settings import Settings


def picture(colour: str, size: tuple[int, int] = (8, 8)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return images.normalise(out.getvalue())


PICTURES = [picture(colour) for colour in ("red", "teal", "white")]


def values_of(name: str, metadata: dict[str, Any]) -> st.SearchStrategy[object]:
    """Valid values of a setting."""
    if name == "size":
        return st.tuples(st.integers(64, 2048), st.integers(64, 2048)).map(lambda size: f"{size[0]}x{size[1]}")
    if name == "start":
        return st.just("random")
    if name == "schedules":
        return st.sampled_from(["none", "learning_rate = 0: 0.1, 50%: 0.05; cutouts = 0: 4, 100: 8"])
    if "read" in metadata:  # a region needs an init image
        return st.just("none")
    if name == "likeness":  # needs an image prompt
        return st.just(0.0)
    if "choices" in metadata:
        return st.sampled_from(metadata["choices"])
    if "colours" in metadata:
        return st.lists(st.sampled_from(["navy", "#fc0"]), max_size=metadata["colours"]).map(
            lambda colours: ", ".join(colours) or "none"
        )
    if "low" not in metadata:
        return st.booleans()
    low, high = metadata["low"], metadata["high"]
    if isinstance(getattr(Settings(), name), int):
        return st.integers(low, high)
    return st.floats(0.001 if name.endswith("_weight") and low == 0 else low, high)


many_settings = st.fixed_dictionaries({item.name: values_of(item.name, item.metadata) for item in fields(Settings)})
image_prompts = st.builds(
    ImagePrompt,
    image=st.sampled_from(PICTURES),
    weight=st.floats(0.001, 100),
    stop=st.one_of(st.just(-math.inf), st.floats(0, 5)),
)
prompts = st.one_of(
    st.just(""), st.text(min_size=1, max_size=40).map(lambda text: f"a {text.replace('|', '').replace('^', '')} end")
)


@st.composite
def requests(draw: st.DrawFn, generations: int = 2) -> GenerationRequest:
    """Any valid request."""
    chosen = Settings().merged(draw(many_settings))
    parent = draw(requests(generations=generations - 1)) if generations and draw(st.booleans()) else None
    init_image = None if parent else draw(st.one_of(st.none(), st.sampled_from(PICTURES)))
    start = "parent" if parent else "init" if init_image else "random"
    text, pictures = draw(prompts), tuple(draw(st.lists(image_prompts, max_size=3)))
    return GenerationRequest(
        prompt=text if pictures else text or "a castle:2 | fog:-0.5",
        image_prompts=pictures,
        init_image=init_image,
        settings=chosen.merged({"start": start}),
        models=draw(st.sampled_from(["starter", "imagenet-16384"])),
        parent=parent,
        stopped_at=draw(st.one_of(st.none(), st.integers(1, chosen.steps))),
    )


made_with = st.builds(
    Provenance, torch=st.just("2.10.0"), files=st.dictionaries(st.text(max_size=9), st.just("0" * 64))
)


@given(requests(), st.one_of(st.none(), made_with))
@settings(max_examples=40)
def test_every_recipe_comes_back_from_json(request_: GenerationRequest, made: Provenance | None) -> None:
    recipe = Recipe(request=request_, made_with=made)
    text = recipe_to_json(recipe)
    assert text.isascii()
    assert recipe_from_json(text) == recipe
    assert recipe_to_json(recipe_from_json(text)) == text
    assert request_from_json(request_to_json(request_)) == request_


@pytest.mark.parametrize("file_format", images.FORMATS)
@given(requests())
@settings(max_examples=10)
def test_every_recipe_comes_back_from_a_picture(file_format: str, request_: GenerationRequest) -> None:
    recipe = Recipe(request=request_, made_with=current_provenance("cpu", {"vqgan.safetensors": "0" * 64}))
    data = images.encode(Image.new("RGB", (8, 8)), file_format, recipe_to_json(recipe))
    assert read_recipe(data) == recipe


def test_a_recipe_of_large_pictures_fits_in_every_format() -> None:
    noise = Image.effect_noise((600, 600), 90).convert("RGB")
    out = BytesIO()
    noise.save(out, "PNG")
    request = GenerationRequest(image_prompts=(ImagePrompt(image=images.normalise(out.getvalue())),))
    for file_format in images.FORMATS:
        data = images.encode(Image.new("RGB", (8, 8)), file_format, request_to_json(request))
        assert len(data) > 300_000
        assert read_recipe(data).request == request


def test_a_recipe_can_be_a_separate_file() -> None:
    request = GenerationRequest(prompt="a castle")
    assert read_recipe(b"\n " + request_to_json(request).encode()).request == request


def test_every_setting_is_explicit_and_pictures_are_kept_once() -> None:
    chosen = Settings(start="init")
    request = GenerationRequest(
        prompt="a", init_image=PICTURES[0], settings=chosen, image_prompts=(ImagePrompt(image=PICTURES[0]),) * 2
    )
    content = json.loads(request_to_json(request))
    assert set(content["request"]["settings"]) == {item.name for item in fields(Settings)}
    assert len(content["images"]) == 1


def test_provenance_names_versions_and_files() -> None:
    made = current_provenance("cuda", {"b": "2", "a": "1"})
    assert (made.device, list(made.files)) == ("cuda", ["a", "b"])
    assert made.torch.startswith("2.")
    assert made.generator


def test_the_longest_line_of_parents_is_read_and_a_longer_one_is_not() -> None:
    request = GenerationRequest(prompt="," * 2000)
    for _ in range(MAX_GENERATIONS):
        request = GenerationRequest(prompt="," * 2000, parent=request, settings=Settings(start="parent"))
    text = request_to_json(request)
    assert request_from_json(text) == request
    content = json.loads(text)
    content["request"] = {**content["request"], "parent": content["request"]}
    with pytest.raises(InvalidRequest, match="goes back over more than 32 pictures"):
        request_from_json(json.dumps(content))


def test_a_missing_setting_has_its_default() -> None:
    content = json.loads(request_to_json(GenerationRequest(prompt="a")))
    del content["request"]["settings"]["noise"]
    assert request_from_json(json.dumps(content)).settings == Settings()


Change = Callable[[dict[str, Any]], object]


def drop(key: str) -> Change:
    return lambda content: content["request"].pop(key)


def put(**values: object) -> Change:
    return lambda content: content["request"].update(values)


def image_table(encoded: object, digest: str | None = None) -> Change:
    return lambda content: content.update(images={digest or next(iter(content["images"])): encoded})


def as_picture(data: bytes) -> Change:
    """Replace the init image by other bytes, under their own digest."""

    def change(content: dict[str, Any]) -> None:
        digest = hashlib.sha256(data).hexdigest()
        content["request"]["init_image"] = digest
        content["images"] = {digest: base64.b64encode(data).decode()}

    return change


HOSTILE: dict[str, tuple[Change, str]] = {
    "another version": (lambda content: content.update(reverie_recipe=2), "its version is not 1, the one that"),
    "no version": (lambda content: content.pop("reverie_recipe"), "reverie_recipe is missing"),
    "version as text": (lambda content: content.update(reverie_recipe="1"), "reverie_recipe is not a whole number"),
    "version true": (lambda content: content.update(reverie_recipe=True), "reverie_recipe is not a whole number"),
    "unknown key": (lambda content: content.update(extra=1), "there is an unknown key 'extra'"),
    "unknown key in the request": (put(owner=7), r"there is an unknown key 'request\.owner'"),
    "no request": (lambda content: content.pop("request"), "request is missing"),
    "request is a list": (lambda content: content.update(request=[]), "request is not an object"),
    "no prompt": (drop("prompt"), "request.prompt is missing"),
    "prompt is a number": (put(prompt=5), "request.prompt is not text"),
    "bad prompt": (put(prompt=":1"), "has no text"),
    "path as models": (put(models="../../etc/passwd"), "cannot name a model set"),
    "unknown setting": (put(settings={"stepz": 1}), "There is no setting 'stepz'"),
    "setting out of range": (put(settings={"steps": 10**9}), "steps must be a whole number from 1 to 5000"),
    "setting of a wrong type": (put(settings={"steps": [[1]]}), "steps must be .*, not a list"),
    "setting beyond all floats": (put(settings={"noise": 10**400}), "noise must be .*, not a number of absurd length"),
    "stopped at no number": (put(stopped_at="3"), "request.stopped_at is not a whole number"),
    "stopped behind the end": (put(stopped_at=301), "stopped_at must be a whole number from 1 to 300"),
    "image prompts no list": (put(image_prompts={}), "request.image_prompts is not a list"),
    "image prompt no object": (put(image_prompts=[1]), "an image prompt is not an object"),
    "too many image prompts": (put(image_prompts=[{}] * 17), "it has 17 image prompts; at most 16"),
    "weight is text": (
        lambda content: content["request"]["image_prompts"][0].update(weight="1"),
        "request.image_prompts.weight is not a number",
    ),
    "weight too large": (
        lambda content: content["request"]["image_prompts"][0].update(weight=10**999),
        "The weight of an image prompt must be a number",
    ),
    "parent without its start": (
        put(parent={"prompt": "a", "models": "starter", "settings": {}, "image_prompts": []}),
        "start 'parent' goes with a parent picture",
    ),
    "picture missing": (lambda content: content.update(images={}), "its picture '.{12}' is missing"),
    "picture is a path": (put(init_image="/etc/passwd"), "its picture '/etc/passwd' is missing"),
    "picture is a number": (image_table(5), "its picture '.{12}' is missing"),
    "picture not in base64": (image_table("*"), "is not in base64"),
    "picture in other letters": (image_table("\u00fc"), "is not in base64"),
    "picture changed": (image_table("aaaa"), "was changed"),
    "too many pictures": (
        lambda content: content.update(images={str(number): "" for number in range(65)}),
        "it holds 65 pictures; at most 64",
    ),
    "picture of another kind": (as_picture(b"GIF89a"), "cannot have written"),
    "picture too large": (as_picture(PICTURES[0].replace(b"\0\0\0\x08" * 2, b"\1\1\1\x08" * 2)), "cannot have written"),
    "made with a list": (lambda content: content.update(made_with=[]), "made_with is not an object"),
    "made with numbers": (
        lambda content: content.update(made_with={"generator": "", "torch": "", "device": "", "files": {"a": 1}}),
        "made_with.files is not a list of names",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_recipe_gets_a_sentence(case: str) -> None:
    change, sentence = HOSTILE[case]
    request = GenerationRequest(
        prompt="a",
        init_image=PICTURES[0],
        settings=Settings(start="init"),
        image_prompts=(ImagePrompt(image=PICTURES[0]),),
    )
    content = json.loads(request_to_json(request))
    change(content)
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        recipe_from_json(json.dumps(content))
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[]", "it is not an object"),
        ("null", "it is not an object"),
        ("[" * 90_000, "it is nested too deeply"),
        ('{"a":' * 90_000, "it is nested too deeply"),
        ("[" + "1," * 300_000 + "1]", "it has over 100000 values"),
        ('{"reverie_recipe":NaN}', "NaN is no number"),
        ('{"reverie_recipe":' + "1" * 5000 + "}", "it is not JSON"),
        (" " * (MAX_RECIPE_CHARACTERS + 1), "characters; at most"),
    ],
    ids=["empty", "half", "list", "null", "deep list", "deep object", "many", "nan", "long number", "long"],
)
def test_text_that_is_no_recipe_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^The recipe is broken: .*{sentence}.*\.$"):
        recipe_from_json(text)


def test_files_without_a_recipe_get_a_sentence() -> None:
    for data in (b"", b"hello", PICTURES[0]):
        with pytest.raises(InvalidRequest, match="This file carries no recipe"):
            read_recipe(data)
    with pytest.raises(InvalidRequest, match="The file has over 72 MiB"):
        read_recipe(bytes(MAX_FILE_BYTES + 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(st.data(), json_values)
@settings(max_examples=60)
def test_a_recipe_with_any_value_anywhere_is_read_or_refused(data: st.DataObject, value: object) -> None:
    parent = GenerationRequest(prompt="a", image_prompts=(ImagePrompt(image=PICTURES[1], weight=2.0, stop=1.0),))
    request = GenerationRequest(prompt="b", parent=parent, settings=Settings(start="parent"))
    content = json.loads(recipe_to_json(Recipe(request=request, made_with=current_provenance("cpu", {"a": "0" * 64}))))
    place: Any = content
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        recipe_from_json(json.dumps(content))
    except InvalidRequest as error:
        assert str(error).endswith(".")
