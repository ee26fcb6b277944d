"""Train the starter's CLIP: `python -m training.perceptor`, then `python -m training.perceptor --robust`.

An ordinary clip.model.CLIP with a small ResNet. The tokenizer is OpenAI's; rows of its vocabulary that no caption uses
are not saved. Beside the contrastive loss, linear heads classify concept, colour and scene from either embedding; they
are discarded afterwards. `--robust` continues with the text encoder frozen, with pictures perturbed against the
perceptor (L2, one step) and noise as negatives: that turns its gradients from noise into shapes (Santurkar et al.,
"Image Synthesis with a Single (Robust) Classifier", arXiv 1906.09453).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.models.clip import CLIP, tokenize
from training import run
from training.compositor import COLOUR_WORDS, COLOURS, NUMBERS
from training.dataset import COLOUR_NAMES, SCENE_NAMES, Batch, Captioned, Composed
from training.scenes import SCENES

RESOLUTION = 64
SHAPE = {
    "embed_dim": 256, "image_resolution": RESOLUTION, "vision_layers": (1, 2, 2, 1), "vision_width": 24,
    "vision_patch_size": 0, "context_length": 77, "transformer_width": 128, "transformer_heads": 2,
    "transformer_layers": 4,
}  # fmt: skip
PEAK, ROBUST_PEAK, CLIPPED = 1.5e-3, 4e-4, 2.0
SMALLEST, ROBUST_SMALLEST = 0.5, 0.35
"""Smallest share of a picture's side that is seen."""
NAMING = 0.4
"""Weight of the heads' losses."""
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]


def vocabulary(data: Captioned) -> Tensor:
    """The tokenizer's ids that captions can contain, ascending `[V] int64`; id 0 pads."""
    words = ["a picture drawing of the and next to with on in", *COLOURS, *NUMBERS]
    words += [word for group in COLOUR_WORDS.values() for word in group]
    words += [phrase for _, phrases in SCENES.values() for phrase in phrases] + list(SCENES)
    for row in data.compositor.table:
        words += [f"{alias} {alias}s" for alias in (row["name"], *row["aliases"])]
    tokens = tokenize(words)
    return torch.unique(torch.cat([tokens.flatten(), torch.tensor([0])])).long()


class Text:
    """Tokenise captions into rows of the pruned vocabulary, padded to the longest of the batch."""

    def __init__(self, ids: Tensor) -> None:
        self._row = torch.zeros(49408, dtype=torch.long)
        self._row[ids] = torch.arange(len(ids))
        self._start, self._end = tokenize([""])[0, :2].tolist()
        self._tokens = lru_cache(maxsize=200_000)(self._tokens_of)

    def _tokens_of(self, word: str) -> list[int]:
        found = tokenize([word])[0]
        return [int(token) for token in found[found != 0][1:-1]]

    def __call__(self, captions: list[str]) -> Tensor:
        # CLIP's tokens never reach across a space, so that captions of few words in many orders are read by the word
        found = [[token for word in caption.split() for token in self._tokens(word)] for caption in captions]
        rows = [[self._start, *tokens[: SHAPE["context_length"] - 2], self._end] for tokens in found]
        longest = max(map(len, rows))
        return self._row[torch.tensor([row + [0] * (longest - len(row)) for row in rows])]


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """CLIP.encode_text for tokens `[N, L]` with L below the context length: the mask is causal, so nothing changes."""
    length = tokens.shape[1]
    x = (model.token_embedding(tokens) + model.positional_embedding[:length]).permute(1, 0, 2)
    mask = model.transformer.resblocks[0].attn_mask
    for block in model.transformer.resblocks:
        block.attn_mask = mask[:length, :length]
    x = model.transformer(x)
    for block in model.transformer.resblocks:
        block.attn_mask = mask
    x = model.ln_final(x.permute(1, 0, 2))
    return x[torch.arange(len(x)), tokens.argmax(dim=-1)] @ model.text_projection


def encode_image(model: CLIP, pictures: Tensor) -> Tensor:
    """CLIP.encode_image of pictures `[N, 3, S, S] in 0..1`."""
    normalised = (pictures - MEAN.to(pictures)) / STD.to(pictures)
    return model.visual(normalised.contiguous(memory_format=torch.channels_last))


@dataclass(frozen=True)
class Losses:
    """The loss to minimise, the heads' part of it, and the share of captions that are found by their pictures."""

    total: Tensor
    naming: Tensor
    right: Tensor


class Heads(nn.Module):
    """Linear classifiers of concept, colour and scene, shared by both embeddings."""

    def __init__(self, n_concepts: int) -> None:
        super().__init__()
        self.concept = nn.Linear(256, n_concepts)
        self.colour = nn.Linear(256, len(COLOUR_NAMES))
        self.scene = nn.Linear(256, len(SCENE_NAMES))

    def loss(self, features: Tensor, batch: Batch) -> Tensor:
        features = F.normalize(features, dim=-1) * 12
        concept = -(batch.concepts * self.concept(features).log_softmax(dim=-1)).sum(dim=-1).mean()
        return (
            concept
            + 0.5 * F.cross_entropy(self.colour(features), batch.colours)
            + 0.5 * F.cross_entropy(self.scene(features), batch.scenes)
        )


