"""Make the films of docs/films.md with the starter: `python -m docs.make_films`. A film that is there is left alone."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from generator import Film, GenerationRequest, Settings, load_models, plan_film, write_film

FOLDER = Path(__file__).parent / "images"
SIDE_PX, MOST_BYTES = 192, 300_000
FILMS: dict[str, tuple[str, int, dict[str, object]]] = {
    "film-zoom-in": ("a castle at night", 1, {"template": "zoom in"}),
    "film-fly-over": ("a red car on a road", 2, {"template": "fly over"}),
    "film-scenes": ("0s: a fox in the forest ^ 2s: a fox in the snow", 3, {"template": "breathe", "seconds": 4.0}),
    "film-spin": ("a pink cake", 4, {"template": "spin"}),
}
"""Prompt, seed and values of each film, by the name of its file."""


def main() -> None:
    """Make the films that are missing, small enough for a document."""
    models = load_models("starter", "cpu")
    for name, (prompt, seed, values) in FILMS.items():
        path = FOLDER / f"{name}.webp"
        if path.exists():
            continue
        settings = Settings().merged({**models.defaults, "seed": seed})
        story, plan = plan_film(prompt, {"fps": 8, **values}, settings)
        request = GenerationRequest(prompt=story, settings=settings, models=models.name, film=plan)
        with tempfile.TemporaryDirectory() as folder:
            film = Film(request, models, Path(folder))
            while not film.finished:
                film.step()
            for frame in film.frames:
                with Image.open(frame) as image:
                    image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS).save(frame)
            write_film(film.frames, path, plan.fps, most_bytes=MOST_BYTES)
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1024} KiB\n")


if __name__ == "__main__":
    main()
