"""Generate the pictures of README and docs/using.md: `python -m docs.make_images`, or only some by their names.

`python -m docs.make_images examples` generates those of the preview's first message, with their recipes inside.

Each generated strip is shown in docs/using.md below its mark, `<!-- strip NAME -->`. All are generated on the CPU, with
the starter models and given seeds, so that the same machine makes the same files again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from docs.strips import CELL_PX, EXAMPLES, PICTURES, SHEETS, STRIPS, TIMELAPSE, Cell, shown
from generator import (
    Dream,
    GenerationRequest,
    ImagePrompt,
    Models,
    Recipe,
    Settings,
    Timelapse,
    encode,
    load_models,
    normalise,
    recipe_to_json,
    suggestions_for,
)
from generator.images.files import tile_sheet
from notebooks.sheets import contact_sheet

FOLDER = Path(__file__).parent / "images"
PREVIEW = Path(__file__).parents[1] / "bot" / "frontend" / "preview" / "examples"
USING = Path(__file__).parent / "using.md"
TIMELAPSE_PX = 256
QUALITY = 88

Done = dict[GenerationRequest, Image.Image]


def main(names: Sequence[str]) -> None:
    """Generate the named pictures, or all of them."""
    if list(names) == ["examples"]:
        return _examples()
    known = [*PICTURES, TIMELAPSE[0], *STRIPS]
    if unknown := set(names) - set(known):
        sys.exit(f"There is no picture {', '.join(sorted(unknown))}, only {', '.join(known)}.")
    FOLDER.mkdir(exist_ok=True)
    done: Done = {}
    models = load_models("starter", "cpu")
    for name in names or known:
        data = _timelapse(TIMELAPSE[1], models) if name == TIMELAPSE[0] else _webp(_still(name, models, done))
        path = FOLDER / f"{name}.webp"
        path.write_bytes(data)
        USING.write_text(shown(USING.read_text("utf-8"), name), "utf-8")
        sys.stdout.write(f"{path.name}: {len(data) / 1000:.0f} kB\n")
        sys.stdout.flush()


def _examples() -> None:
    """Generate the examples of the preview, with a list of their similarities."""
    models, similarities = load_models("starter", "cpu"), {}
    for name, prompt in EXAMPLES.items():
        dream = Dream(request_of(Cell(prompt, prompt, {"seed": 1}), models), models)
        image, picture = _generate(dream), dream.picture()
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        (PREVIEW / f"{name}.webp").write_bytes(encode(image, "webp", recipe))
        similarities[f"{name}.webp"] = round(picture.progress.similarity, 3)
    (PREVIEW / "examples.json").write_text(json.dumps(similarities, indent=2) + "\n", "utf-8")


def request_of(cell: Cell, models: Models) -> GenerationRequest:
    """Build the request of a cell, with the settings that the models suggest for its start."""
    start = str(cell.settings.get("start", models.defaults.get("start")))
    settings = Settings().merged(
        {**models.defaults, **suggestions_for(start, cell.settings, models.starts), **cell.settings}
    )
    init_image = None
    if cell.init is not None:
        init_image = _file(cell.init, models)
    image_prompts = () if cell.like is None else (ImagePrompt(image=_file(cell.like, models)),)
    return GenerationRequest(prompt=cell.prompt, init_image=init_image, image_prompts=image_prompts, settings=settings)


def _file(cell: Cell, models: Models) -> bytes:
    """The picture of a cell as a file for other requests."""
    return normalise(encode(_generate(Dream(request_of(cell, models), models)), "png"))


def _still(name: str, models: Models, done: Done) -> Image.Image:
    """Make a picture of README, or a strip; a picture in several strips is generated once."""
    if name in PICTURES:
        return _generate(Dream(request_of(PICTURES[name], models), models))
    requests = [request_of(cell, models) for cell in STRIPS[name]]
    for request in requests:
        if request not in done:
            done[request] = _generate(Dream(request, models))
    pictures = [tile_sheet(done[request]) if name in SHEETS else done[request] for request in requests]
    return contact_sheet([pictures], [cell.label for cell in STRIPS[name]], side_px=CELL_PX)


def _webp(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


def _generate(dream: Dream, timelapse: Timelapse | None = None) -> Image.Image:
    while not dream.finished:
        dream.step()
        if timelapse is not None:
            timelapse.add(dream.preview())
    return dream.picture().image


def _timelapse(cell: Cell, models: Models) -> bytes:
    timelapse = Timelapse(max_side_px=TIMELAPSE_PX)
    timelapse.add(_generate(Dream(request_of(cell, models), models), timelapse))
    return timelapse.encode("webp")


if __name__ == "__main__":
    main(sys.argv[1:])
