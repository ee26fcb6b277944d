"""Broken and hostile checkpoints: each is rejected with a readable error, runs nothing and leaves nothing behind."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import DictConfig
from torch import Tensor

from generator.checkpoints.conversion import open_converted
from generator.checkpoints.digests import pin_of
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import CheckpointError
from tests.generator.checkpoints.hostile import (
    Attack,
    RawTensor,
    StorageReference,
    by_hand,
    legacy,
    refused,
    rewritten,
    saved,
    zipped,
)

State = dict[str, Tensor]
Maker = Callable[[Path, State], object]
CODEBOOK = "quantize.embedding.weight"
CASES: dict[str, tuple[Maker, str]] = {}


def case(name: str, words: str) -> Callable[[Maker], Maker]:
    """Register a function that writes a bad file, and the expected error."""

    def register(maker: Maker) -> Maker:
        CASES[name] = maker, words
        return maker

    return register


for words, start in {
    "is a web page, not a model": b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
    "is a text of JSON, not a model": b'{"error": "quota exceeded"}',
    "is only a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "is a gzip file; unpack it": b"\x1f\x8b\x08\x00" + bytes(40),
    "is a picture, not a model": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "is a rar folder": b"Rar!\x1a\x07\x00" + bytes(40),
    "is an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "is a numpy array": b"\x93NUMPY\x01\x00" + bytes(40),
    "is empty inside": bytes(4096),
    "is empty; get": b"",
    "is no model file of PyTorch": b"hello, I am a model",
}.items():
    case(words.split(";")[0], words)(lambda path, state, start=start: path.write_bytes(start))


@case("cut off in the middle", "is cut off: its table of contents is missing; get the file again")
def _(path: Path, state: State) -> None:
    content = saved(state)
    path.write_bytes(content[: len(content) // 2])


@case("cut off at the end", r"is (cut off|damaged)")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved(state)[:-30])


@case("beginning missing", r"is (no model file|damaged|cut off)")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved(state)[1000:])


@case("one bit of a tensor flipped", "is damaged: the checksum of a part does not match")
def _(path: Path, state: State) -> None:
    content = bytearray(saved(state))
    content[content.find(state[CODEBOOK].numpy().tobytes()) + 5] ^= 1
    path.write_bytes(content)


@case("one byte of the description changed", "is damaged: the checksum")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved(state).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9", 1))


@case("compressed afterwards", "was compressed after it was saved")
def _(path: Path, state: State) -> None:
    with zipfile.ZipFile(io.BytesIO(saved(state))) as archive:
        zipped(path, {name: archive.read(name) for name in archive.namelist()}, zipfile.ZIP_DEFLATED)


@case("a zip bomb", "was compressed after it was saved")
def _(path: Path, state: State) -> None:
    zipped(path, {"a/data.pkl": bytes(200 * 2**20)}, zipfile.ZIP_DEFLATED)


@case("names that lead out", "names lead out of it")
def _(path: Path, state: State) -> None:
    rewritten(path, saved(state), lambda records: records | {"archive/../../../etc/cron.d/x": b"* * * * * root x"})


@case("an absolute name", "names lead out of it")
def _(path: Path, state: State) -> None:
    rewritten(path, saved(state), lambda records: records | {"/etc/passwd": b"x"})


@case("one record twice", "holds two records named")
def _(path: Path, state: State) -> None:
    rewritten(path, saved(state), lambda records: records | {"archive/data/0#2": b"x"})


@case("a zip folder with the model inside", r"is a zip folder; unpack it and use model\.ckpt from inside")
def _(path: Path, state: State) -> None:
    zipped(path, {"vqgan/model.ckpt": saved(state), "vqgan/model.yaml": b"model:"})


@case("a zip file of something else", "not one that torch.save or TorchScript wrote")
def _(path: Path, state: State) -> None:
    zipped(path, {"word/document.xml": b"<x/>", "[Content_Types].xml": b"<x/>"})


@case("a table of contents that points elsewhere", r"is (damaged|cut off)")
def _(path: Path, state: State) -> None:
    content = bytearray(saved(state))
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 42 : entry + 46] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)


@case("numbers missing", "lacks the numbers of a tensor")
def _(path: Path, state: State) -> None:
    rewritten(
        path, saved(state), lambda records: {name: value for name, value in records.items() if "/data/3" not in name}
    )


@case("big-endian", "big-endian machine")
def _(path: Path, state: State) -> None:
    rewritten(path, saved(state), lambda records: records | {"archive/byteorder": b"big"})


@case("a tensor larger than its numbers", "reaches beyond its numbers")
def _(path: Path, state: State) -> None:
    shape = tuple(state[CODEBOOK].shape)
    liar = RawTensor(StorageReference("x", 512), 0, shape, (16, 1))
    lying(path, state, liar, bytes(8))


@case("a tensor that begins behind its numbers", "reaches beyond its numbers")
def _(path: Path, state: State) -> None:
    liar = RawTensor(StorageReference("x", 512), 2**40, (32, 16), (16, 1))
    lying(path, state, liar, bytes(2048))


@case("a tensor that repeats one number", "reaches beyond its numbers")
def _(path: Path, state: State) -> None:
    liar = RawTensor(StorageReference("x", 1), 0, (32, 16), (0, 0))
    lying(path, state, liar, bytes(4))


@case("a negative offset", "describes a tensor that cannot be")
def _(path: Path, state: State) -> None:
    lying(path, state, RawTensor(StorageReference("x", 512), -8, (32, 16), (16, 1)), bytes(2048))


@case("a negative stride", "describes a tensor that cannot be")
def _(path: Path, state: State) -> None:
    lying(path, state, RawTensor(StorageReference("x", 512), 511, (32, 16), (-16, -1)), bytes(2048))


@case("a size beyond any memory", "describes a tensor that cannot be")
def _(path: Path, state: State) -> None:
    lying(path, state, RawTensor(StorageReference("x", 512), 0, (2**62, 16), (16, 1)), bytes(2048))


@case("a storage of negative length", "describes a storage that cannot be")
def _(path: Path, state: State) -> None:
    lying(path, state, RawTensor(StorageReference("x", -1), 0, (32, 16), (16, 1)), bytes(2048))


@case("a tensor of forty dimensions", "describes a tensor that cannot be")
def _(path: Path, state: State) -> None:
    lying(path, state, RawTensor(StorageReference("x", 1), 0, (1,) * 40, (1,) * 40), bytes(4))


@case("a storage of two kinds", "gives one storage two kinds of numbers")
def _(path: Path, state: State) -> None:
    first = RawTensor(StorageReference("x", 4), 0, (4,), (1,))
    second = RawTensor(StorageReference("x", 4, torch.HalfStorage), 0, (4,), (1,))
    by_hand(path, {"a": first, "b": second}, x=bytes(16))


@case("a record named with a path", "lacks the numbers of a tensor")
def _(path: Path, state: State) -> None:
    liar = RawTensor(StorageReference("../../../etc/passwd", 512), 0, (32, 16), (16, 1))
    lying(path, state, liar, bytes(2048))


@case("nothing but an attack", "holds no VQGAN")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({"state_dict": Attack(), "epoch": Attack()}))


@case("an attack in the old format", "holds no VQGAN")
def _(path: Path, state: State) -> None:
    path.write_bytes(legacy({"state_dict": Attack()}))


@case("a bare attack", "is a pickle, but not one that torch.save wrote")
def _(path: Path, state: State) -> None:
    path.write_bytes(pickle.dumps(Attack()))


@case("an attack in place of one tensor", f"{CODEBOOK} is missing from it|autoencoder without a codebook")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: Attack()}))


@case("a whole pickled module", r"holds a whole object of the program that saved it \(torch\.nn\.modules.*state_dict")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved(torch.nn.Linear(2, 2)))


@case("a list", "holds no VQGAN")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved(list(state.values())))


@case("old format cut off in the numbers", "is cut off")
def _(path: Path, state: State) -> None:
    path.write_bytes(legacy(state)[:-100])


@case("old format cut off in the description", "is damaged or cut off")
def _(path: Path, state: State) -> None:
    path.write_bytes(legacy(state)[:900])


@case("old format of another protocol", "has an old format that Reverie does not read")
def _(path: Path, state: State) -> None:
    path.write_bytes(legacy(state).replace(b"M\xe9\x03.", b"M\xe8\x03.", 1))


@case("old format of a big-endian machine", "has an old format that Reverie does not read")
def _(path: Path, state: State) -> None:
    path.write_bytes(re.sub(rb"(little_endian.{,3})\x88", b"\\1\x89", legacy(state), count=1))


@case("safetensors cut off", "is a damaged safetensors file")
def _(path: Path, state: State) -> None:
    path.write_bytes(safetensors.torch.save(state)[:-10])


@case("safetensors whose tensors overlap", "is a damaged safetensors file")
def _(path: Path, state: State) -> None:
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))


@case("safetensors without a VQGAN", "holds no VQGAN")
def _(path: Path, state: State) -> None:
    path.write_bytes(safetensors.torch.save({"lora.down.weight": torch.ones(2, 2)}))


@case("a tensor missing", "does not fit its yaml (.*norm_out.weight is missing from it)")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({name: tensor for name, tensor in state.items() if name != "decoder.norm_out.weight"}))


@case("a tensor of another shape", r"decoder\.conv_in\.weight has the shape \[3\], not \[32, 32, 3, 3\]")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, "decoder.conv_in.weight": torch.ones(3)}))


@case("layers that the yaml does not know", "the yaml knows no encoder.down.3.attn.0.q.weight")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, "encoder.down.3.attn.0.q.weight": torch.ones(32, 32, 1, 1)}))


@case("another factor", "holds an f4 plain VQGAN with 32 codes of 16 numbers, but its yaml describes an f8 plain VQGAN")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({name: tensor for name, tensor in state.items() if ".2.downsample" not in name}))


@case("a Gumbel codebook for a plain yaml", "holds an f8 Gumbel VQGAN with 32 codes .* describes an f8 plain VQGAN")
def _(path: Path, state: State) -> None:
    state = dict(state)
    state["quantize.embed.weight"] = state.pop(CODEBOOK)
    path.write_bytes(saved(state))


@case("another number of codes", "with 99 codes of 16 numbers, but its yaml describes .* with 32 codes")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: torch.ones(99, 16)}))


@case("an autoencoder without a codebook", "holds an f8 autoencoder without a codebook")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({f"first_stage_model.{k}": v for k, v in state.items() if k != CODEBOOK}))


@case("two VQGANs", "holds several VQGANs")
def _(path: Path, state: State) -> None:
    path.write_bytes(
        saved({f"{which}.{name}": tensor for which in ("left", "right") for name, tensor in state.items()})
    )


@case("not a number", "in quantize.embedding.weight that are infinite or none at all")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: state[CODEBOOK] * float("nan")}))


@case("infinite", "in decoder.conv_out.bias that are infinite")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, "decoder.conv_out.bias": torch.full((3,), float("inf"))}))


@case("whole numbers", "holds whole numbers in quantize.embedding.weight")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: torch.ones(32, 16, dtype=torch.int8)}))


@case("complex numbers", "lacks|is missing|of a kind|without a codebook")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: state[CODEBOOK].to(torch.complex64)}))


@case("float8", "numbers of a kind .float8_e4m3fn. that Reverie does not use")
def _(path: Path, state: State) -> None:
    path.write_bytes(saved({**state, CODEBOOK: state[CODEBOOK].to(torch.float8_e4m3fn)}))


def lying(path: Path, state: State, codebook: RawTensor, content: bytes) -> None:
    """A file with all of the VQGAN's tensors, zeros, except for a codebook that misstates `content`."""
    tree: dict[str, object] = {}
    records = {"x": content}
    for number, (name, tensor) in enumerate(state.items()):
        key, shape = str(number), tuple(tensor.shape)
        tree[name] = RawTensor(StorageReference(key, tensor.numel()), 0, shape, tensor.stride())
        records[key] = bytes(4 * tensor.numel())
    by_hand(path, {**tree, CODEBOOK: codebook}, **records)


