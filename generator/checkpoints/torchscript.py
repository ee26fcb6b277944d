"""The weights of a TorchScript archive, taken from the state of its modules without running its code. No torch.

OpenAI publishes CLIP as such archives; `clip.load` executes them. An archive's `data.pkl` describes the root module:
each module is an object, and its state maps names to parameters, buffers, plain attributes and further modules.
"""

from __future__ import annotations

from typing import TypeGuard

from generator.checkpoints.descriptions import Foreign, StoredTensor
from generator.checkpoints.faults import Fault

MAX_DEPTH = 32
MAX_MODULES = 20_000


def is_module(value: object) -> TypeGuard[Foreign]:
    """True if a value stands for a TorchScript module."""
    return isinstance(value, Foreign) and value.name.startswith("__torch__.") and isinstance(value.state, dict)


def module_tensors(root: Foreign) -> dict[str, StoredTensor]:
    """Collect every tensor below a module by its dotted name, as in a state dict, including plain tensor attributes.

    Raises:
        Fault: if modules are nested endlessly.
    """
    found: dict[str, StoredTensor] = {}
    visited = 0
    pending: list[tuple[str, Foreign, int]] = [("", root, 0)]
    while pending:
        prefix, module, depth = pending.pop()
        visited += 1
        if depth > MAX_DEPTH or visited > MAX_MODULES:
            raise Fault("nests its modules in a way that no model does; do not use it.")
        for name, value in module.state.items():
            if isinstance(value, StoredTensor):
                found[f"{prefix}{name}"] = value
            elif is_module(value):
                pending.append((f"{prefix}{name}.", value, depth + 1))
    return found
