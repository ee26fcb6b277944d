"""Selection of the VQGAN's tensors in a checkpoint, and a check against its yaml.

Checkpoints wrap the weights in different ways: Lightning's `state_dict` with optimisers and callbacks, a loss network
under `loss.`, the VQGAN inside a transformer (`first_stage_model.`, as in faceshq and sflckr), running averages of the
weights (`model_ema.` with the dots left out, a prefix or a separate dict). Averages are used if there are any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from generator.checkpoints.clip.towers import OF_OPEN_CLIP, OF_TIMM, OF_TRANSFORMERS
from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.trees import find_tensors, split_prefixes, with_prefix, without_average
from generator.models.vqgan import VQGAN
from generator.runtime.device import unfilled_weights

_LANDMARK = "decoder.conv_in.weight"
_PREFIXES = ("", "module.", "model.", "vqgan.", "first_stage_model.", "module.first_stage_model.")
_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


class VQGANWeights:
    """The weights of the VQGAN that a config describes.

    Attributes:
        fingerprint: differs between configs.
    """

    def __init__(self, config: DictConfig) -> None:
        with unfilled_weights():
            self._expected = {name: tuple(tensor.shape) for name, tensor in VQGAN(config).state_dict().items()}
        self.fingerprint = hashlib.sha256(OmegaConf.to_yaml(config, sort_keys=True).encode()).hexdigest()

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find the VQGAN's tensors in a file's description, by taming's names, and check their shapes.

        Raises:
            Fault: if there is no VQGAN in it, or another one than the config describes.
        """
        tensors = find_tensors(tree, _LANDMARK)
        if not tensors:
            if any(find_tensors(tree, name) for name in ("text_projection", OF_TRANSFORMERS, OF_TIMM, OF_OPEN_CLIP)):
                raise Fault("is a CLIP model, not a VQGAN; give it as a perceptor.")
            raise Fault(f"holds no VQGAN: there is no {_LANDMARK!r} in it; give the checkpoint of a VQGAN.")
        found = _averaged(_unwrapped(tensors))
        self._compare({name: tensor.shape for name, tensor in found.items()})
        return {name: found[name] for name in self._expected}

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors as they are: every file has taming's names."""
        return tensors

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Compare names, shapes and dtypes of tensors with those of the model.

        Raises:
            Fault: if they differ.
        """
        self._compare({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        for name, tensor in tensors.items():
            if not tensor.is_floating_point():
                raise Fault(f"holds whole numbers in {name[:80]}, where weights belong; get a file in float32.")

    def _compare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        wanted = self._expected
        missing = [name for name in wanted if name not in shapes]
        wrong = [name for name in wanted if name in shapes and shapes[name] != wanted[name]]
        extra = [name for name in shapes if name.startswith(_PARTS) and name not in wanted]
        if not (missing or wrong or extra):
            return
        file, yaml = _describe(shapes), _describe(wanted)
        if file != yaml:
            raise Fault(f"holds {file}, but its yaml describes {yaml}; use the yaml that belongs to it.")
        if wrong:
            reason = f"{wrong[0]} has the shape {list(shapes[wrong[0]])}, not {list(wanted[wrong[0]])}"
        else:
            reason = f"{missing[0]} is missing from it" if missing else f"the yaml knows no {extra[0][:80]}"
        raise Fault(f"does not fit its yaml ({reason}); use the yaml that belongs to it, or get the file again.")


def _unwrapped(tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Select the tensors below the VQGAN's prefix, without it; averages with their own prefix replace them."""
    plain, averaged = split_prefixes(tensors, _LANDMARK)
    known = [prefix for prefix in _PREFIXES if prefix in plain][:1]
    known += [each for prefix in _PREFIXES for each in averaged if without_average(each) == prefix][:1]
    rest = known or averaged or plain
    if len(rest) > 1 and not known:
        raise Fault("holds several VQGANs; save the one you want, its state_dict() alone.")
    return {name: tensor for prefix in rest for name, tensor in with_prefix(tensors, prefix).items()}


def _averaged(tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Replace each tensor by its running average, if the checkpoint has one: `model_ema.` and the name without dots."""
    return {name: tensors.get(f"model_ema.{name.replace('.', '')}", tensor) for name, tensor in tensors.items()}


def _describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Describe a model by its shapes: factor, kind of codebook, codes."""
    steps = {name.split(".")[2] for name in shapes if name.startswith("encoder.down.") and ".downsample." in name}
    levels = {name.split(".")[2] for name in shapes if name.startswith("decoder.up.")}
    factor = 2 ** (len(steps) or max(0, len(levels) - 1))  # without convolutions between sizes, no such names exist
    for name, kind in (("embedding", "plain"), ("embed", "Gumbel")):
        codebook = shapes.get(f"quantize.{name}.weight")
        if codebook is not None and len(codebook) == 2:
            return f"an f{factor} {kind} VQGAN with {codebook[0]} codes of {codebook[1]} numbers"
    return f"an f{factor} autoencoder without a codebook"
