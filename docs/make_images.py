"""Make the pictures that README shows, with the starter models: `python -m docs.make_images`."""

from __future__ import annotations

from pathlib import Path

from generator import Dream, GenerationRequest, Settings, load_models

FOLDER = Path(__file__).parent / "images"
PICTURES = {
    "red-apple": ("a red apple", 1),
    "blue-cat": ("a blue cat", 1),
    "castle-at-night": ("a castle at night", 1),
    "dog-in-the-snow": ("a dog in the snow", 1),
}


def main() -> None:
    """Paint each picture and save it under its name."""
    FOLDER.mkdir(exist_ok=True)
    models = load_models("starter", "cpu")
    for name, (prompt, seed) in PICTURES.items():
        settings = Settings().merged({**models.defaults, "seed": seed})
        dream = Dream(GenerationRequest(prompt=prompt, settings=settings), models)
        while not dream.finished:
            dream.step()
        dream.picture().image.save(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
