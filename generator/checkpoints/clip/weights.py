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
from generator.checkpoints.clip.towers import OF_OPEN_CLIP, OF_TIMM, OF_TRANSFORMERS, WORDS, layout_of
from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.trees import find_tensors, split_prefixes, with_prefix
from generator.errors import CheckpointError
from generator.models.clip import CONTEXT_TOKENS, DEFAULT_CONFIG, VOCABULARY_SIZE, ClipConfig, build_network
from generator.models.towers.bert import FAMILIES
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


_KINDS = {
    OF_TRANSFORMERS: (("siglip",), "is a SigLIP in the layout of transformers", "config.json", "siglip"),
    OF_TIMM: (("siglip",), "is a SigLIP of OpenCLIP", "open_clip_config.json", "siglip"),
    OF_OPEN_CLIP: (
        tuple(FAMILIES),
        "reads text by a network of the BERT family",
        "open_clip_config.json",
        "roberta (for XLM-RoBERTa too) or text: bert",
    ),
}
"""By the name that tells a kind: the config's `text`, and parts of the sentence for a file without one."""
_MOST_PLACES = 2**13
"""Limit of a table of positions, which longer ones would only fill memory with."""


class CLIPWeights:
    """The weights of any perceptor; except for `config`, they describe the model completely.

    Attributes:
        fingerprint: the same for all with one kind of text tower.
    """

    def __init__(self, config: ClipConfig = DEFAULT_CONFIG, stated: bool = False) -> None:
        """`stated`: the config was given with the file, so that its activation is known."""
        self._config, self._stated = config, stated
        self.fingerprint = config.text

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find the tensors of a perceptor in a file's description, by the names of one of the known layouts.

        Raises:
            Fault: if there is none in it.
        """
        for landmark, (kinds, said, file, text) in _KINDS.items():
            if found := find_tensors(tree, landmark):
                if self._config.text not in kinds:
                    raise Fault(
                        f"{said}; put the {file} and tokenizer.json that its authors publish beside it, or the "
                        f"tokenizer.json and text: {text} in FILE.yaml (docs/checkpoints.md)."
                    )
                named = _named(found, landmark)
                layout = layout_of(named)
                return {name: each for name, each in sorted(named.items()) if layout is not None and layout.keeps(name)}
        return self._choose_clip(tree)

    def _choose_clip(self, tree: object) -> dict[str, StoredTensor]:
        tensors = find_tensors(tree, _LANDMARK)
        ours = find_tensors(tree, TEXT_LANDMARK)
        refuse_strangers(tensors or ours)
        if self._config.text != DEFAULT_CONFIG.text:
            raise Fault(
                f"holds no perceptor with a text tower of the kind {self._config.text}, as the configuration beside it "
                "says; correct that, or get the file that belongs to it."
            )
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
            if find_tensors(tree, WORDS):
                raise Fault(
                    "reads texts only; write pictures: ViT-B/32 (or whatever perceptor it was trained for) and text: "
                    "roberta (for XLM-RoBERTa too) or bert into FILE.yaml beside it (docs/checkpoints.md)."
                )
            raise Fault(f"holds no CLIP: there is no {_LANDMARK!r} in it; give a file of OpenAI's CLIP.")
        return {
            name: tensor
            for name, tensor in sorted(_named(tensors, _LANDMARK).items())
            if name.partition(".")[0] in _ROOTS and name.rpartition(".")[2] in _LEAVES
        }

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename tensors in the layouts of others.

        Raises:
            Fault: if a part is missing.
        """
        if (layout := layout_of(tensors)) is not None:
            return layout.arrange(tensors)
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
        if self._config.text == DEFAULT_CONFIG.text:
            self._compare_text_side(tensors)
        else:
            check_places(tensors)
        check_heads(tensors, self._config)
        shapes = {
            name: tensor if name == "vocabulary" else torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            for name, tensor in tensors.items()
        }
        try:
            build_network("It", shapes, self._config)
        except CheckpointError as exc:
            reason = " ".join(str(exc.__cause__).split())[:160]
            own = "OpenAI's own file" if self._config.text == DEFAULT_CONFIG.text else "the file of its authors"
            raise Fault(f"is no CLIP that Reverie can run ({reason}); get {own}.") from exc

    def _compare_text_side(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that tokens and context are those of OpenAI's tokenizer; a long context would exhaust memory."""
        sizes = {name: tuple(tensors[name].shape) for name in _TEXT_SIDE if name in tensors}
        rows = {name: size[0] for name, size in sizes.items() if len(size) == 2}
        vocabulary = VOCABULARY_SIZE if "vocabulary" not in tensors else len(tensors["vocabulary"].reshape(-1))
        if rows != dict(zip(_TEXT_SIDE, (CONTEXT_TOKENS, vocabulary), strict=True)):
            raise Fault("does not read text as OpenAI's CLIP does (77 tokens of 49408 kinds); get OpenAI's own file.")


def check_places(tensors: Mapping[str, Tensor]) -> None:
    """Check that the tables of positions are not longer than any model's.

    Raises:
        Fault: if one is.
    """
    for name, tensor in tensors.items():
        if name.endswith("positional_embedding") and tensor.dim() > 0 and len(tensor) > _MOST_PLACES:
            raise Fault(f"has {len(tensor)} positions in {name}, as no model does; do not use it.")


def _named(tensors: dict[str, StoredTensor], landmark: str) -> dict[str, StoredTensor]:
    """The tensors of the first model with the landmark, its running averages before its plain weights."""
    plain, averaged = split_prefixes(tensors, landmark)
    return {name: each for prefix in plain[:1] + averaged[:1] for name, each in with_prefix(tensors, prefix).items()}
