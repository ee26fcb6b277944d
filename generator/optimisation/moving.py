"""Resume on another kind of device: convert a snapshot for its models."""

from __future__ import annotations

from typing import Any

import torch

from generator.models.model_set import Models
from generator.optimisation.snapshot import damaged, pack, unpack
from generator.recipe import request_from_json


def moved_snapshot(models: Models, snapshot: bytes) -> bytes:
    """Convert the snapshot for models on another kind of device; unchanged if the kind is the same.

    Latent, optimiser and average stay. Random states cannot be carried over, since each kind draws numbers differently;
    they begin anew, from seed and step. The dream warns that it was moved.

    Raises:
        CheckpointError: if it is damaged.
    """
    data, device = unpack(snapshot), models.device
    if data.facts.get("device") == device.type:
        return snapshot
    try:
        seed = request_from_json(data.recipe).settings.seed + int(data.facts["step"])
        random_state = torch.Generator(device).manual_seed(seed).get_state()
        changes: dict[str, Any] = {
            "device": device.type,
            "fitting": {**data.facts["fitting"], "moved": True},
            "scale": (models.precision.loss_scale, 0),
        }
    except (KeyError, ValueError, TypeError) as exc:
        raise damaged(exc) from exc
    facts, tensors = {**data.facts, **changes}, {**data.tensors, "random": random_state}
    return pack(data._replace(facts=facts, tensors=tensors))
