"""Bad prompts, settings, pictures and recipes, each with the exact sentence that a person reads.

Bad checkpoints have a table in checkpoints/test_bad_checkpoints.py, bad snapshots in test_bad_snapshots.py.
"""

import json
import math
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from generator import (
    GenerationRequest,
    ImagePrompt,
    InvalidRequest,
    Settings,
    encode,
    normalise,
    parse_story,
    read_recipe,
    request_to_json,
)

PLAIN = Image.new("RGB", (8, 8), "teal")


def saved(file_format: str, size: tuple[int, int] = (64, 64)) -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, file_format)
    return out.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + checksum


NORMAL = normalise(saved("PNG"))
RECIPE = request_to_json(GenerationRequest(prompt="a castle"))

PROMPTS = {
    "": "The prompt is empty; write what the picture should show.",
    " \n\t\u3000": "The prompt is empty; write what the picture should show.",
    "\u200b\u202e\x00": "The prompt is empty; write what the picture should show.",
    "||": "The prompt is empty; write what the picture should show.",
    "^": "The prompt is empty; write what the picture should show.",
    "``````": "The prompt is empty; write what the picture should show.",
    "a" * 2001: "The prompt has 2001 characters; at most 2000 are allowed.",
    "🍎" * 6000: "The prompt has 6000 characters; at most 2000 are allowed.",
    "^".join("a" * 33): "The story has 33 scenes; at most 32 are allowed.",
    "|".join("a" * 33): "There are 33 prompts; at most 32 are allowed.",
    "a ^ " + "|".join("b" * 33): "There are 33 prompts in scene 2; at most 32 are allowed.",
    "a ^ ": "There is nothing in scene 2; write text before and behind each ^.",
    "a ^ | ^ b": "There is nothing in scene 2; write text before and behind each ^.",
    "a |": "There is an empty prompt; write text before and behind each |.",
    "a | | b ^ c": "There is an empty prompt in scene 1; write text before and behind each |.",
    ":2": "The weight ':2' has no text; write text before the colon.",
    "a | :-0.5:1": "The weight ':-0.5:1' has no text; write text before the colon.",
    "a:0": "Every weight is 0, so nothing would be painted; give one prompt a positive weight.",
    "fog:-1": "Every weight is negative; say also what the picture should show, as in 'a castle | fog:-0.5'.",
    "a ^ b:0|c:-1": (
        "Every weight in scene 2 is negative; say also what the picture should show, as in 'a castle | fog:-0.5'."
    ),
    "a:nan": "The weight of 'a' must be a number from -100 to 100, not nan.",
    "a:inf": "The weight of 'a' must be a number from -100 to 100, not inf.",
    "a:-Infinity": "The weight of 'a' must be a number from -100 to 100, not -inf.",
    "a:1e6": "The weight of 'a' must be a number from -100 to 100, not 1000000.0.",
    "a:1e999": "The weight of 'a' must be a number from -100 to 100, not inf.",
    "a:1:nan": "The stop of 'a' must be a number from -5 to 5, not nan.",
    "a:1:9": "The stop of 'a' must be a number from -5 to 5, not 9.0.",
    "a:1:-inf": "The stop of 'a' must be a number from -5 to 5, not -inf.",
    "a | fog:-1:0.5": "The stop of 'fog' must have the sign of its weight: -0.5, not 0.5.",
}

