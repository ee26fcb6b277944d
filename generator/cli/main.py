"""The command line: `python -m generator "a red apple"`, `... film PROMPT`, `... again FILE`, `... models`.

All input errors are found before torch is imported and before a model is loaded.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from generator.checkpoints.sources import OwnModels, read_flags
from generator.cli import film
from generator.cli.arguments import again_parser, film_parser, given_settings, imagine_parser, read_bytes
from generator.cli.config import HostDefaults, read_host_defaults, resolve_settings
from generator.cli.outputs import Outputs, free, picture_beside, plan_outputs
from generator.cli.requests import Load, drawn_seed, load_named, loader, own_models, recipe_at, request_of, upscaler_of
from generator.cli.run import Console, run
from generator.errors import CheckpointError, GeneratorError, InvalidRequest
from generator.images.files import format_of
from generator.notation.palette import NONE
from generator.prompts import explain_story, is_plain, wanted_words
from generator.provenance import Provenance, differences
from generator.recipe import request_from_json
from generator.settings import MAX_STEPS

if TYPE_CHECKING:
    from generator.models.model_set import Models
    from generator.optimisation.dream import Dream
    from generator.request import GenerationRequest

OTHER_COMMANDS = {"models": "generator.cli.models"}
"""Commands of other modules, each with a `main(arguments) -> int`; imported on demand."""

DONE, FAILED, WRONG_INPUT, STOPPED = 0, 1, 2, 130
MAX_SNAPSHOT_BYTES = 2**30


def main(arguments: Sequence[str] | None = None, load: Load | None = None) -> int:
    """Run a command line and return the exit code.

    0: done; 1: it failed; 2: invalid input, reported in one sentence; 130: stopped by Ctrl-C, after saving the current
    state. `load` returns the models by name and device; `generator.loading.load_models` if None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in OTHER_COMMANDS:
            command: Callable[[Sequence[str]], int] = import_module(OTHER_COMMANDS[words[0]]).main
            return command(words[1:])
        if words and words[0] == "again":
            return _again(again_parser().parse_args(words[1:]), load)
        if words and words[0] == "film":
            return DONE if film.make(film_parser().parse_args(words[1:]), load) else STOPPED
        return _imagine(imagine_parser().parse_args(words), load)
    except (InvalidRequest, CheckpointError) as exc:
        return _fail(str(exc), WRONG_INPUT)
    except GeneratorError as exc:
        return _fail(str(exc), FAILED)
    except KeyboardInterrupt:
        return _fail("Stopped; nothing more was saved.", STOPPED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has ended; nothing may be written there at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _imagine(options: argparse.Namespace, given_load: Load | None) -> int:
    """Generate from a prompt."""
    host = HostDefaults() if options.config is None else read_host_defaults(options.config)
    own = own_models(options, host)
    if options.resume is not None:
        return _resume(options, host, own, given_load)
    given = given_settings(options)
    upscaler = upscaler_of(given.get("upscaler", host.settings.get("upscaler")), host)
    if upscaler is not None:
        given["upscaler"] = upscaler.name
    load = loader(options, host, own, given_load, upscaler)
    remarks = drawn_seed(given, host, "picture")
    outputs = _outputs(options, " ".join(options.words))
    request = request_of(options, host, given, own)
    if request.scenes and not is_plain(request.scenes):
        remarks.append(explain_story(request.scenes))
    models = load(request.models, options.device or host.device or "auto")
    settings = resolve_settings(models.defaults, host.settings, given, models.starts)
    posed = settings.composition == "posed" and any(item.weight > 0 for item in request.image_prompts)
    if settings.composition == "posed" and "steps" not in given:  # each scene of a story has those of a picture
        settings = settings.merged({"steps": min(MAX_STEPS, settings.steps * max(1, len(request.scenes)))})
    if settings.start == "prior" and "start" not in given and not (wanted_words(request.scenes) or posed):
        settings = resolve_settings(models.defaults, host.settings, {**given, "start": "random"}, models.starts)
    return _dream(replace(request, settings=settings), models, outputs, Console.of(options), remarks)


def _again(options: argparse.Namespace, given_load: Load | None) -> int:
    """Generate again from a recipe."""
    recipe, own = recipe_at(options.file), read_flags(options)
    then = recipe.made_with or Provenance()
    # The recipe's half precision would be very slow if this device does not support it.
    precision = options.precision or ("fp32" if then.precision == "fp32" else "auto")
    request = recipe.request
    upscaler = upscaler_of(options.upscaler or request.settings.upscaler, HostDefaults())
    if options.upscaler is not None:
        name = NONE if upscaler is None else upscaler.name
        request = replace(request, settings=request.settings.merged({"upscaler": name}))
    console = Console.of(options)
    load = given_load or partial(load_named, console=console, own=own, precision=precision, upscaler=upscaler)
    if recipe.request.film is not None:
        return DONE if film.make_again(options, recipe, load) else STOPPED
    if options.output is None:
        suffix = f".{options.format}" if options.format else options.file.suffix
        beside = options.file.with_name(f"{options.file.stem}-again{suffix}")
        options.output = free(beside if format_of(beside) else beside.with_suffix(".png"))
    outputs = _outputs(options, request.prompt)
    models = load(request.models, options.device or "auto")
    from generator.optimisation.dream import Dream
    from generator.runtime.device import cpu_threads

    with cpu_threads(then.threads if models.device.type == "cpu" else 0):
        dream = Dream(request, models, cutouts_at_once=then.cutouts_at_once or None)
        for text in differences(recipe.made_with, dream.made_with):
            console.warn(text)
        return _run(dream, outputs, console)


def _resume(options: argparse.Namespace, host: HostDefaults, own: OwnModels | None, given_load: Load | None) -> int:
    """Resume a stopped dream."""
    given = given_settings(options)
    named = given.pop("upscaler", None)
    if options.words or given or options.models or options.image_prompt:
        raise InvalidRequest("--resume goes on with the dream as it was; leave out prompt and settings.", "resume")
    data = read_bytes(options.resume, MAX_SNAPSHOT_BYTES)
    from generator.optimisation.dream import Dream
    from generator.optimisation.snapshot import unpack

    request = request_from_json(unpack(data).recipe)
    if options.output is None:
        options.output = picture_beside(options.resume, options.format)
    outputs = _outputs(options, request.prompt)
    load = loader(options, host, own, given_load, upscaler_of(named or request.settings.upscaler, host))
    models = load(request.models, options.device or "auto")
    return _run(Dream.resume(data, models), outputs, Console.of(options))


def _dream(
    request: GenerationRequest,
    models: Models,
    outputs: Outputs,
    console: Console,
    remarks: Sequence[str],
) -> int:
    """Start a dream and run it; remarks are shown only once no input error is possible any more."""
    from generator.optimisation.dream import Dream

    dream = Dream(request, models)
    for text in remarks:
        console.remark(text)
    return _run(dream, outputs, console)


def _run(dream: Dream, outputs: Outputs, console: Console) -> int:
    for text in dream.warnings:
        console.warn(text)
    return DONE if run(dream, outputs, console) else STOPPED


def _outputs(options: argparse.Namespace, prompt: str) -> Outputs:
    return plan_outputs(
        options.output, options.format, options.timelapse, options.preview_every, prompt, options.tile_sheet
    )


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code
