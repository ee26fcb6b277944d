"""The prior: taming's GPT over the VQGAN's codes proposes starts.

The GPT is conditioned on the perceptor's text features and on a *sketch*: codes of plain drawings of the things that
the prompt names, in their own colours, on white. Colours, scenes and combinations come from the GPT; without a known
word it works from the text alone. Source: Esser et al., arXiv 2012.09841, section 3.2; the sketch is ours.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.models.drawings.pixels import Box, paste
from generator.models.drawings.stored import StoredDrawings
from generator.models.lexicon import Lexicon, Mention
from generator.models.sketch import Sketcher
from generator.models.vqgan import VQGAN, import_gpt
from generator.runtime.device import cpu_threads, reports_no_memory
from generator.runtime.graphs import Recorder, first_line

MAX_THINGS = 4
MAX_SAMPLERS = 4
"""Samplers kept on a GPU, one for each number of proposals."""
MEANINGS_TRIED = 3
STYLES_TRAINED = 2
"""Of the usual ones of a thing, those that the network has learnt from."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Position of a drawing: its centre and its longer side, as shares of the picture's side."""

    x: float
    y: float
    side: float


LAYOUTS = {
    1: (Place(0.5, 0.52, 0.74),),
    2: (Place(0.27, 0.54, 0.46), Place(0.73, 0.54, 0.46)),
    3: (Place(0.27, 0.3, 0.42), Place(0.73, 0.3, 0.42), Place(0.5, 0.74, 0.42)),
    4: (Place(0.27, 0.28, 0.42), Place(0.73, 0.28, 0.42), Place(0.27, 0.74, 0.42), Place(0.73, 0.74, 0.42)),
}


