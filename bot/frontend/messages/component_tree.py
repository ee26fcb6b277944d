"""Components of a message, however deep they are nested. Pure; any thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def walk(components: Iterable[object]) -> Iterator[object]:
    """Every component in its order, with those inside rows, sections, containers and galleries."""
    for component in components:
        yield component
        inside = [*getattr(component, "children", ()), *getattr(component, "items", ())]
        if (accessory := getattr(component, "accessory", None)) is not None:
            inside.append(accessory)
        yield from walk(inside)
