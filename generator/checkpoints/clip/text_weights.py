"""Text towers in files of their own: the network, and the projection after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from generator.checkpoints.clip.config import check_heads
from generator.checkpoints.clip.towers import DENSE, WORDS, layout_of_text
from generator.checkpoints.clip.weights import check_places
from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.faults import AGAIN, Fault, naming_file
from generator.checkpoints.trees import find_tensors
from generator.models.clip import ClipConfig
from generator.models.towers.bert import build_text

_DENSE = "linear.weight"
_DENSE_FOLDER = "2_Dense"
_DENSE_FILES = ("model.safetensors", "pytorch_model.bin")


class TextWeights:
    """The weights of a text tower of the BERT family, without those of a picture tower."""

    def __init__(self, config: ClipConfig) -> None:
        self._config = config
        self.fingerprint = f"text {config.text}"

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find its tensors in a file's description.

        Raises:
            Fault: if there is none in it.
        """
        tensors = find_tensors(tree, WORDS)
        layout = layout_of_text(tensors)
        if layout is None:
            raise Fault(f"holds no text tower of the BERT family: there is no {WORDS!r} in it; {AGAIN}.")
        return {name: each for name, each in sorted(tensors.items()) if layout.keeps(name)}

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename them.

        Raises:
            Fault: if a part is missing.
        """
        layout = layout_of_text(tensors)
        return tensors if layout is None else layout.arrange(tensors)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Build a tower from the shapes alone, to check that it can be built and takes all tensors.

        Raises:
            Fault: if not.
        """
        _check_floating(tensors)
        check_places(tensors)
        check_heads(tensors, self._config)
        shapes = {name: torch.empty(tensor.shape, device="meta") for name, tensor in tensors.items()}
        try:
            with torch.device("meta"):
                tower = build_text(shapes, self._config.text, self._config.text_heads, self._config.context)
            own = {name.removeprefix("text."): tensor for name, tensor in shapes.items()}
            tower.load_state_dict(own, assign=True)
        except (KeyError, ValueError, IndexError, RuntimeError, TypeError) as exc:
            reason = " ".join(str(exc).split())[:160]
            raise Fault(f"is no text tower that Reverie can run ({reason}); get the file of its authors.") from exc


class DenseWeights:
    """The projection of sentence-transformers after a text tower."""

    fingerprint = "dense"

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find its tensors in a file's description.

        Raises:
            Fault: if there is none in it.
        """
        tensors = find_tensors(tree, _DENSE)
        if not tensors:
            raise Fault(f"holds no projection: there is no {_DENSE!r} in it; {AGAIN}.")
        return {name: each for name, each in sorted(tensors.items()) if DENSE.keeps(name)}

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename them."""
        return DENSE.arrange(tensors)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that it is one matrix, with a bias or without.

        Raises:
            Fault: if not.
        """
        _check_floating(tensors)
        weight, bias = tensors.get("text.proj.0.weight"), tensors.get("text.proj.0.bias")
        if weight is None or weight.dim() != 2 or (bias is not None and bias.shape != weight.shape[:1]):
            raise Fault(f"holds no matrix after a text tower; {AGAIN}.")


def dense_beside(file: Path) -> Path | None:
    """The projection of sentence-transformers in the folder of a text tower; None if there is none.

    Raises:
        CheckpointError: if its configuration asks for more than a product.
    """
    folder = file.with_name(_DENSE_FOLDER)
    found = next((folder / name for name in _DENSE_FILES if (folder / name).is_file()), None)
    config = folder / "config.json"
    if found is not None and config.is_file():
        with naming_file(config):
            try:
                activation = json.loads(config.read_text(encoding="utf-8")).get("activation_function", "Identity")
            except (ValueError, AttributeError, RecursionError) as exc:
                raise Fault(f"is no JSON of sentence-transformers; {AGAIN}.") from exc
            if not str(activation).endswith("Identity"):
                raise Fault(
                    f"has the activation {str(activation)[:60]!r}, which Reverie cannot run; use another model."
                )
    return found


def _check_floating(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise Fault(f"holds whole numbers in {name[:80]}, where weights belong; {AGAIN}.")
