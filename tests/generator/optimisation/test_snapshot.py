"""Snapshots preserve their content; rejected ones are in test_bad_snapshots."""

from __future__ import annotations

import json

import pytest
import safetensors
import torch

from generator.errors import CheckpointError
from generator.optimisation.snapshot import Snapshot, latent_of, pack, unpack

TENSORS = {
    "average": torch.randn(1, 2, 3, 3),
    "random": torch.arange(9, dtype=torch.uint8),
    "nothing": torch.zeros(0, dtype=torch.float64),
    "one": torch.tensor(0.1, dtype=torch.float64),
}


def test_packed_values_are_unpacked_unchanged() -> None:
    facts = {"step": 3, "last": [0, [0.1, 1 / 3, -2.5e-12]], "none": None}
    back = unpack(pack(Snapshot('{"prompt": "ünï 🍎"}', facts, TENSORS)))
    assert back.recipe == '{"prompt": "ünï 🍎"}'
    assert back.facts == facts
    assert back.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert back.tensors[name].dtype == tensor.dtype
        assert torch.equal(back.tensors[name], tensor)


def test_tensors_that_share_memory_may_be_packed() -> None:
    row = torch.arange(6.0)
    back = unpack(pack(Snapshot("{}", {}, {"whole": row, "part": row[::2]})))
    assert back.tensors["part"].tolist() == [0.0, 2.0, 4.0]


def test_the_bytes_are_safetensors_that_others_can_read() -> None:
    data = pack(Snapshot("{}", {"step": 1}, TENSORS))
    assert {name for name, _ in safetensors.deserialize(data)} == TENSORS.keys()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["format"] == "reverie.dream"


def test_facts_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        pack(Snapshot("{}", {"loss": float("inf")}, {}))


def test_the_latent_to_go_on_from_is_taken_out() -> None:
    assert torch.equal(latent_of(pack(Snapshot("{}", {}, TENSORS))), TENSORS["average"])
    for wrong in ({}, {"average": torch.zeros(3)}, {"average": torch.zeros(1, 2, 3, 3).double()}):
        with pytest.raises(CheckpointError, match="holds no latent"):
            latent_of(pack(Snapshot("{}", {}, wrong)))