SETTINGS: dict[str, tuple[dict[str, object], str]] = {
    "unknown name": (
        {"step": 1},
        "There is no setting 'step', only affine, border, border_weight, border_width, candidates, coarse, "
        "colour, composition, contrast, cut_min, cut_power, cutouts, drawer, ema, exact, feather, flatness, flip, "
        "init_weight, keep, laplacian, learning_rate, learning_rate_end, likeness, noise, optimiser, outpaint, "
        "overview, overview_end, palette, palette_weight, perspective, pixel_size, plateau, pull, pull_decay, "
        "repaint, saturation, scene_steps, schedules, seed, sharpness, size, start, steps, symmetry, "
        "symmetry_weight, tile, total_variation, translate, upscaler, variation.",
    ),
    "no steps": ({"steps": 0}, "steps must be a whole number from 1 to 5000, not 0."),
    "too many steps": ({"steps": 5001}, "steps must be a whole number from 1 to 5000, not 5001."),
    "half a step": ({"steps": 1.5}, "steps must be a whole number from 1 to 5000, not 1.5."),
    "steps as text": ({"steps": "ten"}, "steps must be a whole number from 1 to 5000, not 'ten'."),
    "no number": ({"noise": math.nan}, "noise must be a number from 0.0 to 1.0, not nan."),
    "infinite": ({"learning_rate": math.inf}, "learning_rate must be a number from 0.0001 to 2.0, not inf."),
    "yes as a number": ({"cutouts": True}, "cutouts must be a whole number from 1 to 256, not True."),
    "nothing": ({"seed": None}, "seed must be a whole number from 0 to 4294967295, not None."),
    "negative seed": ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, not -1."),
    "endless seed": (
        {"seed": 10**5000},
        "seed must be a whole number from 0 to 4294967295, not a number of absurd length.",
    ),
    "a list": ({"flip": [1]}, "flip must be a number from 0.0 to 1.0, not a list."),
    "number as a switch": ({"exact": 1}, "exact must be true or false, not 1."),
    "unknown optimiser": (
        {"optimiser": "sgd"},
        "optimiser cannot be 'sgd'; choose one of adam, adamw, radam, adagrad, rmsprop.",
    ),
    "unknown start": (
        {"start": "<@1> `x`"},
        "start cannot be '<@1> `x`'; choose one of prior, random, pixels, gradient, fractal, init, parent.",
    ),
    "no colours": (
        {"palette": " , "},
        "palette holds no colours; write names or codes, such as navy, #ffcc00, or none.",
    ),
    "unknown colour": (
        {"palette": "navy, bleu"},
        "palette has the colour 'bleu', which is unknown; write a name such as navy or a code such as #ffcc00.",
    ),
    "too many colours": (
        {"palette": ", ".join(f"#0000{number:02}" for number in range(17))},
        "palette takes at most 16 colours, not 17.",
    ),
    "two borders": ({"border": "red, blue"}, "border takes one colour, not 2."),
    "colours as a number": (
        {"palette": 80},
        "palette must be text with colours, such as navy, #ffcc00, not 80.",
    ),
    "a palette without weight": (
        {"palette": "red", "palette_weight": 0},
        "palette has no effect with palette_weight 0; raise the weight or leave palette out.",
    ),
    "unknown symmetry": (
        {"symmetry": "round"},
        "symmetry cannot be 'round'; choose one of none, left-right, up-down, both.",
    ),
    "a tile too small": (
        {"tile": "x", "size": "48x96"},
        "A tile must be at least 64 pixels long along its axis, not 48x96; choose a larger size.",
    ),
    "size in words": ({"size": "big"}, "'big' is not a size; write width and height in pixels, for example 256x192."),
    "half a size": ({"size": "64x"}, "'64x' is not a size; write width and height in pixels, for example 256x192."),
    "tiny size": ({"size": "31x64"}, "Each side of size must be from 32 to 2048 pixels, not 31x64."),
    "huge size": ({"size": "99999"}, "Each side of size must be from 32 to 2048 pixels, not 99999x99999."),
    "size of floats": (
        {"size": (64.0, 64.0)},
        "size must be width and height in pixels, such as 256x192, not a tuple.",
    ),
}  # fmt: skip

BROKEN = "This {} picture is broken or incomplete; save it anew and try again."
WRONG_TYPE = "This file is no PNG, JPEG, WebP or GIF picture; save it as one of these."
PICTURES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "The picture's file is empty."),
    "text": (b"hello", WRONG_TYPE),
    "web page": (b"<!DOCTYPE html><html></html>", WRONG_TYPE),
    "vector drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", WRONG_TYPE),
    "bmp": (saved("BMP"), WRONG_TYPE),
    "tiff": (saved("TIFF"), WRONG_TYPE),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", WRONG_TYPE),
    "only a beginning": (b"\x89PNG\r\n\x1a\n", BROKEN.format("PNG")),
    "half a png": (saved("PNG")[:2000], BROKEN.format("PNG")),
    "half a jpeg": (saved("JPEG")[:1200], BROKEN.format("JPEG")),
    "half a webp": (saved("WEBP")[:500], BROKEN.format("WEBP")),
    "half a gif": (saved("GIF")[:1500], BROKEN.format("GIF")),
    "no pixels": (png_of_size(0, 0), "The picture has no pixels (0x0)."),
    "no height": (png_of_size(9, 0), "The picture has no pixels (9x0)."),
    "bomb": (png_of_size(50_000, 50_000), "The picture has 50000x50000 pixels; at most 50 megapixels are allowed."),
    "thin bomb": (png_of_size(2**31 - 1, 1), "The picture has 2147483647x1 pixels; at most 50 megapixels are allowed."),
    "too many bytes": (
        b"\x89PNG\r\n\x1a\n" + bytes(20 * 2**20),
        "The picture's file has 20.0 MiB; at most 20 MiB are allowed.",
    ),
    "scans without end": (
        saved("JPEG")[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 300,
        "This picture would take for ever to read; save it anew and try again.",
    ),
}


