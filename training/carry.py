"""Pack what a training on a GPU needs into one file: `python -m training.carry`, after training.sprites.

The file holds the drawings as WebP, the table of things, painted grounds, and the VQGAN of the folder where that has
the factor wanted. It is made on a CPU, and `python -m training.gpu FILE` unpacks it. Of the style that only the judges
see, it holds the things that they are asked about.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from tqdm import tqdm

from training.compositor import POOL
from training.drawings.raster import SIDE_PX, Array
from training.drawings.store import STYLES, TRAINED, Drawings, file
from training.judges import named_concepts
from training.scenes import SCENES, paint

VERSION = 1
VQGAN_NAME = "halved"
"""Checkpoint of the VQGAN that is carried and trained."""
MOST_BYTES = 60_000_000
QUALITY, ALPHA_QUALITY = 70, 60
GROUNDS, START, STAMP = "grounds.npz", "start.safetensors", "carried.json"
"""Files of an unpacked folder beside those of training.sprites; the stamp says which file they came from."""


class BrokenFile(ValueError):
    """A carried file cannot be used; the message says why, and what to do."""


def packed(sprite: Array, quality: int) -> bytes:
    """A drawing `[S, S, 4]` as WebP, its outline a little softened."""
    kept = io.BytesIO()
    Image.fromarray(sprite, "RGBA").save(kept, "WEBP", quality=quality, alpha_quality=ALPHA_QUALITY, method=4)
    return kept.getvalue()


def lossless(image: Image.Image) -> bytes:
    """A picture as lossless WebP, which is small for grounds of few colours."""
    kept = io.BytesIO()
    image.save(kept, "WEBP", lossless=True)
    return kept.getvalue()


def carried_rows(table: list[dict[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    """For each style the drawings that are carried: numbers of the thing and of its row in the style's array."""
    judged = set(named_concepts(table))
    return {
        style: [
            (number, row["rows"][style])
            for number, row in enumerate(table)
            if style in row["rows"] and (style in TRAINED or number in judged)
        ]
        for style in STYLES
    }


def pack(work: Path, out: Path, quality: int = QUALITY, grounds: int = POOL) -> int:
    """Write the file; return its size in bytes."""
    drawings = Drawings(work)
    table = [{**row, "rows": {}} for row in drawings.table]
    blobs: dict[str, list[bytes]] = {style: [] for style in STYLES}
    for style, rows in carried_rows(drawings.table).items():
        for number, _ in tqdm(rows, style, mininterval=20, ascii=True):
            table[number]["rows"][style] = len(blobs[style])
            blobs[style].append(packed(drawings.sprite(number, style), quality))
    for scene in SCENES:
        rng = random.Random(scene)
        blobs[f"scene {scene}"] = [lossless(paint(scene, SIDE_PX, rng)) for _ in range(grounds)]
    manifest = {"version": VERSION, "sizes": {name: [len(one) for one in kept] for name, kept in blobs.items()}}
    beside = out.with_suffix(".part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("concepts.json", json.dumps(table, ensure_ascii=False), zipfile.ZIP_DEFLATED)
        for name, kept in blobs.items():
            archive.writestr(name, b"".join(kept))
        if (work / f"{VQGAN_NAME}.pt").exists():
            weights = torch.load(work / f"{VQGAN_NAME}.pt", map_location="cpu", weights_only=True)["average"]
            archive.writestr(START, safetensors.torch.save({name: part.half() for name, part in weights.items()}))
    beside.replace(out)
    return out.stat().st_size


def unpack(source: Path, work: Path) -> None:
    """Write the drawings into a folder, as training.sprites leaves them, with grounds and the VQGAN to begin with.

    A folder that this file was unpacked into before is left as it is.

    Raises:
        BrokenFile: if the file is damaged or of another version, or the folder holds other drawings.
    """
    if not source.is_file():
        raise BrokenFile(f"There is no file {source}; make it by python -m training.carry.")
    stamp = {"version": VERSION, "digest": hashlib.sha256(source.read_bytes()).hexdigest()}
    if (work / "concepts.json").exists():
        if (work / STAMP).exists() and json.loads((work / STAMP).read_text("utf-8")) == stamp:
            return
        raise BrokenFile(
            f"{work} holds other drawings already: name an empty folder by --work, or leave the file out to train "
            "with the drawings that are there."
        )
    work.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            if manifest["version"] != VERSION:
                raise BrokenFile(
                    f"{source} is of version {manifest['version']}, and this Reverie reads version {VERSION}: pack it "
                    "anew by python -m training.carry of this version."
                )
            for style in STYLES:
                _write_sprites(file(work, style), archive.read(style), manifest["sizes"][style])
            pictures = {scene: [*_pictures(archive.read(f"scene {scene}"), manifest["sizes"][f"scene {scene}"], "RGB")]
                        for scene in SCENES}  # fmt: skip
            np.savez(work / GROUNDS, **{scene: np.stack(kept) for scene, kept in pictures.items()})
            if START in archive.namelist():
                (work / START).write_bytes(archive.read(START))
            table = json.loads(archive.read("concepts.json"))
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as exc:
        if isinstance(exc, BrokenFile):
            raise
        raise BrokenFile(f"{source} is damaged ({exc}): copy it again, or pack it anew by python -m training.carry.") \
            from exc  # fmt: skip
    (work / STAMP).write_text(json.dumps(stamp), "utf-8")
    (work / "concepts.json").write_text(json.dumps(table, ensure_ascii=False), "utf-8")  # last: now it is whole


def _pictures(blob: bytes, sizes: list[int], mode: str) -> Iterator[Array]:
    at = 0
    for size in sizes:
        yield np.asarray(Image.open(io.BytesIO(blob[at : at + size])).convert(mode))
        at += size


def _write_sprites(path: Path, blob: bytes, sizes: list[int]) -> None:
    if sizes:
        array = np.lib.format.open_memmap(path, "w+", np.uint8, (len(sizes), SIDE_PX, SIDE_PX, 4))
        for row, sprite in enumerate(_pictures(blob, sizes, "RGBA")):
            array[row] = sprite
        array.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder with the drawings")
    parser.add_argument("--out", type=Path, default=Path("build/carried.zip"), help="file to write")
    parser.add_argument("--quality", type=int, default=QUALITY, help=f"of the drawings' WebP, 1 to 100 ({QUALITY})")
    options = parser.parse_args()
    if not (options.work / "concepts.json").exists():
        sys.exit(
            f"{options.work} holds no drawings: run python -m training.fetch and python -m training.sprites first."
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    size = pack(options.work, options.out, options.quality)
    print(f"{options.out}: {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        sys.exit(
            f"That is more than {MOST_BYTES / 1e6:.0f} MB: choose a --quality below {options.quality}, of which ten "
            "points save about 3 MB."
        )


if __name__ == "__main__":
    main()
