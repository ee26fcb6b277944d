"""Generate the import diagrams and module tables of docs/architecture.md: `python -m docs.make_diagrams`.

The graph is read from the code with grimp, the library that import-linter uses. A package counts as one box, an arrow
means "imports", and an arrow implied by two others is left out. The description of a module is the first sentence of
its docstring. tests/test_architecture.py checks that the committed document matches the code.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import grimp

from bot.jobs import TRANSITIONS, JobState
from docs.tour_links import TOUR, relinked

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
EVERYWHERE: Mapping[str, frozenset[str]] = {
    "bot": frozenset({"config", "environment", "errors", "log", "texts", "waiting"}),
    "generator": frozenset({"errors", "messages", "settings", "__main__"}),
}
"""Modules that nearly all others import, or that only start the rest: left out, since they would hide the structure."""
OF_ALL = "generator"
"""In the diagram of bot/ the other package is one box."""

Edges = dict[str, set[str]]


def edges_of(package: str) -> Edges:
    """Return the imports between parts of a package, by name; the public names of the generator are one part."""
    graph = grimp.build_graph("bot", "generator", cache_dir=None, exclude_type_checking_imports=True)
    edges: Edges = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = [_part(name, package) for name in (module, imported)]
            if ends[0] and ends[1] and ends[0] != ends[1] and module.split(".")[0] == package:
                edges.setdefault(ends[0], set()).add(ends[1])
    return edges


def diagram(edges: Edges) -> str:
    """Write the edges as Mermaid, without those implied by others."""
    lines = [f"    {_box(start)} --> {_box(end)}" for start in sorted(edges) for end in sorted(_needed(edges, start))]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def modules(package: str) -> str:
    """Write a table of the modules of a package, and of the packages in it, with their descriptions."""
    folder = ROOT / package
    paths = [path for path in folder.rglob("*.py") if path.name != "__init__.py" or path.parent != folder]
    rows = [f"| `{_shown(path, folder)}` | {_first_sentence(path)} |" for path in sorted(paths) if _docstring(path)]
    return "\n".join(["| module | purpose |", "|---|---|", *rows])


def states() -> str:
    """Write the states of a job and their transitions as Mermaid."""
    lines = [f"    [*] --> {JobState.QUEUED}"]
    for old in JobState:
        lines += [f"    {old} --> {new}" for new in JobState if new in TRANSITIONS[old]]
        lines += [f"    {old} --> [*]"] if old.ended else []
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def filled(document: str) -> str:
    """Return the document with its diagrams and tables updated from the code."""
    parts = {f"imports of {name}": diagram(edges_of(name)) for name in EVERYWHERE}
    parts |= {f"modules of {name}": modules(name) for name in EVERYWHERE}
    parts["states of a job"] = states()
    for name, text in parts.items():
        found = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)", re.DOTALL)
        document = found.sub(lambda match, text=text: f"{match[1]}{text}{match[2]}", document)
    return document


def _shown(path: Path, folder: Path) -> str:
    """Return the path of a module below its package; that of a package's own module is its folder."""
    name = path.relative_to(folder).as_posix()
    return name.removesuffix("__init__.py")


@functools.cache
def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def _first_sentence(path: Path) -> str:
    words = " ".join(_docstring(path).split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z])", words)[0].rstrip(".").replace("|", "\\|")


def _part(module: str, package: str) -> str:
    """Return the part that a module belongs to; empty for one that is left out."""
    first, _, rest = module.partition(".")
    if first != package:
        return OF_ALL if first == OF_ALL else ""
    name = rest.partition(".")[0]
    return "" if not name or name in EVERYWHERE[package] else name


def _needed(edges: Edges, start: str) -> set[str]:
    """Remove the ends reachable from `start` by way of another end; in a cycle both edges stay."""
    ends = edges[start]
    return {
        end
        for end in ends
        if not any(end in _reached(edges, other) and other not in _reached(edges, end) for other in ends - {end})
    }


def _reached(edges: Edges, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for end in edges.get(waiting.pop(), ()):
            if end not in seen:
                seen.add(end)
                waiting.append(end)
    return seen


def _box(name: str) -> str:
    return name if name.isidentifier() and not name.startswith("_") else f'{name.strip("_")}["{name}"]'


def main() -> None:
    """Write the diagrams into the document, and the lines of the code into the tour's links."""
    document = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(filled(document), "utf-8")
    TOUR.write_text(relinked(TOUR.read_text("utf-8")), "utf-8")
    sys.stdout.write(f"{DOCUMENT.name} holds the code as it is.\n")


if __name__ == "__main__":
    main()
