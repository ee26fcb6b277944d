"""Measure films of the starter on a CPU: `python -m benchmarks.films`, three parts.

`warp` compares four ways to move a picture: in picture or latent space, each looked up in the first picture or in the
last frame. It prints seconds a frame, how much of the first picture's sharpness the last frame still has, and its
distance from the true view, and writes a sheet with a row for each way. `film` makes a film of four seconds and prints
seconds a frame and what the file takes. `memory` makes films of 5 s and 60 s, each in a process of its own, and prints
the most memory that each took.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as functional
from PIL import Image
from torch import Tensor

from generator import Dream, Film, GenerationRequest, Models, Settings, load_models, plan_film, write_film
from generator.filming.warp import grid_of, warped
from generator.films.camera import Camera
from generator.images.files import to_array
from generator.images.tensors import to_image

FRAMES, SHOWN = 24, 8
ZOOM, TURN = 1.6, 20.0


def settings_of(models: Models, **changes: object) -> Settings:
    """The models' defaults with seed 1 and some changes."""
    return Settings().merged(models.defaults).merged({"seed": 1, **changes})


def painted(models: Models, prompt: str) -> Tensor:
    """A picture `[1, 3, H, W]` by the defaults."""
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings_of(models), models=models.name), models)
    while not dream.finished:
        dream.step()
    return torch.from_numpy(to_array(dream.picture().image))[None]


def camera_at(frame: int) -> Camera:
    """Position at a frame: nearer and turned."""
    share = frame / (FRAMES - 1)
    return Camera(zoom=math.log(ZOOM) * share, turn=TURN * share)


def warped_latent(latent: Tensor, before: Camera, now: Camera) -> Tensor:
    """A latent `[1, C, h, w]` moved as a picture would be."""
    size = (latent.shape[2], latent.shape[3])
    matrix = torch.linalg.inv(torch.from_numpy(before.matrix())) @ torch.from_numpy(now.matrix())
    grid = grid_of(matrix.numpy(), *size, size, 1).to(latent)
    return functional.grid_sample(latent, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


@torch.no_grad()
def ways(models: Models, first: Tensor) -> dict[str, Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]]:
    """Functions from frame, last picture and last latent to the frame's picture and latent, by name."""
    vqgan = models.vqgan
    size, start = (first.shape[2], first.shape[3]), vqgan.encode(first)

    def decoded(latent: Tensor) -> Tensor:
        return vqgan.decode(vqgan.quantise(latent)[0]).clamp(0, 1)

    def step(frame: int) -> Tensor:
        before, now = camera_at(frame - 1).matrix(), camera_at(frame).matrix()
        return torch.linalg.inv(torch.from_numpy(before)) @ torch.from_numpy(now)

    def picture_first(frame: int, last: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        latent = vqgan.encode(warped(first, camera_at(frame).matrix(), size))
        return decoded(latent), latent

    def picture_last(frame: int, last: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        latent = vqgan.encode(warped(last, step(frame).numpy(), size))
        return decoded(latent), latent

    def latent_first(frame: int, last: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        latent = warped_latent(start, Camera(), camera_at(frame))
        return decoded(latent), latent

    def latent_last(frame: int, last: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        latent = warped_latent(latent, camera_at(frame - 1), camera_at(frame))
        return decoded(latent), latent

    return {
        "picture space, from the first": picture_first,
        "picture space, from the last": picture_last,
        "latent space, from the first": latent_first,
        "latent space, from the last": latent_last,
    }


def sharpness(picture: Tensor) -> float:
    """Mean square of the differences between neighbours."""
    across, down = picture.diff(dim=3), picture.diff(dim=2)
    return float(across.square().mean() + down.square().mean())


@torch.no_grad()
def compare_warps(models: Models, first: Tensor, sheet: Path) -> None:
    """Print and show the four ways for a picture."""
    size = (first.shape[2], first.shape[3])
    true = warped(first, camera_at(FRAMES - 1).matrix(), size)
    rows = []
    for name, way in ways(models, first).items():
        picture, latent, frames = first, models.vqgan.encode(first), [first]
        began = time.perf_counter()
        for frame in range(1, FRAMES):
            picture, latent = way(frame, picture, latent)
            frames.append(picture)
        each = (time.perf_counter() - began) / (FRAMES - 1)
        error = -10 * math.log10(float((picture - true).square().mean()))
        kept = sharpness(picture) / sharpness(true)
        print(f"{name:32} {each:5.2f} s a frame  sharpness {kept:4.2f}  {error:4.1f} dB to the true view")
        rows.append(torch.cat([frames[round(n * (FRAMES - 1) / (SHOWN - 1))] for n in range(SHOWN)], dim=3))
    sheet.parent.mkdir(parents=True, exist_ok=True)
    to_image(torch.cat(rows, dim=2)).save(sheet)
    print(f"The sheet is {sheet}.")


def film_request(models: Models, seconds: float, fps: int, **settings: object) -> GenerationRequest:
    """A film by the template "zoom in"."""
    chosen = settings_of(models, **settings)
    story, plan = plan_film("a castle at night", {"seconds": seconds, "fps": fps}, chosen)
    return GenerationRequest(prompt=story, settings=chosen, models=models.name, film=plan)


def time_film(models: Models) -> None:
    """Make one film of four seconds with twelve frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        film = Film(film_request(models, 4.0, 12), models, Path(folder) / "film")
        while not film.finished:
            film.step()
        painting = time.perf_counter() - began
        print(f"4 s at 12 frames a second: {painting:.0f} s, {painting / 48:.2f} s a frame")
        for kind in ("mp4", "webm", "webp"):
            began = time.perf_counter()
            (path,) = write_film(film.frames, Path(folder) / f"film.{kind}", 12)
            took = time.perf_counter() - began
            print(f"{kind}: {took:.2f} s, {took / painting:.1%} of it, {path.stat().st_size / 1024:.0f} KiB")


def film_and_memory(seconds: float) -> None:
    """Make a small film and print the most memory that it took, in MiB."""
    models = load_models("starter", "cpu")
    request = film_request(models, seconds, 4, size="64x64", cutouts=2)
    with tempfile.TemporaryDirectory() as folder:
        film = Film(replace(request), models, Path(folder) / "film")
        while not film.finished:
            film.step()
        for path in film.frames:  # large frames, so that keeping them would be seen
            with Image.open(path) as image:
                image.resize((512, 512)).save(path)
        for kind in ("mp4", "webp"):
            write_film(film.frames, Path(folder) / f"film.{kind}", 12)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    """Measure the parts that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=("warp", "film", "memory", []), help="all by default")
    parser.add_argument("--sheet", type=Path, default=Path("build/bench/film-warps.png"), help="sheet of `warp`")
    parser.add_argument("--memory-of", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        film_and_memory(options.memory_of)
        return
    parts = options.parts or ("warp", "film", "memory")
    models = load_models("starter", "cpu")
    if "warp" in parts:
        compare_warps(models, painted(models, "a castle at night"), options.sheet)
    if "film" in parts:
        time_film(models)
    if "memory" in parts:
        for seconds in (5, 60):
            command = [sys.executable, "-m", "benchmarks.films", "--memory-of", str(seconds)]
            said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own
            print(f"{seconds} s: {said.stdout.strip()} MiB at most")


if __name__ == "__main__":
    main()
