"""Write a captioned data set to disk once, for the perceptor, the prior and the judges: `python -m training.compose`.

`pictures.npy` and `sketches.npy` are `[N, S, S, 3] uint8`; `samples.json` lists the content of each picture, from which
captions are reworded at each use.
"""

from __future__ import annotations

import argparse
import json
from multiprocessing import Process
from pathlib import Path

import numpy as np
from tqdm import trange

from training.compositor import Compositor
from training.drawings.store import STYLES, TRAINED

SIDE_PX = 128


def compose(work: Path, name: str, first: int, count: int, seed: int, styles: tuple[str, ...], named: set[str]) -> None:
    """Fill rows first..first+count of the arrays, and write their content."""
    compositor = Compositor(work, SIDE_PX, styles, seed)
    compositor.favourites = tuple(at for at, row in enumerate(compositor.table) if row["name"] in named)
    pictures = np.load(work / f"{name}_pictures.npy", mmap_mode="r+")
    sketches = np.load(work / f"{name}_sketches.npy", mmap_mode="r+")
    rows = []
    for number in trange(first, first + count, mininterval=30, ascii=True):
        plan = compositor.plan()
        sample = compositor.painted(plan)
        pictures[number], sketches[number] = np.asarray(sample.picture), np.asarray(compositor.sketch(plan))
        rows.append([list(sample.concepts), sample.count, sample.colour, sample.scene])
    (work / f"{name}_samples_{first}.json").write_text(json.dumps(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--name", default="train")
    parser.add_argument("--count", type=int, default=36000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--styles", nargs="+", default=list(TRAINED), choices=STYLES)
    parser.add_argument("--favour", type=Path, nargs="*", default=[], help="prompts whose concepts shall come often")
    options = parser.parse_args()
    prompts = [prompt for path in options.favour for prompt in json.loads(path.read_text("utf-8"))]
    named = {name for _, names, _, _ in prompts for name in names}
    for kind in ("pictures", "sketches"):
        shape = (options.count, SIDE_PX, SIDE_PX, 3)
        np.lib.format.open_memmap(options.work / f"{options.name}_{kind}.npy", "w+", np.uint8, shape).flush()
    share = options.count // options.workers
    workers = [
        Process(
            target=compose,
            args=(options.work, options.name, part * share, share, options.seed + part, tuple(options.styles), named),
        )
        for part in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = [
        row
        for part in range(options.workers)
        for row in json.loads((options.work / f"{options.name}_samples_{part * share}.json").read_text())
    ]
    (options.work / f"{options.name}_samples.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
