"""Layouts of SigLIP and of text towers of the BERT family, by the names of generator.models.towers.

SigLIP: transformers' `SiglipModel`, and open_clip's around a picture tower of timm. Text towers: open_clip's around one
of transformers (`xlm-roberta-base-ViT-B-32`), and towers alone, in the names of transformers, to be put beside the
picture tower of a CLIP: Multilingual CLIP's, with `LinearTransformation`, and sentence-transformers', whose projection
is in a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from generator.checkpoints.faults import AGAIN, Fault
from generator.models.towers import siglip

OF_TRANSFORMERS = "vision_model.head.probe"
OF_TIMM = "visual.trunk.attn_pool.latent"
"""Names that only a SigLIP has: transformers' and open_clip's."""
WORDS = "embeddings.word_embeddings.weight"
"""Ending of a name that every text tower of the BERT family has."""
OF_OPEN_CLIP = f"text.transformer.{WORDS}"

_BLOCK = "transformer.resblocks.N."
_SIGLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.q_proj": "attn.in_proj_ 0",
    "self_attn.k_proj": "attn.in_proj_ 1",
    "self_attn.v_proj": "attn.in_proj_ 2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TIMM_LAYER = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attn.qkv": "attn.in_proj_",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_CLIP_LAYER = {part: part for part in ("ln_1", "ln_2", "attn.in_proj_", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")}
_BERT_LAYER = {
    "attention.self.query": "attn.in_proj_ 0",
    "attention.self.key": "attn.in_proj_ 1",
    "attention.self.value": "attn.in_proj_ 2",
    "attention.output.dense": "attn.out_proj",
    "attention.output.LayerNorm": "ln_1",
    "intermediate.dense": "mlp.c_fc",
    "output.dense": "mlp.c_proj",
    "output.LayerNorm": "ln_2",
}
_DISTILBERT_LAYER = {
    "attention.q_lin": "attn.in_proj_ 0",
    "attention.k_lin": "attn.in_proj_ 1",
    "attention.v_lin": "attn.in_proj_ 2",
    "attention.out_lin": "attn.out_proj",
    "sa_layer_norm": "ln_1",
    "ffn.lin1": "mlp.c_fc",
    "ffn.lin2": "mlp.c_proj",
    "output_layer_norm": "ln_2",
}


def _layers(theirs: str, ours: str, parts: Mapping[str, str]) -> dict[str, str]:
    return {f"{theirs}N.{part}": f"{ours}{_BLOCK}{place}" for part, place in parts.items()}


def _with_leaves(stems: Mapping[str, str]) -> dict[str, str]:
    """Names of weight and bias from those of their layers."""
    found: dict[str, str] = {}
    for theirs, ours in stems.items():
        place, _, part = ours.partition(" ")
        for leaf in ("weight", "bias"):
            name = f"{theirs}{leaf}" if theirs.endswith("_") else f"{theirs}.{leaf}"
            found[name] = (f"{place}{leaf}" if place.endswith("_") else f"{place}.{leaf}") + (part and f" {part}")
    return found


_SIGLIP = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    OF_TRANSFORMERS: siglip.LANDMARK,
    **_with_leaves(
        {
            "text_model.embeddings.token_embedding": "text.token_embedding",
            "text_model.final_layer_norm": "text.ln_final",
            "text_model.head": "text.text_projection",
            "vision_model.embeddings.patch_embedding": "visual.conv1",
            "vision_model.post_layernorm": "visual.ln_post",
            "vision_model.head.attention.in_proj_": "visual.pool.attn.in_proj_",
            "vision_model.head.attention.out_proj": "visual.pool.attn.out_proj",
            "vision_model.head.layernorm": "visual.pool.ln",
            "vision_model.head.mlp.fc1": "visual.pool.mlp.c_fc",
            "vision_model.head.mlp.fc2": "visual.pool.mlp.c_proj",
            **_layers("text_model.encoder.layers.", "text.", _SIGLIP_LAYER),
            **_layers("vision_model.encoder.layers.", "visual.", _SIGLIP_LAYER),
        }
    ),
}
_SIGLIP_OF_TIMM = {
    "logit_scale": "logit_scale",
    "text.positional_embedding": "text.positional_embedding",
    "visual.trunk.pos_embed": "visual.positional_embedding",
    OF_TIMM: siglip.LANDMARK,
    **_with_leaves(
        {
            "text.token_embedding": "text.token_embedding",
            "text.ln_final": "text.ln_final",
            "text.text_projection": "text.text_projection",
            "visual.trunk.patch_embed.proj": "visual.conv1",
            "visual.trunk.norm": "visual.ln_post",
            "visual.trunk.attn_pool.q": "visual.pool.attn.in_proj_ 0",
            "visual.trunk.attn_pool.kv": "visual.pool.attn.in_proj_ 1",
            "visual.trunk.attn_pool.proj": "visual.pool.attn.out_proj",
            "visual.trunk.attn_pool.norm": "visual.pool.ln",
            "visual.trunk.attn_pool.mlp.fc1": "visual.pool.mlp.c_fc",
            "visual.trunk.attn_pool.mlp.fc2": "visual.pool.mlp.c_proj",
            **_layers("text.transformer.resblocks.", "text.", _CLIP_LAYER),
            **_layers("visual.trunk.blocks.", "visual.", _TIMM_LAYER),
        }
    ),
}
_BERT = {
    "embeddings.position_embeddings.weight": "text.positional_embedding",
    "embeddings.token_type_embeddings.weight": "text.type_embedding",
    **_with_leaves(
        {
            "embeddings.word_embeddings": "text.token_embedding",
            "embeddings.LayerNorm": "text.ln_pre",
            **_layers("encoder.layer.", "text.", _BERT_LAYER),
            **_layers("transformer.layer.", "text.", _DISTILBERT_LAYER),
        }
    ),
}
_PROJECTIONS = _with_leaves(
    {
        "text.proj": "text.proj.0",
        "text.proj.0": "text.proj.0",
        "text.proj.2": "text.proj.2",
        "LinearTransformation": "text.proj.0",
    }
)
"""After a text tower: open_clip's linear one, its perceptron, and that of Multilingual CLIP."""


