"""Named tensors in the description of a model file: finds the state dict. No torch; any thread."""

from __future__ import annotations

from collections.abc import Iterable

from generator.checkpoints.descriptions import Foreign, StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.torchscript import is_module, module_tensors

# Places of state dicts inside a file; running averages first, since they are the better weights.
_PLACES = (
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "ema_model",
    "params_ema",
    "ema_params",
    "averaged_model",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "params",
    "net",
)

_AVERAGES = {"ema", "averaged", "average", "swa"}
"""Words by which programs call running averages, as in `ema_model.` and `averaged_model.`."""


def find_tensors(tree: object, landmark: str) -> dict[str, StoredTensor]:
    """Find the first mapping of names to tensors with a name that ends in `landmark`; {} if there is none.

    Raises:
        Fault: if the file holds a whole program object instead of weights.
    """
    if is_module(tree):
        candidates: list[object] = [module_tensors(tree)]
    elif isinstance(tree, dict):
        candidates = [tree.get(place) for place in _PLACES] + [tree]
    elif isinstance(tree, Foreign):
        raise Fault(
            f"holds a whole object of the program that saved it ({tree.name.replace(' ', '.')[:80]}), not weights; "
            "save its state_dict() there and use that."
        )
    else:
        candidates = []
    for candidate in candidates:
        tensors = _tensors(candidate)
        if any(name.endswith(landmark) for name in tensors):
            return tensors
    return {}


def _tensors(candidate: object) -> dict[str, StoredTensor]:
    if not isinstance(candidate, dict):
        return {}
    return {
        name: value for name, value in candidate.items() if isinstance(name, str) and isinstance(value, StoredTensor)
    }


def split_prefixes(names: Iterable[str], landmark: str) -> tuple[list[str], list[str]]:
    """List the prefixes of all models that have the landmark, in order: of plain weights, and of running averages."""
    prefixes = [name.removesuffix(landmark) for name in names if name.endswith(landmark)]
    averaged = [prefix for prefix in prefixes if without_average(prefix) != prefix]
    return [prefix for prefix in prefixes if prefix not in averaged], averaged


def without_average(prefix: str) -> str:
    """Return the prefix of the plain weights: `first_stage_model.` for `ema_model.first_stage_model.`."""
    return "".join(f"{part}." for part in prefix.split(".")[:-1] if _AVERAGES.isdisjoint(part.lower().split("_")))


def with_prefix(tensors: dict[str, StoredTensor], prefix: str) -> dict[str, StoredTensor]:
    """Select the tensors with this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
