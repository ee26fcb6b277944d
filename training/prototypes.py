"""Prototypes of things: what the perceptor sees in their drawings, `python -m training.prototypes`.

`/describe` compares a picture with them: a small perceptor tells drawings apart far better than it knows their names.
Needs the packages `names`, `twitter`, `fluent` and `noto` of `training.fetch`, and a minute on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from generator.loading import load_starter
from generator.models.drawings.prototypes import Calibration, Prototypes, framed
from training.data import as_tensor
from training.drawings.emoji import EmojiFiles, hexadecimal
from training.drawings.icons import IconSet
from training.drawings.raster import fit, render
from training.sprites import meanings

OUT = Path(__file__).parents[1] / "generator" / "starter"
CALIBRATION = Calibration(sharpness=73.5, slope=28.4, middle=0.884)
"""Fitted by likelihood to every second of 300 drawings of a style never seen and of 77 pictures by the starter."""
_AT_ONCE = 64


def drawings(packages: Path) -> Iterator[tuple[str, Image.Image]]:
    """Each emoji in the two styles of the perceptor's training, with the everyday name of what it shows."""
    files, icons = EmojiFiles(packages), IconSet(packages / "noto/package")
    everyday = {thing: word for word, thing in reversed(meanings().items())}
    for emoji, about in json.loads((packages / "names/package/data-by-emoji.json").read_text("utf-8")).items():
        if about["group"] in ("Flags", "Component", "Symbols"):
            continue
        name = " ".join(about["name"].lower().replace("-", " ").replace(":", " ").split())
        name, path = everyday.get(name, name), files.find(emoji, "fluent")
        if path is not None:
            yield name, Image.fromarray(fit(Image.open(path)))
        code = hexadecimal(emoji).replace("-fe0f", "")
        if code in icons.by_code:
            yield name, Image.fromarray(fit(render(icons.svg(icons.by_code[code]))))


@torch.no_grad()
def made(packages: Path, folder: Path) -> Prototypes:
    """The prototypes of all drawings whose names the models of a folder know."""
    (perceptor,) = load_starter(folder, torch.device("cpu")).perceptors
    names, pictures, vectors = list[str](), list[torch.Tensor](), list[torch.Tensor]()
    for name, sprite in drawings(packages):
        if perceptor.unknown_words(name):
            continue
        sheet = Image.new("RGBA", sprite.size, "white")
        sheet.alpha_composite(sprite)
        mask = as_tensor(sprite.getchannel("A").convert("RGB"))[:1]
        pictures.append(framed(as_tensor(sheet.convert("RGB")), mask, perceptor.resolution))
        names.append(name)
    for start in range(0, len(pictures), _AT_ONCE):
        vectors.append(perceptor.embed_images(torch.stack(pictures[start : start + _AT_ONCE])))
    return Prototypes(tuple(names), torch.cat(vectors), CALIBRATION)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the models (generator/starter)")
    options = parser.parse_args()
    found = made(options.work / "packages", options.out)
    found.write(options.out / "prototypes.npz")
    print(f"{len(found.names)} drawings of {len(np.unique(found.names))} things")


if __name__ == "__main__":
    main()