def recipe_with(**values: object) -> bytes:
    content = json.loads(RECIPE)
    content["request"] |= values
    return json.dumps(content).encode()


NO_RECIPE = "This file carries no recipe; only pictures as Reverie saved them do, no copies of them."
RECIPES: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", NO_RECIPE),
    "another picture": (saved("PNG"), NO_RECIPE),
    "no JSON": (b"{a castle}", "The recipe is broken: it is not JSON."),
    "no JSON in a picture": (encode(PLAIN, "jpeg", "a castle"), "The recipe is broken: it is not JSON."),
    "a list in a picture": (encode(PLAIN, "webp", "[1]"), "The recipe is broken: it is not an object."),
    "deep": (b'{"a":' * 100_000, "The recipe is broken: it is nested too deeply."),
    "wide": (b'{"a":[' + b"0," * 300_000 + b"0]}", "The recipe is broken: it has over 100000 values."),
    "no number": (b'{"reverie_recipe":NaN}', "The recipe is broken: NaN is no number."),
    "nothing in it": (b"{}", "The recipe is broken: reverie_recipe is missing."),
    "newer": (
        b'{"reverie_recipe":2}',
        "The recipe is broken: its version is not 1, the one that this program reads; "
        "perhaps a newer Reverie wrote it.",
    ),
    "unknown key": (recipe_with(owner=1), "The recipe is broken: there is an unknown key 'request.owner'."),
    "prompt as a number": (recipe_with(prompt=1), "The recipe is broken: request.prompt is not text."),
    "no prompt": (recipe_with(prompt=""), "The prompt is empty; write what the picture should show."),
    "path as models": (recipe_with(models="../x"), "'../x' cannot name a model set; 'starter' is one."),
    "steps out of range": (
        recipe_with(settings={"steps": 10**9}),
        "steps must be a whole number from 1 to 5000, not 1000000000.",
    ),
    "picture that is missing": (
        recipe_with(init_image="/etc/passwd", settings={"start": "init"}),
        "The recipe is broken: its picture '/etc/passwd' is missing.",
    ),
    "parent without its start": (
        recipe_with(parent=json.loads(RECIPE)["request"]),
        "start 'parent' goes with a parent picture, and only with one.",
    ),
    "stopped too late": (
        recipe_with(stopped_at=301),
        "stopped_at must be a whole number from 1 to 300, the number of steps.",
    ),
}

REQUESTS: dict[str, tuple[Callable[[], object], str]] = {
    "start without its picture": (
        lambda: GenerationRequest(prompt="a", settings=Settings(start="init")),
        "start 'init' needs an init image; give one or choose another start.",
    ),
    "picture without its start": (
        lambda: GenerationRequest(prompt="a", init_image=NORMAL),
        "An init image goes with start 'init', not with 'random'.",
    ),
    "only pictures to keep away from": (
        lambda: GenerationRequest(image_prompts=(ImagePrompt(image=NORMAL, weight=-1),)),
        "No image prompt has a positive weight; say with words or a picture what to come near to.",
    ),
    "weight of a picture": (
        lambda: ImagePrompt(image=NORMAL, weight=math.nan),
        "The weight of an image prompt must be a number from -100 to 100, not nan.",
    ),
    "format": (lambda: encode(PLAIN, "tiff"), "format cannot be 'tiff'; choose one of png, jpeg, webp."),
}


def sentence_of(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("text", PROMPTS, ids=lambda text: repr(text[:12]))
def test_bad_prompts(text: str) -> None:
    assert sentence_of(lambda: parse_story(text)) == PROMPTS[text]
    assert sentence_of(lambda: GenerationRequest(prompt=text)) == PROMPTS[text]


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings(name: str) -> None:
    values, sentence = SETTINGS[name]
    assert sentence_of(lambda: Settings().merged(values)) == sentence


@pytest.mark.parametrize("name", PICTURES)
def test_bad_pictures(name: str) -> None:
    data, sentence = PICTURES[name]
    assert sentence_of(lambda: normalise(data)) == sentence


@pytest.mark.parametrize("name", RECIPES)
def test_bad_recipes(name: str) -> None:
    data, sentence = RECIPES[name]
    assert sentence_of(lambda: read_recipe(data)) == sentence


@pytest.mark.parametrize("name", REQUESTS)
def test_bad_requests(name: str) -> None:
    call, sentence = REQUESTS[name]
    assert sentence_of(call) == sentence


def test_the_tables_are_long() -> None:
    assert sum(map(len, (PROMPTS, SETTINGS, PICTURES, RECIPES, REQUESTS))) >= 40
