"""A perceptor: a CLIP, which scores how well pictures and texts agree. The only module that imports clip.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020. The
network, the tokenizer and the constants are those of the installed package. SigLIP and text towers for many languages
(`generator.models.towers`) bring their own tokenizer.
"""

from __future__ import annotations

import bisect
import functools
import importlib.util
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from generator.errors import CheckpointError
from generator.models.language.pieces import Pieces
from generator.models.lexicon import singular
from generator.models.towers import bert, convnext, siglip
from generator.models.towers.pair import Pair
from generator.models.towers.vision import embed
from generator.runtime.device import unfilled_weights
from generator.runtime.precision import Precision, store_in


@contextmanager
def package_unread(name: str) -> Iterator[None]:
    """Import modules of a package without running the package's own `__init__`; a later import of it runs as usual."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        yield
        return
    sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[name]


# `clip` itself also imports its loader of OpenAI's files, with torchvision, which takes longer to import than torch.
with package_unread("clip"):
    from clip.model import CLIP, ModifiedResNet, ResidualAttentionBlock, VisionTransformer
    from clip.simple_tokenizer import SimpleTokenizer, basic_clean, whitespace_clean

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
CONTEXT_TOKENS = 77
VOCABULARY_SIZE = 49408
_LONGEST_WORD = 40
_HEAD_WIDTH = 64
_FACTS = ("input_resolution", "context_length", "vocab_size")
"""Tensors of OpenAI's files that are no weights."""
_START, _END = VOCABULARY_SIZE - 2, VOCABULARY_SIZE - 1


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Configuration of a CLIP that its weights do not contain.

    Attributes:
        vision_heads: attention heads of its vision tower; None for heads 64 wide, as OpenAI's are.
        text_heads: the same for its text tower.
        gelu: True for GELU, as in most CLIPs of others; False for OpenAI's QuickGELU. A SigLIP has its own.
        mean: red, green and blue that are subtracted from a picture in 0..1.
        deviation: by which the difference is divided.
        size: side of the square input, in pixels, of a tower that takes any: ConvNeXt. Others have it in their weights.
        text: kind of its text tower, one of TEXT_TOWERS.
        context: most tokens of a text, of a text tower of the BERT family.
        tokenizer: file of its tokenizer; None for CLIP's.
    """

    vision_heads: int | None = None
    text_heads: int | None = None
    gelu: bool = False
    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION
    size: int | None = None
    text: str = "clip"
    context: int = CONTEXT_TOKENS
    tokenizer: Path | None = None


DEFAULT_CONFIG = ClipConfig()
TEXT_TOWERS = ("clip", "siglip", *bert.FAMILIES)
"""Kinds of text towers; all but the first have a tokenizer of their own."""


class Perceptor:
    """A frozen CLIP with the conveniences that a dream needs.

    Attributes:
        name: display name, such as `ViT-B/32`.
        resolution: side, in pixels, of its square input.
        dimension: D of its unit vectors.
        device: device of its weights.
        precision: number format of its arithmetic; its vectors are float32 regardless.
    """

    def __init__(
        self,
        model: CLIP | Pair,
        name: str,
        vocabulary: Tensor | None = None,
        device: torch.device | str = "cpu",
        words: Set[str] | None = None,
        config: ClipConfig = DEFAULT_CONFIG,
    ) -> None:
        """Freeze `model` in place.

        `vocabulary` holds the ids of the tokens it was trained on, if not all; `words` holds the words it was trained
        on, if a list exists, since many unknown words consist of known tokens. Of `config`, mean, deviation and
        tokenizer count.

        Raises:
            CheckpointError: if a Pair has no tokenizer, or one that does not belong to it.
        """
        self.name = name
        self.device = torch.device(device)
        self.precision = Precision.FP32
        self.model = model.to(self.device).float().eval().requires_grad_(False)
        self.resolution = int(cast(Any, model.visual).input_resolution)
        self.dimension = model.dimension if isinstance(model, Pair) else int(model.text_projection.shape[1])
        self._pieces = _pieces_of(model, name, config) if isinstance(model, Pair) else None
        self._known = None if vocabulary is None else frozenset(vocabulary.tolist())
        self._known_words = words
        self._mean = torch.tensor(config.mean, device=self.device)[:, None, None]
        self._deviation = torch.tensor(config.deviation, device=self.device)[:, None, None]

    @classmethod
    def from_state(
        cls,
        name: str,
        state: Mapping[str, Tensor],
        device: torch.device | str = "cpu",
        words: Set[str] | None = None,
        config: ClipConfig = DEFAULT_CONFIG,
    ) -> Perceptor:
        """Build a CLIP from its state dict: ViT or ResNet, fp16 or fp32, whole or with a pruned vocabulary.

        `config` says what the weights do not. A pruned state dict has beside `token_embedding.weight [V, C]` the ids of
        its rows, `vocabulary [V] int64`.

        Raises:
            CheckpointError: if it is not the state dict of a CLIP.
        """
        model, vocabulary = build_network(name, state, config)
        if isinstance(model.visual, ModifiedResNet):
            _fold_norms(model.visual)
            if torch.device(device).type == "cpu":
                model.visual.to(memory_format=torch.channels_last)
        return cls(model, name, vocabulary, device, words, config)

    def _see(self, images: Tensor) -> Tensor:
        network = self.model.visual
        return embed(network, images) if isinstance(network, VisionTransformer) else cast(Tensor, network(images))

    def embed_images(self, images: Tensor) -> Tensor:
        """Embed pictures `[N, 3, resolution, resolution] float32 in 0..1` as unit vectors `[N, D]`; differentiable."""
        normal = (images - self._mean) / self._deviation
        with self.precision.on(self.device):
            vectors = self._see(normal)
        return functional.normalize(vectors.float(), dim=-1)

    @property
    def sharpness(self) -> float:
        """Factor of its similarities before a softmax over texts, as in its training."""
        return float(self.model.logit_scale.exp())

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as unit vectors `[N, D]`; tokens beyond `context` are ignored (see `cut_off`)."""
        if self._pieces is None:
            tokens = tokenize(texts, cast(CLIP, self.model).context_length)
        else:
            tokens = self._pieces.batch([whitespace_clean(basic_clean(text)) for text in texts])
        with self.precision.on(self.device):
            vectors = self.model.encode_text(tokens.to(self.device))
        return functional.normalize(vectors.float(), dim=-1)

    def compute_in(self, precision: Precision) -> None:
        """Change the number format of the arithmetic."""
        self.precision = precision
        store_in(self.model, precision)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """List the words of `text` unknown to this perceptor, in order, each once; none if it knows all."""
        known, words = self._known, self._known_words
        if self._pieces is not None:
            return tuple(word for word in _words(text) if not self._pieces.knows(word))
        if words is not None:
            return tuple(word for word in _words(text) if words.isdisjoint((word, *singular(word))))
        if known is None:
            return ()
        return tuple(word for word in _words(text) if not known.issuperset(_token_ids(word)))

    @property
    def has_clips_tokenizer(self) -> bool:
        """True if its texts are read by CLIP's tokenizer, False if by one of its own."""
        return self._pieces is None

    @property
    def context(self) -> int:
        """Most tokens of a text that it reads, with the marks of its start and end."""
        return CONTEXT_TOKENS if self._pieces is None else self._pieces.context

    def cut_off(self, text: str) -> str:
        """Return the end of `text` that it does not read, as `cut_off` does, or ''."""
        return cut_off(text) if self._pieces is None else _cut_off(text, self._pieces.fits)


