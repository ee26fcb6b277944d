"""Write the trained models into generator/starter: `python -m training.export`.

Weights are saved as fp16 safetensors, drawings as WebP.
"""

from __future__ import annotations

import argparse
import json
import random
from multiprocessing import Pool
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from generator.models.drawings.stored import packed, packed_ink, write
from training.compositor import Compositor
from training.drawings.nouns import Nouns
from training.drawings.raster import Array
from training.drawings.store import TRAINED
from training.halve import SIDE_PX, latest
from training.lexicon import lexicon
from training.scenes import SCENES, paint

INK, COLOURED_PX = ("line", "stencil"), 192
"""Styles in ink, stored at full size; and the side of other drawings, which is that of one thing in a picture."""
STARTER = Path(__file__).parent.parent / "generator" / "starter"


def half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert floating tensors to fp16, contiguous, on the CPU."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in tensors.items()
    }


def store_drawings(compositor: Compositor) -> tuple[Tensor, list[bytes]]:
    """Number of the drawing of each thing in each style, `[concepts, styles]`, -1 for none; and all files."""
    rows = torch.full((len(compositor.table), len(TRAINED)), -1)
    wanted = [
        (concept, style)
        for concept in range(len(compositor.table))
        for style in compositor.drawings.styles(concept)
        if style in TRAINED
    ]
    for number, (concept, style) in enumerate(wanted):
        rows[concept, TRAINED.index(style)] = number
    sprites = ((compositor.sprite(*which), which[1] in INK) for which in wanted)
    with Pool() as pool:
        files = pool.imap(_file, sprites, chunksize=16)
        return rows, list(tqdm(files, total=len(wanted), mininterval=20, ascii=True))


def _file(drawing: tuple[Array, bool]) -> bytes:
    """File of a sprite `[256, 256, 4]`, in ink or in colour."""
    sprite, is_ink = drawing
    image = Image.fromarray(sprite)
    if is_ink:
        return packed_ink(image)
    return packed(image.resize((COLOURED_PX,) * 2, Image.Resampling.LANCZOS))


def store_grounds(count: int) -> dict[str, list[bytes]]:
    """Files of `count` pictures of each scene."""
    scenes = (scene for scene in SCENES if scene != "plain")
    return {
        scene: [packed(paint(scene, SIDE_PX, random.Random(f"{scene} {number}"))) for number in range(count)]
        for scene in scenes
    }


def trained(work: Path, *names: str) -> dict[str, Tensor] | None:
    """The averaged weights of the first of these trainings that has run, as fp16; None if none has."""
    for name in names:
        path = work / f"{name}.pt"
        if path.exists():
            return half(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return None


def export_drawings(work: Path, out: Path, grounds: int) -> None:
    """Write all drawings and grounds, and the lexicon."""
    compositor = Compositor(work, SIDE_PX)
    rows, files = store_drawings(compositor)
    write(out / "drawings.safetensors", rows, files, INK, store_grounds(grounds))
    words = lexicon(compositor.table, Nouns(work / "packages/nouns/package"))
    (out / "lexicon.json").write_text(json.dumps(words, ensure_ascii=False, indent=0), "utf-8")


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
    parser.add_argument("--grounds", type=int, default=8, help="pictures of each scene (default 8)")
    parser.add_argument(
        "--drawings", action="store_true", help="write drawings and lexicon only, for the models in --out"
    )
    options = parser.parse_args()
    if not options.drawings:
        export_weights(options.work, options.out)
    export_drawings(options.work, options.out, options.grounds)
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
