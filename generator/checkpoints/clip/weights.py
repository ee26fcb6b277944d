"""Selection and check of CLIP's tensors in a file.

OpenAI's archives also hold facts as tensors (`input_resolution` and such) and, depending on their age, masks; only the
names that CLIP's own modules give to their weights are taken.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from generator.checkpoints.clip.config import check_heads
from generator.checkpoints.clip.layouts import (
    TEXT_LANDMARK,
    from_transformers,
    is_of_transformers,
    kept_of_transformers,
    refuse_strangers,
)
from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.trees import find_tensors, split_prefixes, with_prefix
from generator.errors import CheckpointError
from generator.models.clip import CONTEXT_TOKENS, DEFAULT_CONFIG, VOCABULARY_SIZE, ClipConfig, Perceptor
from generator.models.towers.convnext import LANDMARK

_LANDMARK = "text_projection"
_ROOTS = (
    "visual",
    "transformer",
    "token_embedding",
    "ln_final",
    "positional_embedding",
    "text_projection",
    "logit_scale",
    "vocabulary",
)
_LEAVES = (
    "weight",
    "bias",
    "in_proj_weight",
    "in_proj_bias",
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "class_embedding",
    "positional_embedding",
    "proj",
    "text_projection",
    "logit_scale",
    "vocabulary",
    "gamma",
)
_TEXT_SIDE = ("positional_embedding", "token_embedding.weight")
_WHOLE_NUMBERS = ("num_batches_tracked", "vocabulary")


class CLIPWeights:
    """The weights of any CLIP of OpenAI's kind; except for `config`, they describe the model completely.

    Attributes:
        fingerprint: the same for all of them.
    """

    fingerprint = "clip"

    def __init__(self, config: ClipConfig = DEFAULT_CONFIG, stated: bool = False) -> None:
        """`stated`: the config was given with the file, so that its activation is known."""
        self._config, self._stated = config, stated

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find CLIP's tensors in a file's description, by the names of clip.model.CLIP.

        Raises:
            Fault: if there is no CLIP in it.
        """
        tensors = find_tensors(tree, _LANDMARK)
        ours = find_tensors(tree, TEXT_LANDMARK)
        refuse_strangers(tensors or ours)
        if ours and not self._stated:
            raise Fault(
                "is a CLIP in the layout of transformers; put the config.json that belongs to it beside it, or say "
                "activation: gelu or quick_gelu in FILE.yaml (docs/checkpoints.md)."
            )
        if ours:
            return {name: tensor for name, tensor in sorted(ours.items()) if kept_of_transformers(name)}
        if not tensors:
            if find_tensors(tree, "decoder.conv_in.weight"):
                raise Fault("is a VQGAN, not a CLIP model; give it as the VQGAN.")
            raise Fault(f"holds no CLIP: there is no {_LANDMARK!r} in it; give a file of OpenAI's CLIP.")
        plain, averaged = split_prefixes(tensors, _LANDMARK)
        named = {
            name: each for prefix in plain[:1] + averaged[:1] for name, each in with_prefix(tensors, prefix).items()
        }
        return {
            name: tensor
            for name, tensor in sorted(named.items())
            if name.partition(".")[0] in _ROOTS and name.rpartition(".")[2] in _LEAVES
        }

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename tensors in the layout of transformers.

        Raises:
            Fault: if a part is missing.
        """
        return from_transformers(tensors) if is_of_transformers(tensors) else tensors

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Build a CLIP from the shapes alone, to check that it can be built and takes all tensors.

        Raises:
            Fault: if not.
        """
        for name, tensor in tensors.items():
            if not tensor.is_floating_point() and name.rpartition(".")[2] not in _WHOLE_NUMBERS:
                raise Fault(f"holds whole numbers in {name[:80]}, where weights belong; get OpenAI's own file.")
        if LANDMARK in tensors and self._config.size is None:
            raise Fault(
                "has a ConvNeXt as its picture tower, whose weights do not tell the size of its input; write size: 256 "
                "(or 320, if its name says so) and activation: gelu into FILE.yaml beside it, or put its "
                "open_clip_config.json there (docs/checkpoints.md)."
            )
        self._compare_text_side(tensors)
        check_heads(tensors, self._config)
        shapes = {
            name: tensor if name == "vocabulary" else torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            for name, tensor in tensors.items()
        }
        try:
            Perceptor.from_state("It", shapes, "meta", config=self._config)
        except CheckpointError as exc:
            reason = " ".join(str(exc.__cause__).split())[:160]
            raise Fault(f"is no CLIP that Reverie can run ({reason}); get OpenAI's own file.") from exc

    def _compare_text_side(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that tokens and context are those of OpenAI's tokenizer; a long context would exhaust memory."""
        sizes = {name: tuple(tensors[name].shape) for name in _TEXT_SIDE if name in tensors}
        rows = {name: size[0] for name, size in sizes.items() if len(size) == 2}
        vocabulary = VOCABULARY_SIZE if "vocabulary" not in tensors else len(tensors["vocabulary"].reshape(-1))
        if rows != dict(zip(_TEXT_SIDE, (CONTEXT_TOKENS, vocabulary), strict=True)):
            raise Fault("does not read text as OpenAI's CLIP does (77 tokens of 49408 kinds); get OpenAI's own file.")
