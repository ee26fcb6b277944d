"""Layouts of CLIP's tensors: those of transformers (`CLIPModel`), by the names of clip.model.CLIP.

OpenCLIP's vision transformers have clip's own names, its ConvNeXts those of timm (generator.models.towers.convnext).
SigLIP and text towers of the BERT family: `towers`. Others are recognised, and refused with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from generator.checkpoints.faults import Fault

TEXT_LANDMARK = "text_model.embeddings.token_embedding.weight"
"""A name that every CLIP in the layout of transformers has."""

_PLAIN = {
    "logit_scale": "logit_scale",
    TEXT_LANDMARK: "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
}
_NORMS = {
    "text_model.final_layer_norm": "ln_final",
    "vision_model.pre_layrnorm": "visual.ln_pre",  # their spelling
    "vision_model.post_layernorm": "visual.ln_post",
}
_TRANSPOSED = ("text_projection", "visual.proj")
_LAYER = re.compile(r"(text|vision)_model\.encoder\.layers\.(\d{1,3})\.(.+)\.(weight|bias)")
_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_JOINED = ("q", "k", "v")
_NO_TEXT = "reads text by a network that Reverie cannot run; give a CLIP, a SigLIP, or one with XLM-RoBERTa or BERT."
_STRANGERS = {
    "visual.trunk.blocks.": "has a picture tower of timm that Reverie cannot run; give a ViT, a SigLIP or a ConvNeXt.",
    "text.transformer.encoder.block.": _NO_TEXT,
    "text.transformer.layers.": _NO_TEXT,
}
"""Parts of names that only models have which Reverie cannot run, with advice."""


def refuse_strangers(names: Iterable[str]) -> None:
    """Refuse a model of another kind.

    Raises:
        Fault: with a sentence that says what it is.
    """
    known = list(names)
    for part, said in _STRANGERS.items():
        if any(part in name for name in known):
            raise Fault(said)


def is_of_transformers(names: Iterable[str]) -> bool:
    """True for the names of transformers' CLIPModel."""
    return TEXT_LANDMARK in names


def kept_of_transformers(name: str) -> bool:
    """True for a name of CLIPModel that belongs to a weight."""
    stem = name.rpartition(".")[0]
    return name in _PLAIN or stem in _NORMS or _LAYER.fullmatch(name) is not None


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of CLIPModel, joining queries, keys and values, in this order.

    Raises:
        Fault: if a part of a layer is missing, or is of an unknown name.
    """
    found: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        stem, _, leaf = name.rpartition(".")
        layer = _LAYER.fullmatch(name)
        if name in _PLAIN:
            found[_PLAIN[name]] = tensor
        elif stem in _NORMS:
            found[f"{_NORMS[stem]}.{leaf}"] = tensor
        elif layer is not None:
            block = f"{'visual.' if layer[1] == 'vision' else ''}transformer.resblocks.{layer[2]}"
            attention = re.fullmatch(r"self_attn\.([qkv])_proj", layer[3])
            if attention is not None:
                joined.setdefault(f"{block}.attn.in_proj_{layer[4]}", {})[attention[1]] = tensor
            elif layer[3] in _PARTS:
                found[f"{block}.{_PARTS[layer[3]]}.{layer[4]}"] = tensor
    for name, parts in joined.items():
        if parts.keys() != set(_JOINED) or len({part.shape for part in parts.values()}) > 1:
            raise Fault(f"lacks a part of {name[:80]}; get the file again.")
        found[name] = torch.cat([parts[part] for part in _JOINED])
    for name in _TRANSPOSED:
        if name in found:
            if found[name].dim() != 2:
                raise Fault(f"has a {name} that is no matrix; get the file again.")
            found[name] = found[name].t().contiguous()
    if found.get("logit_scale", torch.ones(())).dim() > 0:
        found["logit_scale"] = found["logit_scale"].reshape(())
    return found
