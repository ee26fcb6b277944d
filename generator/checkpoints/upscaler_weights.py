"""Selection and check of an upscaler's tensors in a file. Only spandrel knows their names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.trees import find_tensors
from generator.models.upscaler import UnknownNetwork, build

_PREFIXES = ("module.", "netG.", "generator.")


class UpscalerWeights:
    """The weights of an upscaler that should enlarge by `scale`; None stands for any factor.

    Attributes:
        fingerprint: differs between factors.
    """

    def __init__(self, scale: int | None = None) -> None:
        self._scale, self.fingerprint = scale, f"upscaler {scale or ''}".strip()

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find the network's tensors in a file's description; of running averages and plain weights, the averages.

        Raises:
            Fault: if there are none, or it is a VQGAN or a CLIP.
        """
        for landmark, kind in (("decoder.conv_in.weight", "a VQGAN"), ("text_projection", "a CLIP model")):
            if find_tensors(tree, landmark):
                raise Fault(f"is {kind}, not an upscaler; give an upscaler of the Real-ESRGAN kind.")
        tensors = find_tensors(tree, ".weight")
        if not tensors:
            raise Fault("holds no weights of a network; give an upscaler of the Real-ESRGAN kind.")
        for prefix in _PREFIXES:
            if all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        return dict(sorted(tensors.items()))

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors as they are."""
        return tensors

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Build the network from the shapes alone.

        Raises:
            Fault: if it is another architecture, or enlarges by another factor.
        """
        try:
            network = build({name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()})
        except UnknownNetwork as exc:
            raise Fault(str(exc)) from exc
        if any(not tensor.is_floating_point() for tensor in tensors.values()):
            raise Fault("holds whole numbers where weights belong; get the file again.")
        if self._scale not in (None, network.scale):
            raise Fault(f"enlarges by {network.scale}, not by {self._scale}; get the right file.")
