"""Drawings and their names: `python -m training.sprites` makes an array of RGBA sprites a style and a table of things.

Styles: `fluent` (3D) and `flat` are Microsoft's emoji (MIT), `noto` Google's (Apache-2.0); `line` are icons in outline,
`stencil` Microsoft's emoji in black and white and the icons of game-icons.net, `clipart` the public domain clip art of
Debian's openclipart, `doodle` the freehand icons of Streamline. NOTICE names all packages and their licences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from training.drawings import clipart
from training.drawings.emoji import Concept, EmojiFiles, hexadecimal, read_concepts
from training.drawings.icons import IconSet
from training.drawings.nouns import Nouns, lines
from training.drawings.raster import SIDE_PX, Array, fit, render, with_filled_outlines, without_paper
from training.drawings.store import STYLES, Drawings, file

COMMON, SYNONYMS = (Path(__file__).parent / name for name in ("common.json", "synonyms.json"))
"""Names of things by the words that people use for them first, and by other words."""
ICON_SETS = (
    ("tabler", "line", None),
    ("lucide", "line", None),
    ("phosphor", "line", None),
    ("iconpark", "line", None),
    ("streamline", "line", None),
    ("mdi", "line", True),
    ("games", "stencil", None),
    ("mdi", "stencil", False),
)
"""Icon sets with their style, the one to take first first; and whether only outlines count, or all but those."""
_UNFIT = frozenset(tuple(row.split("\t")) for row in lines("unfit.tsv"))
"""Styles and things whose drawing shows something else than its name says."""
EMOJI_SETS = {"noto": "noto", "flat": "flat", "stencil": "contrast"}
"""The package of each style of emoji that is a set of icons."""
_LARGEST_SHARE = 0.97


def meanings() -> dict[str, str]:
    """The thing that each everyday word means, where that has another name."""
    read: list[dict[str, str]] = [json.loads(path.read_text("utf-8")) for path in (COMMON, SYNONYMS)]
    return read[0] | read[1]


@dataclass(frozen=True)
class Source:
    """Where one drawing comes from: the thing's name, the style, and an SVG or the path of a picture."""

    name: str
    style: str
    svg: str = ""
    path: str = ""


class Collection:
    """Everything that the packages can draw: things and the sources of their drawings."""

    def __init__(self, packages: Path) -> None:
        self._packages = packages
        self._nouns = Nouns(packages / "nouns/package")
        self.concepts = {concept.name: concept for concept in read_concepts(packages)}
        self._everyday, self._synonyms = (json.loads(path.read_text("utf-8")) for path in (COMMON, SYNONYMS))
        self._sources: dict[tuple[str, str], Source] = {}

    def _name(self, thing: str) -> str:
        """The concept of a plain noun: an emoji's, by its own name or by everyday use, or the noun itself."""
        return thing if thing in self.concepts else self._everyday.get(thing, thing)

    def _add(self, source: Source, group: str = "") -> None:
        if (source.style, source.name) in _UNFIT:
            return
        self.concepts.setdefault(source.name, Concept("", source.name, group or "Objects", (source.name,)))
        self._sources.setdefault((source.name, source.style), source)

    def sources(self) -> list[Source]:
        """One source for each thing and style that has one."""
        for add in (self._emoji, self._clip_art, self._icons):
            for source in add():
                self._add(source)
        return list(self._sources.values())

    def _set(self, package: str) -> IconSet:
        return IconSet(self._packages / package / "package")

    def _emoji(self) -> Iterator[Source]:
        files = EmojiFiles(self._packages)
        sets = {style: self._set(package) for style, package in EMOJI_SETS.items()}
        for concept in list(self.concepts.values()):
            for style in ("fluent", "twitter"):
                path = files.find(concept.emoji, style)
                if path is not None:
                    yield Source(concept.name, style, path=str(path))
            code = hexadecimal(concept.emoji).replace("-fe0f", "")
            for style, icons in sets.items():
                if code in icons.by_code:
                    yield Source(concept.name, style, icons.svg(icons.by_code[code]))

    def _icons(self) -> Iterator[Source]:
        freehand = self._set("freehand")
        for icon, thing in (row.split("\t") for row in lines("freehand.tsv")):
            yield Source(self._name(thing), "doodle", freehand.svg(icon))
        known = frozenset({*self.concepts, *self._everyday})
        for package, style, outlined in ICON_SETS:
            icons = self._set(package)
            for thing, icon in icons.things(self._nouns, known, outlined).items():
                if thing not in self._synonyms:  # a loose word: an icon of "fruit" is not the apple that it means
                    yield Source(self._name(thing), style, icons.svg(icon))

    def _clip_art(self) -> Iterator[Source]:
        for thing, path in clipart.chosen(self._packages / "clipart").items():
            yield Source(self._name(thing), "clipart", path=str(path))


def draw(source: Source) -> Array | None:
    """The sprite `[S, S, 4]` of a source; None for one that shows nothing, or fills its square."""
    try:
        if source.path and not source.path.endswith(".svg"):
            return fit(Image.open(source.path))
        svg = source.svg or Path(source.path).read_text("utf-8", errors="replace")
        image = render(svg)
        if source.style == "clipart":
            image = without_paper(image)
        if source.style in ("line", "stencil", "doodle"):
            image = with_filled_outlines(image)
        sprite = fit(image)
    except ValueError:
        return None
    return None if source.style == "clipart" and (sprite[..., 3] > 128).mean() > _LARGEST_SHARE else sprite


def build(work: Path, styles: Sequence[str] = STYLES) -> None:
    """Write an array of sprites for each style, and `concepts.json`: all things with a drawing to train on.

    Of other styles than those named, the arrays that are there are kept.
    """
    collection = Collection(work / "packages")
    sources = collection.sources()
    rows: dict[str, dict[str, int]] = {}
    if set(styles) != set(STYLES):
        for name, kept_rows in ((row["name"], row["rows"]) for row in Drawings(work).table):
            rows[name] = {style: row for style, row in kept_rows.items() if style not in styles}
    with Pool() as pool:
        for style in styles:
            wanted = [source for source in sources if source.style == style]
            drawn = pool.imap(draw, wanted, chunksize=16)
            kept = 0
            array = np.lib.format.open_memmap(
                file(work, style).with_suffix(".part"), "w+", np.uint8, (len(wanted), SIDE_PX, SIDE_PX, 4)
            )
            for source, sprite in zip(wanted, tqdm(drawn, style, len(wanted), mininterval=20, ascii=True), strict=True):
                if sprite is not None:
                    array[kept] = sprite
                    rows.setdefault(source.name, {})[style] = kept
                    kept += 1
            array.flush()
            file(work, style).with_suffix(".part").replace(file(work, style))
    table = [
        {**asdict(concept), "rows": rows[concept.name]}
        for concept in collection.concepts.values()
        if rows.get(concept.name, {}).keys() - {"twitter"}
    ]
    (work / "concepts.json").write_text(json.dumps(table, ensure_ascii=False, indent=0), "utf-8")
    for style in STYLES:
        print(f"{style:8} {sum(style in row['rows'] for row in table):5} drawings")
    print(f"{len(table)} things")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--styles", nargs="+", default=STYLES, choices=STYLES, help="draw only these anew (all)")
    options = parser.parse_args()
    build(options.work, options.styles)


if __name__ == "__main__":
    main()
