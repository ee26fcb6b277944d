"""Write the trained models into generator/starter: `python -m training.export`.

Weights are saved as fp16 safetensors; the drawings are encoded here, with the very weights that are written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor
from tqdm import trange

from generator.loading import load_vqgan
from generator.models.drawings.stored import Frame, write
from generator.models.prior import Place
from generator.models.vqgan import VQGAN
from training.compositor import Compositor
from training.data import as_tensor
from training.drawings.nouns import Nouns
from training.drawings.store import TRAINED
from training.lexicon import lexicon
from training.refine import latest
from training.scenes import SCENES, paint
from training.vqgan import CONFIG

FRAME, ENCODED_AT_ONCE = Frame(0.5, 0.5, 0.92), 16
"""Where a stored drawing stands: as large as it can be, with white around it."""
STARTER = Path(__file__).parent.parent / "generator" / "starter"


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


@torch.no_grad()
def encode_grounds(vqgan: VQGAN, side_px: int, count: int, cache: CodeCache) -> dict[str, list[Tensor]]:
    """Codes of `count` pictures of each scene."""
    grounds: dict[str, list[Tensor]] = {}
    for scene in (name for name in SCENES if name != "plain"):
        for number in range(count):
            image = paint(scene, side_px, random.Random(f"{scene} {number}"))
            key = hashlib.sha256(image.tobytes()).hexdigest()[:24] + str(side_px)
            if key not in cache.codes:
                picture = as_tensor(image)[None].to(vqgan.codebook.device)
                cache.add({key: vqgan.nearest(vqgan.encode(picture))[0].cpu().to(torch.int16)})
            grounds.setdefault(scene, []).append(cache.codes[key])
    cache.save()
    return grounds


def trained(work: Path, *names: str) -> dict[str, Tensor] | None:
    """The averaged weights of the first of these trainings that has run, as fp16; None if none has."""
    for name in names:
        path = work / f"{name}.pt"
        if path.exists():
            return half(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return None


def export_drawings(work: Path, out: Path, side_px: int, grounds: int) -> None:
    """Write all drawings and grounds, encoded by the VQGAN in `out`, and the lexicon."""
    vqgan = load_vqgan(CONFIG, out / "vqgan.safetensors", torch.device("cpu"))
    compositor = Compositor(work, side_px)
    cache = CodeCache(work, vqgan)
    rows, grids = encode_drawings(vqgan, compositor, side_px, cache)
    write(out / "drawings.safetensors", rows, grids, FRAME, encode_grounds(vqgan, side_px, grounds, cache))
    words = lexicon(compositor.table, Nouns(work / "packages/nouns/package"))
    (out / "lexicon.json").write_text(json.dumps(words, ensure_ascii=False, indent=0), "utf-8")
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
    parser.add_argument("--grounds", type=int, default=8, help="pictures of each scene (default 8)")
    parser.add_argument(
        "--drawings", action="store_true", help="write drawings and lexicon only, for the models in --out"
    )
    options = parser.parse_args()
    if not options.drawings:
        export_weights(options.work, options.out)
    export_drawings(options.work, options.out, options.side, options.grounds)
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
