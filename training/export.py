"""Write the trained models into generator/starter: `python -m training.export`.

Weights are saved as fp16 safetensors; the drawings are encoded here, with the very weights that are written.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor
from tqdm import trange

from generator.models.prior import Place
from generator.models.stored import Frame, write
from generator.models.vqgan import VQGAN
from training.compositor import COLOUR_WORDS, COLOURS, Compositor
from training.data import as_tensor
from training.drawings.store import TRAINED
from training.scenes import SCENES
from training.sprites import meanings
from training.vqgan import CONFIG

FRAME, ENCODED_AT_ONCE = Frame(0.5, 0.5, 0.92), 16
"""Where a stored drawing stands: as large as it can be, with white around it."""
STARTER = Path(__file__).parent.parent / "generator" / "starter"
# Words that never name a drawing by themselves
IGNORED = (
    "a an the in on at of and with to by under over behind next into from for near its his her their my your is are "
    "very big small little large tiny huge cute happy beautiful pretty nice old new young dark light bright colour "
    "color picture drawing photo image painting two three four pair"
)
# Words that name no drawing after a preposition: "in the snow"
PLACES = (
    "night dark sky space sea ocean water underwater beach sand island desert dune snow ice winter forest woods jungle "
    "grass meadow field park hill garden flowers spring summer autumn fall mountain mountains city town street road "
    "buildings room kitchen floor home house fire flames hell lava rain storm day evening morning dusk dawn sunset "
    "sunrise midnight moonlight moon stars galaxy clouds trees leaves waves lake"
)


def half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert floating tensors to fp16, contiguous, on the CPU."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in tensors.items()
    }


@torch.no_grad()
def encode_drawings(vqgan: VQGAN, compositor: Compositor, side_px: int) -> tuple[Tensor, list[Tensor]]:
    """For each thing and style the number of its drawing, `[concepts, styles]`; and the codes of each drawing on white.

    A style that the thing lacks has the number -1.
    """
    place = Place(FRAME.x, FRAME.y, FRAME.side)
    rows, sprites = torch.full((len(compositor.table), len(TRAINED)), -1), []
    for concept in range(len(compositor.table)):
        for style in compositor.drawings.styles(concept):
            if style in TRAINED:
                rows[concept, TRAINED.index(style)] = len(sprites)
                sprites.append((concept, style))
    grids: list[Tensor] = []
    device = vqgan.codebook.device
    for first in trange(0, len(sprites), ENCODED_AT_ONCE, mininterval=20, ascii=True):
        images = []
        for concept, style in sprites[first : first + ENCODED_AT_ONCE]:
            canvas = Image.new("RGB", (side_px, side_px), (255, 255, 255))
            compositor.paste(canvas, compositor.sprite(concept, style), place)
            images.append(as_tensor(canvas))
        grids += vqgan.nearest(vqgan.encode(torch.stack(images).to(device))).cpu()
    return rows, grids


def sharpened(work: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The VQGAN's weights, with the decoder of training.decoder if it has run."""
    path = work / "decoder.pt"
    if not path.exists():
        return weights
    average = torch.load(path, map_location="cpu", weights_only=True)["average"]
    return weights | {name: average[name] for name in weights if name.startswith(("decoder.", "post_quant_conv."))}


def lexicon(table: list[dict[str, Any]]) -> dict[str, object]:
    """Names of every concept, its own first, without words that many concepts share.

    A thing that is no emoji is found by its whole name, and by the last word of that if nothing else is.
    """
    shared = Counter(alias for row in table for alias in row["aliases"])
    everyday = meanings()
    taken = {*everyday, *shared, *(word for row in table if row["emoji"] for word in row["name"].split())}
    names = []
    for row in table:
        others = [alias for alias in row["aliases"] if alias != row["name"] and shared[alias] <= 8]
        last = row["name"].split()[-1]
        if not row["emoji"] and last not in taken:
            others.append(last)
        names.append([row["name"], *others])
    colours = [*COLOURS, *(word for words in COLOUR_WORDS.values() for word in words)]
    numbers = {row["name"]: number for number, row in enumerate(table)}
    words = {word for _, phrases in SCENES.values() for phrase in phrases for word in phrase.split()}
    return {
        "names": names,
        "common": {word: [numbers[name]] for word, name in everyday.items() if name in numbers},
        "words": sorted(words.union(SCENES)),
        "ignored": sorted({*IGNORED.split(), *colours}),
        "places": sorted(PLACES.split()),
        "whole": [number for number, row in enumerate(table) if not row["emoji"] and " " in row["name"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=STARTER, help="folder for the models")
    parser.add_argument("--side", type=int, default=256, help="side of a stored drawing in pixels (default 256)")
    options = parser.parse_args()
    work, out = options.work, options.out
    read = {
        name: torch.load(work / f"{name}.pt", map_location="cpu", weights_only=True)
        for name in ("vqgan", "perceptor", "prior")
    }
    robust = work / "perceptor_robust.pt"
    perceptor = torch.load(robust, map_location="cpu", weights_only=True) if robust.exists() else read["perceptor"]
    vqgan = VQGAN(OmegaConf.load(CONFIG))  # type: ignore[arg-type]  # our own yaml is a mapping
    weights = half(sharpened(work, read["vqgan"]["average"]))
    vqgan.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    compositor = Compositor(work, options.side)
    rows, grids = encode_drawings(vqgan.eval(), compositor, options.side)
    clip_weights = half(perceptor["average"]) | {"vocabulary": torch.load(work / "vocabulary.pt", weights_only=True)}
    safetensors.torch.save_file(weights, out / "vqgan.safetensors")
    safetensors.torch.save_file(clip_weights, out / "clip.safetensors")
    safetensors.torch.save_file(half(read["prior"]["average"]), out / "prior.safetensors")
    write(out / "drawings.safetensors", rows, grids, FRAME)
    (out / "lexicon.json").write_text(json.dumps(lexicon(compositor.table), ensure_ascii=False, indent=0), "utf-8")
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