def tokenize(texts: Sequence[str], length: int = CONTEXT_TOKENS) -> Tensor:
    """Tokens of texts `[N, length] int64` between start and end, filled up with 0, as `clip.tokenize` with truncate."""
    tokens = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        ids = [_START, *_token_ids(text)[: length - 2], _END]
        row[: len(ids)] = torch.tensor(ids)
    return tokens


def cut_off(text: str) -> str:
    """Return the end of `text` beyond 77 tokens (two of which mark start and end), which CLIP does not read, or ''.

    The text is returned as typed, from the first word that does not fit entirely. In a word as long as a sentence, as
    in scripts without spaces, it is cut at the character.
    """
    return _cut_off(text, _fits)


def _cut_off(text: str, fits: Callable[[str], bool]) -> str:
    if fits(text):
        return ""
    words = list(re.finditer(r"\S+", text))
    cut = words[bisect.bisect_left(words, True, key=lambda word: not fits(text[: word.end()]))]
    start = cut.start()
    if len(cut[0]) > _LONGEST_WORD:
        start += bisect.bisect_left(range(1, len(cut[0])), True, key=lambda end: not fits(text[: cut.start() + end]))
        while start > cut.start() and unicodedata.category(text[start])[0] == "M":
            start -= 1
    return text[start:].rstrip()


