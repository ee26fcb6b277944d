"""Measure how a VQGAN reconstructs drawings that it never saw: `python -m training.reconstruction`.

Composed pictures of 256 px show the held-out things in all styles. Two figures: PSNR, and the *edge error*, the mean
difference between the steps of neighbouring pixels in the reconstruction and in the drawing, where the drawing has a
step of at least `training.halve.EDGE`. The weights of --work stand beside the shipped ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.models.vqgan import VQGAN
from training.compositor import Compositor
from training.data import as_tensor
from training.drawings.store import is_held_out
from training.halve import SIDE_PX, edge_error, latest, shipped
from training.scenes import SCENES


@dataclass(frozen=True)
class Figures:
    """PSNR in dB and edge error, means over pictures."""

    psnr: float
    edge_error: float


def held_out_pictures(work: Path, count: int, seed: int = 901) -> Iterator[Tensor]:
    """Composed pictures `[1, 3, 256, 256]` of things that the VQGAN was not trained on."""
    compositor = Compositor(work, SIDE_PX, seed=seed)
    things = [number for number, row in enumerate(compositor.table) if is_held_out(row["name"])]
    for _ in range(count):
        concept = compositor.rng.choice(things)
        scene = "plain" if compositor.rng.random() < 0.5 else compositor.rng.choice(list(SCENES))
        yield as_tensor(compositor.compose((concept,), 1, "", scene).picture)[None]


@torch.no_grad()
def measure(model: VQGAN, pictures: Iterator[Tensor]) -> Figures:
    """Reconstruct each picture."""
    psnr, wrong, count = 0.0, 0.0, 0
    for picture in pictures:
        output = model.decode(model.quantise(model.encode(picture))[0]).clamp(0, 1)
        psnr -= 10 * float(F.mse_loss(output, picture).log10())
        wrong += edge_error(output, picture).item()
        count += 1
    return Figures(psnr / count, wrong / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--count", type=int, default=120, help="pictures (120)")
    options = parser.parse_args()
    for name, folder in (("shipped", None), ("trained", options.work)):
        model = shipped() if folder is None else latest(folder)
        figures = measure(model.eval(), held_out_pictures(options.work, options.count))
        print(f"{name}: PSNR {figures.psnr:.2f} dB, edge error {figures.edge_error:.4f}")


if __name__ == "__main__":
    main()
