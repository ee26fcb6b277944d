"""Snapshots that are damaged, foreign, of another version or malicious: each gets a readable error."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.snapshot import Snapshot, pack, unpack
from generator.request import GenerationRequest

Make = Callable[..., GenerationRequest]


@pytest.fixture(scope="module")
def snapshot(models: Models, make_request: Make) -> bytes:
    dream = Dream(make_request(ema=0.5, coarse=0.5), models)
    dream.step()
    return dream.snapshot()


def without(entries: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name not in names}


def header(metadata: object) -> bytes:
    text = json.dumps({"__metadata__": metadata}).encode()
    return len(text).to_bytes(8, "little") + text


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


NOT_ONE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda data: b"", "cut off or is no snapshot"),
    "text": (lambda data: b"a red apple", "cut off or is no snapshot"),
    "a pickle": (lambda data: pickle.dumps({"step": 1, "z": [1.0] * 100}), "cut off or is no snapshot"),
    "a cut header": (lambda data: data[:100], "cut off or is no snapshot"),
    "a header that is no JSON": (lambda data: (2).to_bytes(8, "little") + b"{]", "not the snapshot of a dream"),
    "a header that is a list": (lambda data: (2).to_bytes(8, "little") + b"[]", "not the snapshot of a dream"),
    "a header of brackets": (lambda data: (10**5).to_bytes(8, "little") + b"[" * 10**5, "not the snapshot of a dream"),
    "metadata that is a list": (lambda data: header([1, 2]), "not the snapshot of a dream"),
    "other safetensors": (
        lambda data: safetensors.torch.save({"weight": torch.zeros(3)}, {"format": "pt"}),
        "not the snapshot of a dream",
    ),
    "a later version": (lambda data: header({"format": "reverie.dream", "version": "2"}), "has version '2'"),
    "only a header": (lambda data: header({"format": "reverie.dream", "version": "1"}), "is damaged"),
    "cut tensors": (lambda data: data[:-100], "is damaged"),
    "a tail too many": (lambda data: data + b"more", "is damaged"),
    "a flipped bit in a tensor": (lambda data: flipped(data, len(data) - 50), "is damaged .its digest"),
    "a flipped bit in the recipe": (
        lambda data: data.replace(b"a red apple", b"a rad apple", 1),
        "is damaged .its digest",
    ),
}


@pytest.mark.parametrize("case", NOT_ONE)
def test_bytes_that_are_no_whole_snapshot_are_refused(models: Models, snapshot: bytes, case: str) -> None:
    spoil, sentence = NOT_ONE[case]
    with pytest.raises(CheckpointError, match=sentence):
        Dream.resume(spoil(snapshot), models)


def fact(**changes: object) -> Callable[[Snapshot], Snapshot]:
    return lambda whole: whole._replace(facts={**whole.facts, **changes})


def tensor(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Snapshot], Snapshot]:
    return lambda whole: whole._replace(tensors={**whole.tensors, name: change(whole.tensors[name])})


def lacking(name: str) -> Callable[[Snapshot], Snapshot]:
    return lambda whole: whole._replace(facts=without(whole.facts, name), tensors=without(whole.tensors, name))


WRONG: dict[str, Callable[[Snapshot], Snapshot]] = {
    **{f"without {name}": lacking(name) for name in ("step", "plateau", "last", "waiting", "latent", "anchor")},
    **{f"without {name}": lacking(name) for name in ("average.sum", "average.missing", "random", "losses")},
    "without a moment": lacking("optimiser.exp_avg"),
    "without the optimiser's step": lacking("optimiser.step"),
    "a step beyond the end": fact(step=7),
    "a negative step": fact(step=-1),
    "a step that is a word": fact(step="one"),
    "a step that is a list": fact(step=[1]),
    "facts of the plateau that are words": fact(plateau={"average": "x", "best": 0, "since": 0}),
    "a reading of another form": fact(last=[0, [1.0, 2.0]]),
    "a reading of no form": fact(last=3),
    "a reading of another scene": fact(last=[5, [1.0, 1.0, 0.5]]),
    "a waiting reading of another scene": fact(waiting=[[-1, [1.0, 1.0, 0.5]]]),
    "a latent of another size": tensor("latent", lambda old: torch.zeros(1, 4, 9, 9)),
    "a latent of another type": tensor("latent", lambda old: old.double()),
    "a latent that is no number": tensor("latent", lambda old: old * float("nan")),
    "an infinite anchor": tensor("anchor", lambda old: old / 0),
    "a moment of another shape": tensor("optimiser.exp_avg", lambda old: torch.zeros(3)),
    "random state of another length": tensor("random", lambda old: old[:10]),
    "random state of another type": tensor("random", lambda old: old.float()),
    "losses of another number": tensor("losses", lambda old: torch.zeros(5)),
    "a recipe that is none": lambda whole: whole._replace(recipe="{}"),
    "a recipe that is no JSON": lambda whole: whole._replace(recipe="os.system('true')"),
    "a recipe with an unknown setting": lambda whole: whole._replace(recipe=whole.recipe.replace("cutouts", "cutups")),
    "a recipe of another size": lambda whole: whole._replace(recipe=whole.recipe.replace("32x32", "64x64")),
    "a recipe of another optimiser": lambda whole: whole._replace(recipe=whole.recipe.replace("adam", "rmsprop")),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_whole_snapshot_with_wrong_contents_is_refused(models: Models, snapshot: bytes, case: str) -> None:
    changed = pack(WRONG[case](unpack(snapshot)))
    with pytest.raises(CheckpointError, match=r"This snapshot is damaged \(.+\); start the picture anew"):
        Dream.resume(changed, models)


def test_a_snapshot_of_other_models_is_refused(models: Models, ensemble: Models, snapshot: bytes) -> None:
    with pytest.raises(CheckpointError, match="not made with the models 'tiny' as they are now"):
        Dream.resume(snapshot, ensemble)


def test_a_snapshot_of_another_kind_of_device_is_refused(models: Models, snapshot: bytes) -> None:
    changed = pack(fact(device="cuda")(unpack(snapshot)))
    with pytest.raises(CheckpointError, match="not made on a device of the kind 'cpu'"):
        Dream.resume(changed, models)
