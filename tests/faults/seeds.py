"""Seeds for a fuzzer: small valid and invalid examples of all that our readers accept, and words of these formats."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from generator import GenerationRequest, Provenance, Recipe, Settings, encode, recipe_to_json
from generator.optimisation.snapshot import Snapshot, pack
from generator.request import ImagePrompt
from tests.faults import hostile_pictures, hostile_recipes
from tests.generator.checkpoints.hostile import Attack, RawTensor, StorageReference, legacy, pickled, saved

RECIPE_WORDS = (
    "reverie_recipe", "request", "images", "made_with", "prompt", "models", "settings", "stopped_at", "init_image",
    "image_prompts", "parent", "image", "weight", "stop", "null", "1e999", "-1", "18446744073709551616", "\\ud800",
    "starter", "reverie:recipe", "<reverie:recipe>", "</reverie:recipe>", "&#x", "iTXt", "zTXt", "tEXt", "XMP ", *vars(
        Settings()
    ), *vars(Provenance()),
)  # fmt: skip
PROMPT_WORDS = ("^", "|", ":", "\\", "```", "`", "10:30", ":nan", ":inf", ":-1", ":0", "1e5", "\u2212", "\u200b", "٣")
SNAPSHOT_WORDS = ("__metadata__", "format", "version", "recipe", "facts", "digest", "reverie.dream", "dtype", "shape",
    "data_offsets", "F32", "F64", "U8", "latent", "average")  # fmt: skip
PICKLE_WORDS = (
    "torch._utils", "_rebuild_tensor_v2", "collections", "OrderedDict", "storage", "FloatStorage", "HalfStorage",
    "state_dict", "__torch__", "data.pkl", "PK\x05\x06", "PK\x01\x02", "PK\x03\x04", "builtins", "torch.nn.parameter",
    "Parameter", "cpu", "0",
)  # fmt: skip
YAML = """model:
  target: taming.models.vqgan.VQModel
  params:
    embed_dim: 256
    n_embed: 1024
    ddconfig:
      {double_z: false, z_channels: 256, resolution: 256, in_channels: 3, out_ch: 3, ch: 128, ch_mult: [1, 1, 2, 2, 4],
       num_res_blocks: 2, attn_resolutions: [16], dropout: 0.0}
