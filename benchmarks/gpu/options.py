"""What this version can be asked to do in two ways, so that both are measured: graphs and norm kernels, on and off."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from generator.loading import Models


def with_option(models: Models, name: str, value: bool) -> Models | None:
    """The same models with an option of theirs switched; None where this version has no such option."""
    if name not in {item.name for item in fields(models)}:
        return None
    changes: dict[str, Any] = {name: value}
    return replace(models, **changes)


def with_graphs(models: Models, on: bool) -> Models | None:
    """The same models, each step of whose dreams is replayed from a CUDA graph, or computed operation by operation."""
    return with_option(models, "graphs", on)


def with_kernels(models: Models, on: bool) -> Models | None:
    """The same models, whose norms are computed by kernels of our own, or by torch's."""
    return with_option(models, "kernels", on)