class PriorNetwork(nn.Module):
    """taming's GPT over a grid of codes `[grid, grid]`, row by row, given text features and a sketch."""

    def __init__(
        self, *, n_codes: int, grid: int, text_width: int, n_layer: int, n_head: int, n_embd: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_codes, self.grid = n_codes, grid
        self.gpt = import_gpt()(
            vocab_size=n_codes, block_size=grid * grid, n_layer=n_layer, n_head=n_head, n_embd=n_embd,
            embd_pdrop=dropout, resid_pdrop=dropout,
        )  # fmt: skip
        for block in cast(nn.Sequential, self.gpt.get_submodule("blocks")):
            attention = block.get_submodule("attn")  # its mask is a constant: do not store it in files
            attention.register_buffer("mask", attention.get_buffer("mask"), persistent=False)
        self.start = nn.Parameter(torch.zeros(n_embd))
        self.sketch = nn.Embedding(n_codes + 1, n_embd)  # the last row: nothing is sketched
        self.near = nn.Conv2d(n_embd, n_embd, 5, padding=2, groups=n_embd // 16)
        self.text = nn.Sequential(nn.Linear(text_width, n_embd * 2), nn.GELU(), nn.Linear(n_embd * 2, n_embd))

    def condition(self, features: Tensor, sketch: Tensor) -> Tensor:
        """Condition of each position, without the codes before it, `[N, grid * grid, E]`.

        Args:
            features: unit text features `[N, D]`.
            sketch: codes `[N, grid, grid]`; n_codes where nothing is sketched.
        """
        seen = self.sketch(sketch).permute(0, 3, 1, 2)
        seen = (seen + self.near(seen)).flatten(2).transpose(1, 2)
        text = self.text(features * features.shape[-1] ** 0.5)
        return cast(Tensor, seen + text[:, None])

    def forward(self, codes: Tensor, condition: Tensor) -> Tensor:
        """Scores `[N, grid * grid, n_codes]` of each next code, given the true codes `[N, grid * grid]` before it."""
        before = self.gpt.get_submodule("tok_emb")(codes[:, :-1])
        start = self.start.expand(len(codes), 1, -1)
        inputs = torch.cat([start, before], dim=1) + condition
        logits, _ = self.gpt(codes[:, :0], embeddings=inputs)
        return cast(Tensor, logits)

    @torch.no_grad()
    def sample(
        self,
        condition: Tensor,
        temperature: float,
        top_k: int,
        generator: torch.Generator,
        known: Tensor | None = None,
    ) -> Tensor:
        """Draw codes `[N, grid * grid]`, one position after the other; where `known` is not negative, it is kept."""
        count, length, width = condition.shape
        gpt: Any = self.gpt
        heads = gpt.blocks[0].attn.n_head
        # Keys and values of all positions; those of a position are written when it is read.
        seen = condition.new_zeros(len(gpt.blocks), 2, count, heads, length, width // heads)
        codes = torch.zeros(count, length, dtype=torch.long, device=condition.device)
        before = self.start.expand(count, -1)
        for at in range(length):
            scores = self._next(before + condition[:, at] + gpt.pos_emb[:, at], seen[..., : at + 1, :])
            best = (scores / temperature).topk(top_k, dim=-1)
            drawn = torch.multinomial(best.values.softmax(dim=-1).cpu(), 1, generator=generator).to(codes.device)
            codes[:, at] = best.indices.gather(1, drawn)[:, 0]
            if known is not None:
                codes[:, at] = torch.where(known[:, at] < 0, codes[:, at], known[:, at])
            before = gpt.tok_emb(codes[:, at])
        return codes

    def next_in_place(self, tokens: Tensor, seen: Tensor, at: Tensor) -> Tensor:
        """Scores `[N, n_codes]` of the next code, as `_next`, on buffers that never change shape.

        Args:
            tokens: of the newest position, `[N, E]`.
            seen: keys and values of all positions `[layers, 2, N, heads, T, E / heads]`; those of the newest are
                written.
            at: the newest position, `[1] int64`.
        """
        gpt: Any = self.gpt
        places = torch.arange(seen.shape[4], device=at.device)
        here, visible = places == at, (places <= at)[None]
        for block, (keys, values) in zip(gpt.blocks, seen, strict=True):
            normal, attention = block.ln1(tokens), block.attn
            query, key, value = (
                part(normal).unflatten(1, (attention.n_head, -1))[:, :, None]
                for part in (attention.query, attention.key, attention.value)
            )
            keys.copy_(torch.where(here[:, None], key, keys))
            values.copy_(torch.where(here[:, None], value, values))
            mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible)
            tokens = tokens + attention.proj(mixed.flatten(1))
            tokens = tokens + block.mlp(block.ln2(tokens))
        return cast(Tensor, gpt.head(gpt.ln_f(tokens)))

    def _next(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Scores `[N, n_codes]` of the next code, from the newest position's tokens `[N, E]` and all keys and values.

        The newest position is the last of `seen [layers, 2, N, heads, T, E / heads]`, and is written here.
        """
        gpt: Any = self.gpt
        for block, (keys, values) in zip(gpt.blocks, seen, strict=True):
            normal, attention = block.ln1(tokens), block.attn
            query, keys[:, :, -1], values[:, :, -1] = (
                part(normal).unflatten(1, (attention.n_head, -1))
                for part in (attention.query, attention.key, attention.value)
            )
            mixed = F.scaled_dot_product_attention(query[:, :, None], keys, values)
            tokens = tokens + attention.proj(mixed.flatten(1))
            tokens = tokens + block.mlp(block.ln2(tokens))
        return cast(Tensor, gpt.head(gpt.ln_f(tokens)))


class CodeSampler:
    """Draw codes for N proposals on a GPU: one recorded pass per code, on its own buffers, without the host.

    A code is drawn by an exponential race (the largest of `p / e`, with `e` exponentially distributed), so that all
    randomness can be drawn beforehand. A pass that cannot be recorded runs directly, which takes longer.
    """

    @torch.no_grad()
    def __init__(self, network: PriorNetwork, count: int, temperature: float, top_k: int, recorder: Recorder) -> None:
        self._network, self._temperature, self._top_k = network, temperature, top_k
        gpt: Any = network.gpt
        length, width = network.grid**2, len(network.start)
        heads = gpt.blocks[0].attn.n_head
        blank = network.start.new_zeros
        self._condition, self._before = blank(count, length, width), blank(count, width)
        self._noise = blank(length, count, top_k).fill_(1)
        self._known = torch.full((count, length), -1, device=network.start.device)
        self._seen = blank(len(gpt.blocks), 2, count, heads, length, width // heads)
        self._at = torch.zeros(1, dtype=torch.long, device=network.start.device)
        self._codes = torch.zeros(count, length, dtype=torch.long, device=network.start.device)
        try:
            self._advance = recorder.record(self._draw_next)
        except RuntimeError as exc:
            if reports_no_memory(exc):
                raise
            _LOG.warning("The prior could not be captured as a CUDA graph and runs slower: %s", first_line(exc))
            self._advance = self._draw_next

    @torch.no_grad()
    def sample(self, condition: Tensor, generator: torch.Generator, known: Tensor | None = None) -> Tensor:
        """Draw codes `[N, grid * grid]` for a condition `[N, grid * grid, E]`; `generator` is on the CPU.

        Where `known [N, grid * grid]` is not negative, it is kept.
        """
        self._condition.copy_(condition)
        if known is None:
            self._known.fill_(-1)
        else:
            self._known.copy_(known)
        self._noise.copy_(torch.empty(self._noise.shape).exponential_(generator=generator))
        self._before.copy_(self._network.start.expand_as(self._before))
        self._at.zero_()
        for _ in range(condition.shape[1]):
            self._advance()
        return self._codes.clone()

    @torch.no_grad()
    def _draw_next(self) -> None:
        gpt: Any = self._network.gpt
        place = self._condition.index_select(1, self._at)[:, 0] + gpt.pos_emb.index_select(1, self._at)[:, 0]
        scores = self._network.next_in_place(self._before + place, self._seen, self._at)
        best = (scores / self._temperature).topk(self._top_k, dim=-1)
        race = best.values.softmax(dim=-1) / self._noise.index_select(0, self._at)[0]
        drawn = best.indices.gather(1, race.argmax(dim=-1, keepdim=True))
        known = self._known.index_select(1, self._at)
        codes = torch.where(known < 0, drawn, known)
        here = torch.arange(self._codes.shape[1], device=codes.device) == self._at
        self._codes.copy_(torch.where(here, codes, self._codes))
        self._before.copy_(gpt.tok_emb(codes[:, 0]))
        self._at.add_(1)


class Prior:
    """Propose starts for a prompt, from network, lexicon and the drawings' stored codes.

    Args:
        drawings: those of the lexicon's concepts.
        recorder: records the passes of the network on a GPU; without one, each code passes through the host.
    """

    def __init__(
        self,
        network: PriorNetwork,
        vqgan: VQGAN,
        lexicon: Lexicon,
        drawings: StoredDrawings,
        temperature: float,
        top_k: int,
        recorder: Recorder | None = None,
    ) -> None:
        self.network, self._vqgan, self._lexicon, self._stored = network, vqgan, lexicon, drawings
        self._temperature, self._top_k, self._recorder = temperature, top_k, recorder
        self._samplers: OrderedDict[int, CodeSampler] = OrderedDict()
        self.sketcher = Sketcher(lexicon, drawings)

    def with_vqgan(self, vqgan: VQGAN) -> Prior:
        """Return this prior with another copy of its VQGAN."""
        return Prior(self.network, vqgan, self._lexicon, self._stored, self._temperature, self._top_k, self._recorder)

    @torch.no_grad()
    def propose(
        self, text: str, text_features: Tensor, count: int, size: tuple[int, int], generator: torch.Generator
    ) -> Tensor:
        """Propose `count` starts for a prompt, as codes `[count, h, w]`.

        Args:
            text: the prompt's words.
            count: number of proposals.
            text_features: the perceptor's unit features of the prompt, `[1, D]`.
            size: h and w in codes; sizes other than the network's own are generated at its own and fitted.
            generator: a CPU generator, the only source of randomness.
        """
        sketches = torch.stack([self.sketch(text, number) for number in range(count)])
        device = text_features.device
        condition = self.network.condition(text_features.expand(count, -1).float(), sketches.to(device))
        codes = self._sample(condition, generator)
        codes = codes.reshape(count, self.network.grid, self.network.grid)
        return codes if size == tuple(codes.shape[1:]) else self._fitted(codes, size)

    @torch.no_grad()
    def fill(
        self, text_features: Tensor, sketch: Tensor, known: Tensor, generator: torch.Generator, count: int = 1
    ) -> Tensor:
        """Draw codes `[count, grid, grid]` for a sketch.

        Args:
            text_features: as `propose`.
            sketch: codes `[grid, grid]`; n_codes where nothing is sketched.
            known: codes to keep `[grid, grid]`; negative where codes are drawn.
            generator: as `propose`.
            count: number of drawings of the codes.
        """
        device, grid = text_features.device, self.network.grid
        features = text_features.expand(count, -1).float()
        condition = self.network.condition(features, sketch.to(device).expand(count, -1, -1))
        codes = self._sample(condition, generator, known.to(device).flatten().expand(count, -1))
        return codes.reshape(count, grid, grid)

    def _sample(self, condition: Tensor, generator: torch.Generator, known: Tensor | None = None) -> Tensor:
        if self._recorder is not None:
            return self._sampler(len(condition), self._recorder).sample(condition, generator, known)
        # Sharing thousands of small operations among threads takes longer than computing them on one.
        with cpu_threads(1):
            return self.network.sample(condition, self._temperature, self._top_k, generator, known)

    def _sampler(self, count: int, recorder: Recorder) -> CodeSampler:
        """Sampler for this many proposals; the least recently used is dropped first."""
        sampler = self._samplers.pop(count, None)
        if sampler is None:
            while len(self._samplers) >= MAX_SAMPLERS:
                self._samplers.popitem(last=False)
            sampler = CodeSampler(self.network, count, self._temperature, self._top_k, recorder)
        self._samplers[count] = sampler
        return sampler

    def sketch(self, text: str, number: int = 0) -> Tensor:
        """Codes `[grid, grid]` that show the things the text names; `number` varies drawing and meaning."""
        mentions = self._lexicon.find(text)[:MAX_THINGS]
        if not mentions:
            return torch.full((self.network.grid, self.network.grid), self.network.n_codes)
        things = [thing for mention in mentions for thing in [self._drawing(mention, number)] * mention.count]
        things = things[:MAX_THINGS]
        return things[0] if len(things) == 1 else self._together(things)

    def _drawing(self, mention: Mention, number: int) -> Tensor:
        """Choose one drawing: each style of the likeliest concept first, less often those of the alternatives."""
        styles = min(STYLES_TRAINED, len(self._stored.usual(mention.concepts[0])))
        meanings = mention.concepts[:MEANINGS_TRIED]
        concept = meanings[max(0, (number // styles) % (len(meanings) + 1) - 1)]
        usual = self._stored.usual(concept)
        return self._codes(concept, usual[number % styles % len(usual)])

    def _codes(self, concept: int, style: int) -> Tensor:
        """Codes `[grid, grid]` of a drawing, placed by LAYOUTS[1]."""
        place, side = LAYOUTS[1][0], self.network.grid * self._vqgan.factor
        canvas, mask = torch.ones(3, side, side), torch.zeros(1, side, side)
        box = Box(place.x * side, place.y * side, place.side * side, place.side * side)
        paste(canvas, mask, self._stored.cut(concept, style), box, mirrored=False)
        return self._vqgan.nearest(self._vqgan.encode(canvas[None].to(self._vqgan.codebook.device)))[0].cpu()

    def _together(self, things: Sequence[Tensor]) -> Tensor:
        """Place several drawings on one white background and encode the result."""
        device = self._vqgan.codebook.device
        alone = self._vqgan.decode(self._vqgan.lookup(torch.stack(list(things)).to(device))).clamp(0, 1)
        side = alone.shape[-1]
        own = LAYOUTS[1][0]
        edge = round(own.side * side)
        left, top = round(own.x * side - edge / 2), round(own.y * side - edge / 2)
        canvas = torch.ones(1, 3, side, side, device=device)
        for image, place in zip(alone, LAYOUTS[len(things)], strict=True):
            cut = image[None, :, top : top + edge, left : left + edge]
            size = round(place.side * side)
            small = F.interpolate(cut, size=(size, size), mode="bilinear", antialias=True)
            x, y = round(place.x * side - size / 2), round(place.y * side - size / 2)
            canvas[:, :, y : y + size, x : x + size] = small
        return self._vqgan.nearest(self._vqgan.encode(canvas))[0].cpu()

    def _fitted(self, codes: Tensor, size: tuple[int, int]) -> Tensor:
        """Fit square proposals to h x w: scale to the shorter side, mirror the background outwards on the longer."""
        factor = self._vqgan.factor
        height, width = size[0] * factor, size[1] * factor
        short = min(height, width)
        proposals = []
        for one in codes:  # one at a time: a large size must not cost `count` times the memory
            image = self._vqgan.decode(self._vqgan.lookup(one[None])).clamp(0, 1)
            image = F.interpolate(image, size=(short, short), mode="bicubic", antialias=True).clamp(0, 1)
            image = _mirrored(image, height, width)
            proposals.append(self._vqgan.nearest(self._vqgan.encode(image))[0])
        return torch.stack(proposals)


def _mirrored(image: Tensor, height: int, width: int) -> Tensor:
    """Grow `[1, 3, S, S]` to `[1, 3, height, width]` by mirroring at the edges as often as needed."""
    while image.shape[-1] < width or image.shape[-2] < height:
        grow_x = min(width - image.shape[-1], 2 * (image.shape[-1] - 1))
        grow_y = min(height - image.shape[-2], 2 * (image.shape[-2] - 1))
        left, top = grow_x // 2, grow_y // 2
        image = F.pad(image, (left, grow_x - left, top, grow_y - top), mode="reflect")
    return image
