"""Write the trained models into generator/starter: `python -m training.export`.

Weights are saved as fp16 safetensors; the drawings are encoded here, with the very weights that are written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor
from tqdm import trange

from generator.loading import load_vqgan
from generator.models.prior import Place
from generator.models.stored import Frame, write
from generator.models.vqgan import VQGAN
from training.compositor import COLOUR_WORDS, COLOURS, Compositor
from training.data import as_tensor
from training.drawings.store import TRAINED
from training.refine import latest
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


class CodeCache:
    """Codes by drawing and VQGAN, saved to disk every two minutes, so that encoding can be resumed."""

    def __init__(self, work: Path, vqgan: VQGAN) -> None:
        digest = hashlib.sha256()
        for name, tensor in vqgan.state_dict().items():
            if not name.startswith(("decoder.", "post_quant_conv.")):
                digest.update(tensor.float().cpu().numpy().tobytes())
        self._path = work / f"codes_{digest.hexdigest()[:12]}.pt"
        self.codes: dict[str, Tensor] = {}
        if self._path.exists():
            self.codes = torch.load(self._path, map_location="cpu", weights_only=True)
        self._saved = time.monotonic()

    def add(self, codes: dict[str, Tensor]) -> None:
        self.codes |= codes
        if time.monotonic() - self._saved > 120:
            self.save()

    def save(self) -> None:
        """Write the codes to a temporary file and rename it."""
        beside = self._path.with_suffix(".part")
        torch.save(self.codes, beside)
        beside.replace(self._path)
        self._saved = time.monotonic()


@torch.no_grad()
def encode_drawings(
    vqgan: VQGAN, compositor: Compositor, side_px: int, cache: CodeCache
) -> tuple[Tensor, list[Tensor]]:
    """For each thing and style the number of its drawing, `[concepts, styles]`; and the codes of each drawing on white.

    A style that the thing lacks has the number -1.
    """
    rows = torch.full((len(compositor.table), len(TRAINED)), -1)
    keys: list[str] = []
    missing: dict[str, tuple[int, str]] = {}
    for concept in range(len(compositor.table)):
        for style in compositor.drawings.styles(concept):
            if style in TRAINED:
                rows[concept, TRAINED.index(style)] = len(keys)
                keys.append(hashlib.sha256(compositor.sprite(concept, style).tobytes()).hexdigest()[:24] + str(side_px))
                if keys[-1] not in cache.codes:
                    missing[keys[-1]] = concept, style
    place, wanted = Place(FRAME.x, FRAME.y, FRAME.side), list(missing.items())
    for first in trange(0, len(wanted), ENCODED_AT_ONCE, mininterval=20, ascii=True):
        part, images = wanted[first : first + ENCODED_AT_ONCE], []
        for _, (concept, style) in part:
            canvas = Image.new("RGB", (side_px, side_px), (255, 255, 255))
            compositor.paste(canvas, compositor.sprite(concept, style), place)
            images.append(as_tensor(canvas))
        grids = vqgan.nearest(vqgan.encode(torch.stack(images).to(vqgan.codebook.device))).cpu().to(torch.int16)
        cache.add({key: grid.clone() for (key, _), grid in zip(part, grids, strict=True)})
    cache.save()
    return rows, [cache.codes[key] for key in keys]


def trained(work: Path, *names: str) -> dict[str, Tensor] | None:
    """The averaged weights of the first of these trainings that has run, as fp16; None if none has."""
    for name in names:
        path = work / f"{name}.pt"
        if path.exists():
            return half(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return None


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


def export_drawings(work: Path, out: Path, side_px: int) -> None:
    """Write all drawings, encoded by the VQGAN in `out`, and the lexicon."""
    vqgan = load_vqgan(CONFIG, out / "vqgan.safetensors", torch.device("cpu"))
    compositor = Compositor(work, side_px)
    rows, grids = encode_drawings(vqgan, compositor, side_px, CodeCache(work, vqgan))
    write(out / "drawings.safetensors", rows, grids, FRAME)
    (out / "lexicon.json").write_text(json.dumps(lexicon(compositor.table), ensure_ascii=False, indent=0), "utf-8")
    prior = safetensors.torch.load_file(out / "prior.safetensors")
    if prior.pop("grids", None) is not None:  # of an older set
        safetensors.torch.save_file(prior, out / "prior.safetensors")


def export_weights(work: Path, out: Path) -> None:
    """Write what the folder has trained of VQGAN, perceptor and prior."""
    safetensors.torch.save_file(half(latest(work).state_dict()), out / "vqgan.safetensors")
    perceptor, prior = trained(work, "perceptor_robust", "perceptor"), trained(work, "prior")
    if perceptor is not None:
        vocabulary = torch.load(work / "vocabulary.pt", weights_only=True)
        safetensors.torch.save_file(perceptor | {"vocabulary": vocabulary}, out / "clip.safetensors")
    if prior is not None:
        safetensors.torch.save_file(prior, out / "prior.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=STARTER, help="folder for the models")
    parser.add_argument("--side", type=int, default=256, help="side of a stored drawing in pixels (default 256)")
    parser.add_argument(
        "--drawings", action="store_true", help="write drawings and lexicon only, for the models in --out"
    )
    options = parser.parse_args()
    if not options.drawings:
        export_weights(options.work, options.out)
    export_drawings(options.work, options.out, options.side)
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
