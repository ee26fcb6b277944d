"""Parts of bad model files: inconsistent zips, impossible tensors, malicious pickles."""

import io
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from generator.checkpoints.conversion import Weights, open_converted
from generator.errors import CheckpointError


class Attack:
    """Create a file in the current folder if Python unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("made by the attack",)


class StorageReference:
    """Pickle as the reference to a storage that torch.save would write."""

    def __init__(self, key: str, count: int, kind: type = torch.FloatStorage) -> None:
        self.id = ("storage", kind, key, "cpu", count)


class RawTensor:
    """Pickle as a tensor with any numbers, including impossible ones."""

    def __init__(self, storage: StorageReference, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.arguments = (storage, offset, shape, stride, False, OrderedDict())

    def __reduce__(self) -> tuple[object, ...]:
        return torch._utils._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        return obj.id if isinstance(obj, StorageReference) else None


def pickled(tree: object) -> bytes:
    """A pickle in which storages are references."""
    out = io.BytesIO()
    _Pickler(out, 2).dump(tree)
    return out.getvalue()


def zipped(path: Path, records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip file of these records; a name that ends in #2 is a duplicate of the same name."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.filterwarnings("ignore", message="Duplicate name")
        for name, content in records.items():
            archive.writestr(name.removesuffix("#2"), content)
    return path


def saved(state: Mapping[str, object], **arguments: object) -> bytes:
    out = io.BytesIO()
    torch.save(state, out, **arguments)
    return out.getvalue()


def legacy(state: Mapping[str, object]) -> bytes:
    return saved(state, _use_new_zipfile_serialization=False)


def by_hand(path: Path, tree: object, **records: bytes) -> None:
    """A file in the form of torch.save's, whose description and records can contradict each other."""
    contents = {"a/data.pkl": pickled(tree), "a/version": b"3\n"}
    zipped(path, contents | {f"a/data/{name}": content for name, content in records.items()})


def rewritten(path: Path, content: bytes, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """A zip file with changed records."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        zipped(path, change({name: archive.read(name) for name in archive.namelist()}))


def refused(path: Path, words: str, weights: Weights) -> str:
    """Return the error's sentence, after checking that nothing ran and only the file and its siblings exist."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(CheckpointError, match=words) as caught:
        open_converted(path, path.with_name("converted.safetensors"), weights)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path.name} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert sorted(path.parent.iterdir()) == before
    return sentence
