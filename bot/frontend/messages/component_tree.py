"""Traversal of a message's components at any depth. Pure; any thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def walk(components: Iterable[object]) -> Iterator[object]:
    """All components in order, including those in rows, sections, containers and galleries."""
    for component in components:
        yield component
        inside = [*getattr(component, "children", ()), *getattr(component, "items", ())]
        if (accessory := getattr(component, "accessory", None)) is not None:
            inside.append(accessory)
        yield from walk(inside)