def contrastive(image: Tensor, text: Tensor, scale: Tensor, nothing: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """CLIP's loss and retrieval accuracy; `nothing` embeds pictures without a caption. Always in float32."""
    with torch.autocast(image.device.type, enabled=False):
        return _contrastive(image.float(), text.float(), scale, None if nothing is None else nothing.float())


def _contrastive(image: Tensor, text: Tensor, scale: Tensor, nothing: Tensor | None) -> tuple[Tensor, Tensor]:
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    logits = scale.clamp(max=100) * image @ text.t()
    target = torch.arange(len(logits), device=logits.device)
    by_text = logits.t()
    if nothing is not None:
        by_text = torch.cat([by_text, scale * text @ F.normalize(nothing, dim=-1).t()], dim=1)
    loss = (
        F.cross_entropy(logits, target, label_smoothing=0.05) + F.cross_entropy(by_text, target, label_smoothing=0.05)
    ) / 2
    return loss, (logits.argmax(dim=1) == target).float().mean()


def mush(pictures: Tensor) -> Tensor:
    """Pictures without content: shuffled patches, smooth colour noise, or blends of unrelated pictures."""
    count, _, side, _ = pictures.shape
    kind = torch.randint(3, (count,))
    patch = 8
    cells = pictures.unfold(2, patch, patch).unfold(3, patch, patch).flatten(2, 3)
    shuffled = cells[:, :, torch.randperm(cells.shape[2])].unflatten(2, (side // patch, -1))
    shuffled = shuffled.permute(0, 1, 2, 4, 3, 5).reshape_as(pictures)
    noise = F.interpolate(torch.randn(count, 3, 8, 8) * 0.3, size=side, mode="bicubic")
    noise = (noise + F.interpolate(torch.randn(count, 3, 16, 16) * 0.2, size=side, mode="bicubic") + 0.5).clamp(0, 1)
    blend = (pictures + pictures.roll(1, 0) + pictures.roll(2, 0).flip(2)) / 3
    choice = kind[:, None, None, None].to(pictures.device)
    out = torch.where(choice == 0, shuffled, torch.where(choice == 1, noise.to(pictures), blend))
    return out + torch.randn_like(out) * 0.03


def perturbed(model: CLIP, pictures: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Move the pictures one L2 step of length 0.5 to 3 away from their captions."""
    moved = (pictures + torch.randn_like(pictures) * 0.02).requires_grad_(True)
    loss, _ = contrastive(encode_image(model, moved), text, scale)
    (gradient,) = torch.autograd.grad(loss, moved)
    length = torch.empty(len(pictures), 1, 1, 1).uniform_(0.5, 3).to(pictures)
    unit = gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None].clamp_min(1e-9)
    return (pictures + unit * length).clamp(0, 1).detach()


def captioned_loss(model: CLIP, heads: Heads, text: Text, batch: Batch, more: Batch) -> Losses:
    """Losses of pictures with their captions, and of more captions without pictures, all on the model's device."""
    device = batch.pictures.device
    words, spoken = (encode_text(model, text(part.captions).to(device)) for part in (batch, more))
    seen = encode_image(model, batch.pictures)
    loss, right = contrastive(seen, words, model.logit_scale.exp())
    naming = heads.loss(seen, batch) + (heads.loss(words, batch) + heads.loss(spoken, more)) / 2
    return Losses(loss + NAMING * naming, naming, right)


def robust_loss(model: CLIP, heads: Heads, words: Tensor, batch: Batch, nothing: Tensor) -> Losses:
    """Losses of pictures that were moved away from their captions `words`, and of pictures without content."""
    scale = model.logit_scale.exp()
    seen = encode_image(model, perturbed(model, batch.pictures, words, scale))
    loss, right = contrastive(seen, words, scale, encode_image(model, nothing))
    naming = heads.loss(seen, batch)
    return Losses(loss + NAMING * naming, naming, right)


def main() -> None:
    options = run.arguments(__doc__, steps=900, batch=128, flags=("robust",))
    data = Composed(options.work, seed=options.seed)
    ids = vocabulary(data)
    text = Text(ids)
    model = CLIP(**SHAPE, vocab_size=len(ids)).to(options.device, memory_format=torch.channels_last)
    heads = Heads(data.n_concepts).to(options.device)
    trained = [*model.parameters(), *heads.parameters()]
    if options.robust:
        start = torch.load(options.work / "perceptor.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(start["average"])
        heads.load_state_dict(start["heads"])
        trained = [*model.visual.parameters(), *heads.parameters()]
    peak = ROBUST_PEAK if options.robust else PEAK
    optimiser = torch.optim.AdamW(trained, lr=peak, betas=(0.9, 0.98), weight_decay=0.02)
    average = run.Average(model, 0.99)
    parts = {"model": model, "heads": heads, "average": average, "optimiser": optimiser}
    name = "perceptor_robust" if options.robust else "perceptor"
    state = run.Run(options.work / f"{name}.pt", options.steps, parts)
    while state.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, peak)
        smallest = ROBUST_SMALLEST if options.robust else SMALLEST
        batch = data.batch(options.batch, RESOLUTION, smallest).to(options.device)
        if options.robust:
            with torch.no_grad():
                words = encode_text(model, text(batch.captions).to(options.device))
            losses = robust_loss(model, heads, words, batch, mush(batch.pictures[: options.batch // 4]))
        else:
            losses = captioned_loss(model, heads, text, batch, data.words(options.batch).to(options.device))
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIPPED)
        optimiser.step()
        average.update()
        state.advance(loss=losses.total.item(), naming=losses.naming.item(), right=losses.right.item())
    torch.save(ids, options.work / "vocabulary.pt")


if __name__ == "__main__":
    main()
