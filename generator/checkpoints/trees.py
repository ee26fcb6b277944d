"""Named tensors in what a model file describes: the state dict, wherever it was put. No torch; any thread."""

from __future__ import annotations

from generator.checkpoints.descriptions import Foreign, StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.torchscript import is_module, module_tensors

# Where programs put state dicts inside a file; running averages first, since they are the better weights.
_PLACES = (
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "params_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "params",
    "net",
)


def find_tensors(tree: object, landmark: str) -> dict[str, StoredTensor]:
    """The first mapping of names to tensors with a name that ends in `landmark`; {} if there is none.

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
