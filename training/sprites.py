"""Drawings and their names: `python -m training.sprites` makes one array of RGBA sprites and a table of concepts.

Styles: `fluent` (Microsoft, MIT) and `noto` (Google, Apache-2.0) are for training; `twitter` (CC-BY 4.0) is held out:
only the judges see it, to measure a model on an unseen style.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 256
STYLES = ("fluent", "noto", "twitter")
SKIPPED_GROUPS = ("Flags", "Component")
# Of the symbols only those that show a thing; the rest are letters, arrows and signs.
KEPT_SYMBOLS = (
    (
        "warning,no entry,radioactive,biohazard,star of David,yin yang,peace symbol,check mark,cross mark,musical note,"
        "musical notes,recycling symbol,red circle,orange circle,yellow circle,green circle,blue circle,purple circle,"
        "brown circle,black circle,white circle,red square,orange square,yellow square,green square,blue square,"
        "purple square,brown square,eight-pointed star,sparkle,trident emblem,question mark,exclamation mark,infinity"
    )
    .replace("question mark", "red question mark")
    .replace("exclamation mark", "red exclamation mark")
)


@dataclass(frozen=True)
class Concept:
    """One thing that can be drawn: its name, its aliases, and the styles that have a drawing."""

    emoji: str
    name: str
    group: str
    aliases: tuple[str, ...]


def _hex(emoji: str) -> str:
    return "-".join(f"{ord(char):04x}" for char in emoji)


def _clean(words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[_\-:“”\"'’!.,&()]+", " ", words)).strip().lower()


def read_concepts(packages: Path) -> list[Concept]:
    """Read all concepts that are drawn things, in Unicode's order; aliases are tags and keywords, the name first."""
    names = json.loads((packages / "names/package/data-by-emoji.json").read_text("utf-8"))
    rows = json.loads((packages / "tags/package/en/data.json").read_text("utf-8"))
    keywords = json.loads((packages / "keywords/package/dist/emoji-en-US.json").read_text("utf-8"))
    tags: dict[str, list[str]] = {row["hexcode"].lower().replace("-fe0f", ""): row.get("tags", []) for row in rows}
    concepts = []
    for emoji, info in names.items():
        if info["group"] in SKIPPED_GROUPS or not _is_drawn(info):
            continue
        name = _clean(info["name"])
        extra = [*tags.get(_hex(emoji).replace("-fe0f", ""), []), *keywords.get(emoji, [])]
        aliases = dict.fromkeys([name, *(_clean(word) for word in extra)])
        kept = tuple(word for word in aliases if re.fullmatch(r"[a-z][a-z ]{1,30}", word))
        if re.fullmatch(r"[a-z0-9 ñãéô]{2,60}", name):
            concepts.append(Concept(emoji, name, info["group"], kept))
    return concepts


def _is_drawn(info: dict[str, Any]) -> bool:
    if info["group"] == "Symbols":
        return info["name"] in KEPT_SYMBOLS.split(",")
    return not info["name"].startswith(("keycap", "input", "family:"))


class _Drawings:
    """Find the drawing of an emoji in each style."""

    def __init__(self, packages: Path) -> None:
        self._fluent = packages / "fluent/package/assets"
        self._twitter = packages / "twitter/package/img/twitter/64"
        pretty = json.loads((packages / "twitter/package/emoji.json").read_text("utf-8"))
        self._has_twitter = {row["unified"].lower() for row in pretty if row["has_img_twitter"]}
        icons = json.loads((packages / "noto/package/icons.json").read_text("utf-8"))
        self._noto = {name: icon["body"] for name, icon in icons["icons"].items()}
        chars = json.loads((packages / "noto/package/chars.json").read_text("utf-8"))
        self._noto_name = {code.replace("-fe0f", ""): name for code, name in chars.items()}

    def find(self, emoji: str, style: str) -> Image.Image | None:
        code = _hex(emoji)
        bare = code.replace("-fe0f", "")
        if style == "fluent":
            paths = [self._fluent / f"{code}.webp", self._fluent / f"{bare}.webp", self._fluent / f"{bare}-fe0f.webp"]
            return next((Image.open(path) for path in paths if path.exists()), None)
        if style == "twitter":
            if code not in self._has_twitter:
                return None
            return Image.open(self._twitter / f"{code}.png")
        name = self._noto_name.get(bare, "")
        return self._render(self._noto[name]) if name in self._noto else None

    @staticmethod
    def _render(body: str) -> Image.Image:
        import resvg_py

        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        svg = f'<svg {names} viewBox="0 0 128 128">{body}</svg>'
        data = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE_PX, height=SIDE_PX, skip_system_fonts=True)
        raw = base64.b64decode(data) if isinstance(data, str) else bytes(data)
        return Image.open(io.BytesIO(raw))


def fit(drawing: Image.Image) -> npt.NDArray[np.uint8]:
    """Crop the drawing to its visible part and centre it so that its longer side fills SIDE_PX; RGBA `[S, S, 4]`."""
    image = drawing.convert("RGBA")
    box = image.getchannel("A").point([0] * 16 + [255] * 240).getbbox()
    if box is None:
        raise ValueError("the drawing is empty")
    image = image.crop(box)
    scale = SIDE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # RGBa is premultiplied: no dark fringe at the drawing's edge
    image = image.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    canvas = Image.new("RGBA", (SIDE_PX, SIDE_PX), (255, 255, 255, 0))
    canvas.paste(image, ((SIDE_PX - size[0]) // 2, (SIDE_PX - size[1]) // 2))
    return np.asarray(canvas)


def build(work: Path) -> None:
    """Write `sprites.npy` `[concepts, styles, S, S, 4] uint8` and `concepts.json`; concepts lack no training style."""
    packages = work / "packages"
    drawings = _Drawings(packages)
    sprites, table = [], []
    for concept in read_concepts(packages):
        found = {style: drawings.find(concept.emoji, style) for style in STYLES}
        fluent, noto = found["fluent"], found["noto"]
        if fluent is None and noto is None:
            continue
        chosen = [found[style] or fluent or noto for style in STYLES]
        sprites.append(np.stack([fit(image) for image in chosen if image is not None]))
        table.append({**asdict(concept), "styles": [style for style in STYLES if found[style] is not None]})
    np.save(work / "sprites.npy", np.stack(sprites))
    (work / "concepts.json").write_text(json.dumps(table, ensure_ascii=False, indent=0), "utf-8")
    print(f"{len(table)} concepts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    build(parser.parse_args().work)


if __name__ == "__main__":
    main()