def test_there_are_many_bad_files() -> None:
    assert len(CASES) >= 50


@pytest.fixture(scope="module")
def expected(vqgan_config: DictConfig) -> VQGANWeights:
    return VQGANWeights(vqgan_config)


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_refused_with_a_sentence(
    name: str, tmp_path: Path, weights: State, expected: VQGANWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    maker, words = CASES[name]
    maker(tmp_path / "bad.ckpt", weights)
    refused(tmp_path / "bad.ckpt", words, expected)


def test_the_attack_is_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.load(io.BytesIO(saved({"epoch": Attack()})), weights_only=False)
    assert (tmp_path / "made by the attack").exists()


@pytest.mark.parametrize("save", [saved, legacy])
def test_an_attack_next_to_good_weights_does_nothing(
    save: Callable[[object], bytes],
    tmp_path: Path,
    weights: State,
    expected: VQGANWeights,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.ckpt").write_bytes(save({"callbacks": [Attack()], "state_dict": weights, "epoch": Attack()}))
    found = open_converted(tmp_path / "good.ckpt", tmp_path / "converted.safetensors", expected).tensors
    assert torch.equal(found[CODEBOOK], weights[CODEBOOK])
    assert not (tmp_path / "made by the attack").exists()


def test_a_missing_file_says_so(tmp_path: Path, expected: VQGANWeights) -> None:
    with pytest.raises(CheckpointError, match=r"none\.ckpt is missing; put the file there or fetch it"):
        open_converted(tmp_path / "none.ckpt", tmp_path / "converted.safetensors", expected)


def test_a_folder_is_no_file(tmp_path: Path, expected: VQGANWeights) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_converted(tmp_path, tmp_path / "converted.safetensors", expected)


def test_a_damaged_pin_is_no_pin(tmp_path: Path, weights: State, expected: VQGANWeights) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(weights, path)
    pin_of(path).write_text("not a digest")
    refused(path, r"pinned digest that cannot be read; delete last\.ckpt\.sha256", expected)


def test_a_converted_file_that_was_tampered_with_is_not_used(
    tmp_path: Path, weights: State, expected: VQGANWeights
) -> None:
    path, target = tmp_path / "last.ckpt", tmp_path / "converted.safetensors"
    torch.save(weights, path)
    open_converted(path, target, expected)
    content = target.read_bytes()
    target.write_bytes(content.replace(b'"F32"', b'"I32"'))
    with pytest.raises(CheckpointError, match=r"converted\.safetensors is damaged; delete"):
        open_converted(path, target, expected)