class Layout:
    """Names of tensors in files, and the names that they get; a number after one is its place among joined parts."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def keeps(self, name: str) -> bool:
        """True for the name of a weight."""
        return self._place(name) is not None

    def _place(self, name: str) -> tuple[str, int] | None:
        layer = re.search(r"\.(\d{1,3})\.", name)
        found = self._names.get(name)
        if found is None and layer is not None:
            found = self._names.get(f"{name[: layer.start()]}.N.{name[layer.end() :]}")
            found = None if found is None else found.replace(".N.", f".{layer[1]}.")
        if found is None:
            return None
        place, _, part = found.partition(" ")
        return place, int(part or 0)

    def arrange(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename tensors, joining parts that belong together.

        Raises:
            Fault: if a part is missing or does not fit.
        """
        found: dict[str, dict[int, Tensor]] = {}
        for name, tensor in tensors.items():
            if (place := self._place(name)) is not None:
                found.setdefault(place[0], {})[place[1]] = tensor
        arranged: dict[str, Tensor] = {}
        for name, parts in found.items():
            if sorted(parts) != list(range(len(parts))) or len({part.shape[1:] for part in parts.values()}) > 1:
                raise Fault(f"lacks a part of {name[:80]}; {AGAIN}.")
            arranged[name] = torch.cat([parts[number] for number in sorted(parts)]) if len(parts) > 1 else parts[0]
        return {name: _shaped(name, tensor) for name, tensor in arranged.items()}


def _shaped(name: str, tensor: Tensor) -> Tensor:
    """Without the dimensions of size 1, and the rows, that a layout has beside ours."""
    if name == "logit_scale" and tensor.numel() == 1:
        return tensor.reshape(())
    if name == siglip.LANDMARK:
        return tensor.flatten()
    if name == "visual.positional_embedding" and tensor.dim() == 3 and len(tensor) == 1:
        return tensor[0]
    if name == "text.type_embedding" and tensor.dim() == 2 and len(tensor):
        return tensor[0].clone()
    return tensor


def layout_of(names: Iterable[str]) -> Layout | None:
    """Layout of a whole model with these names; None if its towers are CLIP's."""
    known = set(names)
    if OF_TRANSFORMERS in known:
        return Layout(_SIGLIP)
    if OF_TIMM in known:
        return Layout(_SIGLIP_OF_TIMM)
    if OF_OPEN_CLIP in known:
        prefix = OF_OPEN_CLIP.removesuffix(WORDS)
        seen = {name: name for name in known if name.startswith("visual.")}
        return Layout({**_prefixed(prefix), **_PROJECTIONS, **seen, "logit_scale": "logit_scale"})
    return None


def layout_of_text(names: Iterable[str]) -> Layout | None:
    """Layout of a text tower alone with these names; None if there is none."""
    prefix = next((name.removesuffix(WORDS) for name in names if name.endswith(WORDS)), None)
    return None if prefix is None else Layout({**_prefixed(prefix), **_PROJECTIONS})


def _prefixed(prefix: str) -> dict[str, str]:
    return {f"{prefix}{theirs}": ours for theirs, ours in _BERT.items()}


DENSE = Layout(_with_leaves({"linear": "text.proj.0"}))
"""The projection of sentence-transformers, in a file of its own."""