def _fits(text: str) -> bool:
    return len(_token_ids(text)) <= CONTEXT_TOKENS - 2


def _pieces_of(model: Pair, name: str, config: ClipConfig) -> Pieces:
    if config.tokenizer is None:
        raise CheckpointError(f"{name} reads text by a tokenizer of its own, and none is known.")
    return Pieces(config.tokenizer, config.text, model.text.context_length, model.text.token_embedding.num_embeddings)


def is_one_token(word: str) -> bool:
    """True if CLIP's tokenizer holds the whole lower-case word, as it does common English words."""
    return len(_token_ids(word)) == 1


@functools.cache
def _tokenizer() -> Any:  # noqa: ANN401 - clip has no types
    return SimpleTokenizer()


def _token_ids(text: str) -> list[int]:
    """Encode without start and end; typed marks would end the text early, so they are removed."""
    return [token for token in _tokenizer().encode(text) if token < _START]


@functools.lru_cache(maxsize=1_000)
def _words(text: str) -> tuple[str, ...]:
    """Split into words, numbers and symbols such as emoji as CLIP's tokenizer does, each once, without punctuation."""
    tokens = _tokenizer().pat.findall(whitespace_clean(basic_clean(text)).lower())
    categories = ((token, unicodedata.category(token[0])) for token in tokens)
    return tuple(dict.fromkeys(token for token, category in categories if category[0] in "LN" or category == "So"))


def _expanded(rows: Tensor, vocabulary: Tensor) -> Tensor:
    """Expand a pruned embedding table to `[49408, C]`; rows without training are zero."""
    ids = vocabulary.tolist()
    if (
        len(ids) != len(rows)
        or ids != sorted(set(ids))
        or not {_START, _END} <= set(ids) <= set(range(VOCABULARY_SIZE))
    ):
        raise ValueError("its vocabulary does not fit its token embedding")
    table = rows.new_zeros(VOCABULARY_SIZE, rows.shape[1])
    table[vocabulary] = rows
    return table


def build_network(
    name: str, state: Mapping[str, Tensor], config: ClipConfig = DEFAULT_CONFIG
) -> tuple[CLIP | Pair, Tensor | None]:
    """Build the network of a perceptor from its state dict, and return it with its pruned vocabulary, if it has one.

    Raises:
        CheckpointError: as `Perceptor.from_state`, which says more.
    """
    tensors = {key: value for key, value in state.items() if key not in _FACTS}
    vocabulary = tensors.pop("vocabulary", None)
    try:
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
        if vocabulary is not None:
            tensors["token_embedding.weight"] = _expanded(tensors["token_embedding.weight"], vocabulary)
        return _build(tensors, config), vocabulary
    except (LookupError, ValueError, RuntimeError, ZeroDivisionError, TypeError, AssertionError, StopIteration) as exc:
        raise CheckpointError(f"{name} is not the state dict of a CLIP model that this version knows: {exc}") from exc


def _build(state: dict[str, Tensor], config: ClipConfig) -> CLIP | Pair:
    """Build the model with its weights, without the global random state; shapes are inferred as in clip.

    `clip.model.build_model` would first fill the network with random numbers and round its weights to fp16.
    """
    model = _pair(state, config) if siglip.LANDMARK in state or bert.LANDMARK in state else _clip(state, config)
    if config.gelu:
        for module in model.modules():
            if isinstance(module, ResidualAttentionBlock):
                module.mlp.gelu = nn.GELU()
    model.load_state_dict(state, assign=True)
    return model


