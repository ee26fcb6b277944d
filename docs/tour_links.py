"""Links of docs/tour.md to the lines of the code where their functions and classes begin."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour.md"
LINK = re.compile(r"\[`(?P<name>[\w.]+)`\]\(\.\./(?P<path>[\w/]+\.py)#L(?P<line>\d+)\)")


def relinked(document: str) -> str:
    """Return the document with each link at the line of its definition.

    Raises:
        LookupError: if a name is not defined in its file.
    """
    return LINK.sub(lambda match: f"[`{match['name']}`](../{match['path']}#L{line_of(**_target(match))})", document)


def line_of(name: str, path: str) -> int:
    """Return the first line of a function, class or method, such as `Class.method`; nested functions likewise.

    Raises:
        LookupError: if the file does not define it.
    """
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text("utf-8")).body
    line = 0
    for part in name.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = next((node for node in body if isinstance(node, kinds) and node.name == part), None)
        if found is None:
            raise LookupError(f"{path} does not define {name}")
        body, line = found.body, found.lineno
    return line


def _target(match: re.Match[str]) -> dict[str, str]:
    return {"name": match["name"], "path": match["path"]}
