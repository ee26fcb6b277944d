"""Requests of the command line, and the models for them: common to pictures and films. No torch until models load."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from generator.checkpoints.sources import OwnModels, read_flags
from generator.checkpoints.upscalers import UpscalerSource, find_upscaler
from generator.cli.arguments import read_bytes, read_image_prompt, read_mask, read_picture
from generator.cli.config import HostDefaults, resolve_settings
from generator.cli.run import Console
from generator.errors import InvalidRequest
from generator.notation.palette import NONE
from generator.notation.regions import PICTURE
from generator.recipe import MAX_FILE_BYTES, Recipe, read_recipe
from generator.request import MAX_PAINTED_PX, GenerationRequest, canvas_size
from generator.settings import MASKS, MAX_SEED, Settings

if TYPE_CHECKING:
    from generator.models.model_set import Models

Load = Callable[[str, str], "Models"]


def request_of(
    options: argparse.Namespace, host: HostDefaults, given: dict[str, object], own: OwnModels | None
) -> GenerationRequest:
    """Build the request, checked as far as possible without the models."""
    init_image = None if options.init_image is None else read_picture(options.init_image)
    parent = None if options.parent is None else recipe_at(options.parent).request
    mask = None if options.mask is None else read_mask(options.mask)
    if mask is not None and "keep" not in given:
        given.setdefault("repaint", PICTURE)
    if init_image is not None:
        given.setdefault("start", "init")
        masks = Settings().merged({name: given[name] for name in MASKS if name in given})
        if masks.masked:
            given.setdefault("size", str(canvas_size(init_image, masks, MAX_PAINTED_PX)))
    if parent is not None:
        given.setdefault("start", "parent")
        given.setdefault("size", str(parent.settings.size))
    return GenerationRequest(
        prompt=" ".join(options.words) or (parent.prompt if parent else ""),
        image_prompts=tuple(read_image_prompt(text) for text in options.image_prompt),
        init_image=init_image,
        mask=mask,
        settings=resolve_settings({}, host.settings, given),
        models=(own and own.name) or options.models or (parent.models if parent else None) or host.models or "starter",
        parent=parent,
    )


def recipe_at(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        InvalidRequest: if there is none; the message names the file.
    """
    data = read_bytes(path, MAX_FILE_BYTES)
    try:
        return read_recipe(data)
    except InvalidRequest as exc:
        raise InvalidRequest(f"{path}: {exc}", exc.field) from exc


def drawn_seed(given: dict[str, object], host: HostDefaults, thing: str) -> list[str]:
    """Draw a seed if none is given; return the remark about it."""
    if "seed" in given or "seed" in host.settings:
        return []
    seed = given["seed"] = secrets.randbelow(MAX_SEED + 1)
    return [f"Seed {seed}, drawn by lot; --seed {seed} paints the same {thing}."]


def upscaler_of(name: object, host: HostDefaults) -> UpscalerSource | None:
    """The upscaler of a name or file, that of config.yaml among them; None for `none`.

    Raises:
        InvalidRequest: if there is none, or the package that runs it is missing.
    """
    if not isinstance(name, str) or name.strip().casefold() == NONE:
        return None
    ours = None if host.upscaler is None else UpscalerSource.of(host.upscaler, host.digests)
    return find_upscaler(name.strip(), ours, host.digests)


def loader(
    options: argparse.Namespace,
    host: HostDefaults,
    own: OwnModels | None,
    given_load: Load | None,
    upscaler: UpscalerSource | None = None,
) -> Load:
    """The function that loads models: `given_load`, or one that follows flags and config.yaml."""
    return given_load or partial(
        load_named,
        console=Console.of(options),
        own=own,
        precision=options.precision or host.precision,
        memory_share=host.memory_share,
        upscaler=upscaler,
    )


def own_models(options: argparse.Namespace, host: HostDefaults) -> OwnModels | None:
    """Model files named by the flags, else those of config.yaml, unless a flag names a set."""
    return read_flags(options) or (None if options.models else host.own)


def load_named(
    name: str,
    device: str,
    *,
    console: Console,
    own: OwnModels | None,
    precision: str | None,
    memory_share: float | None = None,
    upscaler: UpscalerSource | None = None,
) -> Models:
    """Load models by name and device."""
    console.remark(f"Loading the models {name}.")  # before torch, which alone takes seconds to import
    from generator.loading import load_models

    return load_models(
        name, device, own=own, precision=precision or "auto", memory_share=memory_share or 1.0, upscaler=upscaler
    )