def _pair(state: Mapping[str, Tensor], config: ClipConfig) -> Pair:
    """Build a model whose text tower is none of clip's."""
    with unfilled_weights():
        if siglip.LANDMARK in state:
            vision = siglip.build_vision(state, config.vision_heads)
            return Pair(vision, siglip.build_text(state, config.text_heads), vision.dimension)
        text = bert.build_text(state, config.text, config.text_heads, config.context)
    dimension = _vision_dimension(state)
    return Pair(_picture_tower(state, config, dimension), text, dimension)


def _clip(state: Mapping[str, Tensor], config: ClipConfig) -> CLIP:
    arguments = _text_architecture(state)
    if config.text_heads is not None:
        arguments["transformer_heads"] = config.text_heads
    with unfilled_weights():
        # Its picture tower is only made to be replaced: it is given the least size.
        model = CLIP(**arguments, vision_layers=1, vision_width=64, vision_patch_size=1, image_resolution=1)
    model.visual = _picture_tower(state, config, arguments["embed_dim"])
    mask = model.build_attention_mask()
    for block in model.transformer.resblocks:
        block.attn_mask = mask
    return model


def _picture_tower(state: Mapping[str, Tensor], config: ClipConfig, dimension: int) -> nn.Module:
    """Build clip's ViT or ResNet, or a ConvNeXt, whose vectors have D = `dimension`, still without its weights."""
    if convnext.LANDMARK in state:
        if config.size is None:
            raise ValueError("the side of its pictures is not known")
        with torch.device("meta"):
            return convnext.build(state, config.size)
    heads = config.vision_heads
    if "visual.proj" in state:
        kernel = state["visual.conv1.weight"]
        width, patch = kernel.shape[0], kernel.shape[-1]
        grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
        blocks = sum(key.startswith("visual.") and key.endswith(".attn.in_proj_weight") for key in state)
        with unfilled_weights():
            vision = VisionTransformer(patch * grid, patch, width, blocks, heads or width // _HEAD_WIDTH, dimension)
        return cast(nn.Module, vision)
    grid = round((len(state["visual.attnpool.positional_embedding"]) - 1) ** 0.5)
    layers = tuple(_count(state, f"visual.layer{number}.") for number in (1, 2, 3, 4))
    width = state["visual.layer1.0.conv1.weight"].shape[0]
    heads = heads or width * 32 // _HEAD_WIDTH
    if width * 32 % heads:
        raise ValueError(f"{heads} heads do not divide {width * 32} channels")
    with unfilled_weights():
        return cast(nn.Module, ModifiedResNet(layers, dimension, heads, grid * 32, width))


def _vision_dimension(state: Mapping[str, Tensor]) -> int:
    """D of the vectors of `_picture_tower`."""
    if "visual.proj" in state:
        return state["visual.proj"].shape[1]
    names = ("visual.attnpool.c_proj.weight", "visual.head.proj.weight", "visual.head.mlp.fc2.weight")
    return len(next(state[name] for name in names if name in state))


def _text_architecture(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Infer the arguments of `clip.model.CLIP` about texts from a state dict, as `clip.model.build_model` does."""
    width = len(state["ln_final.weight"])
    return {
        "embed_dim": state["text_projection"].shape[1],
        "context_length": len(state["positional_embedding"]),
        "vocab_size": len(state["token_embedding.weight"]),
        "transformer_width": width,
        "transformer_heads": width // _HEAD_WIDTH,
        "transformer_layers": _count(state, "transformer.resblocks."),
    }


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})


def _fold_norms(network: nn.Module) -> None:
    """Fold each frozen batch norm into the convolution before it: the same function in half the passes over memory."""
    for module in network.modules():
        previous: tuple[str, nn.Conv2d] | None = None
        for key, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous is not None:
                setattr(module, previous[0], fuse_conv_bn_eval(previous[1].eval(), child.eval()))
                setattr(module, key, nn.Identity())
            previous = (key, child) if isinstance(child, nn.Conv2d) else None