"""


def recipes() -> Iterator[bytes]:
    """Valid recipes in each kind of file, with pictures and parents, and hostile ones."""
    picture = encode(Image.new("RGB", (2, 2), "red"), "png")
    first = GenerationRequest(prompt="a castle:1 | fog:-0.5 ^ a boat", stopped_at=3)
    settings = Settings().merged({"start": "parent", "steps": 7, "size": "64x96", "learning_rate": 0.05})
    whole = GenerationRequest(
        prompt="näher",
        settings=settings,
        image_prompts=(ImagePrompt(image=picture, weight=0.5, stop=0.2),),
        parent=first,
    )
    made_with = Provenance(torch="2", device="cpu", threads=2, files={"vqgan.safetensors": "0" * 64})
    for request in (first, whole):
        text = recipe_to_json(Recipe(request=request, made_with=made_with))
        yield text.encode()
        yield from (encode(Image.new("RGB", (1, 1)), kind, text) for kind in ("png", "jpeg", "webp"))
        yield from (wrap(text.encode()) for wrap in (hostile_recipes.in_png, hostile_recipes.in_webp))
    yield from _made(hostile_recipes.FILES)


def prompts() -> Iterator[bytes]:
    """Examples of every rule of the grammar."""
    texts = (
        "a castle:1 | fog:-0.5 ^ the next scene", "a castle:2:0.4", "Star Wars: a new hope", "a clock, 10:30:2",
        r"a ratio of 4\:3", r"a cat \^_\^", "```py\na boat\n```", "`a`", "a:nan", "a:1e308", "a:-1:-0.5 | b", "|", "^",
        "a | b:0 | c:1,5", "\u202eelppa\u202c", "\U0001f468\u200d\U0001f469", "a:\u22121", "10:30", "",
    )  # fmt: skip
    yield from (text.encode() for text in texts)
    yield b"a \xed\xa0\x80 b"


def snapshots() -> Iterator[bytes]:
    """A valid one and invalid ones."""
    tensors = {"average": torch.zeros(1, 2, 2, 2), "random": torch.zeros(8, dtype=torch.uint8)}
    whole = pack(Snapshot(recipe_to_json(Recipe(request=GenerationRequest(prompt="a"))), {"step": 3}, tensors))
    yield whole
    yield whole[:-3]
    yield whole.replace(b'"version":"1"', b'"version":"9"')
    yield safetensors.torch.save({"weight": torch.zeros(3)}, {"format": "pt"})
    for metadata in ({}, [], {"format": "reverie.dream", "version": "1", "facts": "[]", "recipe": ""}):
        text = json.dumps({"__metadata__": metadata}).encode()
        yield len(text).to_bytes(8, "little") + text


def pickles() -> Iterator[bytes]:
    """Plain values in every protocol, torch's files, and attacks."""
    tree = {"state_dict": OrderedDict(a=(1, -2.5, None, True)), "b": [{1: b"x"}, ("é", 2**70)], "c": {1, 2}}
    yield from (pickle.dumps(tree, protocol) for protocol in range(6))
    yield from (pickle.dumps([Attack(), np.ones(2)], protocol) for protocol in (0, 2, 4))
    yield pickled({"a": RawTensor(StorageReference("0", 4), 0, (2, 2), (2, 1))})
    yield pickled(OrderedDict(a=RawTensor(StorageReference("0", 2**61), 2**61, (2**30, 2**30), (0, 0))))
    with zipfile.ZipFile(io.BytesIO(saved({"a": torch.ones(2)}))) as archive:
        yield archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    yield b"\x80\x04(" + b"l" * 50 + b"d."
    yield b"(" * 50 + b"t" * 50 + b"."


def checkpoints() -> Iterator[bytes]:
    """Files of each format."""
    state = {"a": torch.ones(2, 3), "b": torch.ones(2, dtype=torch.float16)[:1]}
    yield saved({"state_dict": state})
    yield legacy(state)
    yield safetensors.torch.save({"a": torch.ones(2)})
    tree = pickled({"a": RawTensor(StorageReference("0", 4), 0, (2, 2), (2, 1))})
    for content in (bytes(16), bytes(8)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a/data.pkl", tree)
            archive.writestr("a/data/0", content)
        yield out.getvalue()
    yield from (
        start + bytes(40) for start in (b"\x1f\x8b", b"\x89PNG", b"<html>", b'{"a"', b"PK\x03\x04", b"\x80\x02")
    )


def yamls() -> Iterator[bytes]:
    """A valid one, a transformer's, and invalid ones."""
    yield YAML.encode()
    inner = YAML.replace("\n", "\n      ").strip()
    yield f"model:\n  params:\n    first_stage_config:\n      {inner.removeprefix('model:')}".encode()
    yield from (b"", b"a: *b", b"- 1\n- 2", b"model: {target: 1, params: []}", b"? [a]\n: !!python/object:os.system {}")
    yield YAML.replace("256", "0x1_0:60", 2).encode()


def pictures() -> Iterator[bytes]:
    """Small pictures of each kind and mode, and hostile ones."""
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
        yield hostile_pictures.saved(mode, (5, 3), "PNG")
    for mode, kind in (
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("RGBA", "WEBP"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
    ):
        yield hostile_pictures.saved(mode, (5, 3), kind)
    yield from (hostile_pictures.rotated(turn) for turn in (6, 60_000))
    yield hostile_pictures.flat_png(3, 3, 16, 6)
    yield from _made(hostile_pictures.FILES, but=("16 megapixels", "49 megapixels"))


def _made(files: Mapping[str, Callable[[], bytes]], but: tuple[str, ...] = ()) -> Iterator[bytes]:
    """The hostile files without the large ones, which take long to make."""
    yield from (make() for name, make in files.items() if not any(word in name for word in but))
