"""Targets of the optimisation: the prompts of each scene as vectors of each perceptor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.images.tensors import read_image
from generator.messages import Message
from generator.models.clip import Perceptor, cut_off
from generator.models.language.reading import Reading, ReadPrompts
from generator.notation.keyframes import Keyframes
from generator.optimisation.cutouts import views
from generator.prompts import Scene, TextPrompt
from generator.request import GenerationRequest, ImagePrompt

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class Targets:
    """Prompts of one scene: P texts and pictures, in this order.

    Attributes:
        labels: the texts, and `picture n` for the pictures.
        weights: the weights, divided by the sum of their absolute values.
        shares: the same as a tensor, `[P]`.
        stops: the distances at which they no longer attract, `[P]`.
        vectors: for each perceptor, unit vectors `[P, D]`.
        changing: weights that change during the dream, by the number of the prompt.
        total: sum of the absolute values of all weights, the largest of those that change.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    shares: Tensor
    stops: Tensor
    vectors: tuple[Tensor, ...]
    changing: Mapping[int, Keyframes] = field(default_factory=dict)
    total: float = 1.0

    @classmethod
    def of_one(cls, vectors: Sequence[Tensor]) -> Targets:
        """Targets with one prompt without a name, given as a unit vector `[1, D]` for each perceptor."""
        one = torch.ones(1, device=vectors[0].device)
        return cls(("",), (1.0,), one, one * -math.inf, tuple(vectors))

    def copy(self) -> Targets:
        """Return an independent copy, which may be overwritten."""
        vectors = tuple(vectors.clone() for vectors in self.vectors)
        return replace(self, shares=self.shares.clone(), stops=self.stops.clone(), vectors=vectors)

    def load(self, other: Targets) -> None:
        """Copy the numbers of targets with as many prompts, in place; labels and weights stay."""
        if other is not self:
            pairs = zip(self.vectors, other.vectors, strict=True)
            for mine, theirs in ((self.shares, other.shares), (self.stops, other.stops), *pairs):
                mine.copy_(theirs)

    def shares_at(self, step: int, steps: int) -> list[float]:
        """The weights in a step, counted from 0, of `steps`."""
        return [
            self.changing[number].value(step, steps) / self.total if number in self.changing else weight
            for number, weight in enumerate(self.weights)
        ]

    def similarity(self, similarities: Sequence[float]) -> float:
        """Weighted mean similarity of the prompts with a positive weight; 0 if there are none."""
        pairs = [(weight, same) for weight, same in zip(self.weights, similarities, strict=False) if weight > 0]
        total = math.fsum(weight for weight, _ in pairs)
        return math.fsum(weight * same for weight, same in pairs) / total if total else 0.0

    def scores(self, images: Tensor, perceptors: Sequence[Perceptor]) -> Tensor:
        """Score un-augmented pictures `[N, 3, H, W] in 0..1` against the prompts: cosines `[N]`."""
        total = torch.zeros(len(images), device=images.device)
        for perceptor, vectors in zip(perceptors, self.vectors, strict=True):
            total += embed_views(perceptor, images) @ vectors.t() @ self.shares
        return total / len(perceptors)


def embed_views(perceptor: Perceptor, images: Tensor) -> Tensor:
    """Mean unit vectors `[N, D]` of pictures `[N, 3, H, W] in 0..1` over their un-augmented views."""
    seen = views(images, perceptor.resolution)
    vectors = perceptor.embed_images(seen.flatten(0, 1)).view(*seen.shape[:2], -1).mean(dim=1)
    return functional.normalize(vectors, dim=-1)


@torch.no_grad()
def targets_of(
    request: GenerationRequest, perceptors: Sequence[Perceptor], scenes: Sequence[Scene] | None = None
) -> tuple[Targets, ...]:
    """Targets of each scene of a request, at least one; image prompts are part of every scene.

    `scenes`: those of the request with the texts to embed; by default the typed ones.

    Raises:
        InvalidRequest: if the file of an image prompt cannot be read.
    """
    device = perceptors[0].device
    pictures = [read_image(item.image).to(device) for item in request.image_prompts]
    seen = [[embed_views(perceptor, picture) for picture in pictures] for perceptor in perceptors]
    names = [f"picture {number}" for number in range(1, len(pictures) + 1)]
    targets = []
    for prompts in [scene.prompts for scene in (request.scenes if scenes is None else scenes)] or [()]:
        texts = [prompt.text for prompt in prompts]
        pulls: list[TextPrompt | ImagePrompt] = [*prompts, *request.image_prompts]
        total = math.fsum(abs(pull.weight) for pull in pulls)
        vectors = tuple(
            torch.cat([perceptor.embed_texts(texts), *mine]) if texts else torch.cat(mine)
            for perceptor, mine in zip(perceptors, seen, strict=True)
        )
        weights = tuple(pull.weight / total for pull in pulls)
        stops = torch.tensor([pull.stop for pull in pulls], device=device)
        changing = {number: prompt.weights for number, prompt in enumerate(prompts) if prompt.weights is not None}
        shares = torch.tensor(weights, device=device)
        targets.append(Targets((*texts, *names), weights, shares, stops, vectors, changing, total))
    return tuple(targets)


def unknown_words(text: str, perceptors: Sequence[Perceptor], understood: Set[str] = frozenset()) -> tuple[str, ...]:
    """Words that a perceptor has never seen, each once, except those that are `understood` without one."""
    words = dict.fromkeys(word for perceptor in perceptors for word in perceptor.unknown_words(text))
    return tuple(word for word in words if word not in understood)


def warnings_of(
    read: ReadPrompts, perceptors: Sequence[Perceptor], understood: Set[str] = frozenset()
) -> tuple[str, ...]:
    """Warnings about words that are cut off or that a perceptor has never seen, except those in `understood`."""
    texts = dict.fromkeys(prompt.text for scene in read.scenes for prompt in scene.prompts)
    warnings: list[str] = []
    for prompt in texts:
        warnings += _cut_off(prompt, perceptors)
        warnings += _never_seen(unknown_words(prompt, perceptors, understood))
    return (*warnings, *_never_seen(read.unknown))


def never_seen(reading: Reading, perceptors: Sequence[Perceptor]) -> tuple[str, ...]:
    """Warnings about words that were not read or that a perceptor has never seen."""
    return (*_never_seen(unknown_words(reading.text, perceptors)), *_never_seen(reading.unknown))


def _cut_off(prompt: str, perceptors: Sequence[Perceptor]) -> list[Message]:
    """Sentences about the end of a prompt that is not read; several perceptors have CLIP's tokenizer."""
    if not perceptors or any(perceptor.has_clips_tokenizer for perceptor in perceptors):
        rest = cut_off(prompt)
        text = "CLIP reads 77 tokens of a prompt; this end of yours is not read: “{rest}”."
        found = [Message(text, rest=_short(rest))] if rest else []
    else:
        found = []
    for perceptor in perceptors:
        if not perceptor.has_clips_tokenizer and (rest := perceptor.cut_off(prompt)):
            text = "{name} reads {context} tokens of a prompt; this end of yours is not read: “{rest}”."
            found.append(Message(text, name=perceptor.name, context=perceptor.context, rest=_short(rest)))
    return found


def _never_seen(unknown: Sequence[str]) -> list[Message]:
    if not unknown:
        return []
    words = ", ".join(f"“{_short(word)}”" for word in unknown)
    return [Message("These models have never seen the words {words}; they do not know what they mean.", words=words)]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
