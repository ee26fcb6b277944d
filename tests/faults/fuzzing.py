"""Fuzzing targets and their permitted outcomes: our own readers of data that strangers send.

Each target returns where all went as it should, and raises where it did not.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bot.texts import Sentence
from generator import InvalidRequest, parse_story, read_recipe, recipe_to_json
from generator.checkpoints.archives import open_archive
from generator.checkpoints.faults import Fault
from generator.checkpoints.pickles import Window, read_pickle
from generator.checkpoints.trees import find_tensors
from generator.checkpoints.vqgan_config import read_config
from generator.errors import CheckpointError, GeneratorError
from generator.images.files import check_normalised, normalise
from generator.optimisation.snapshot import unpack
from generator.prompts import MAX_STOP, MAX_WEIGHT, explain_story
from generator.provenance import Provenance, differences
from generator.recipe import recipe_from_json
from tests.faults import seeds
from tests.faults.target import Broken, Target

LONGEST_SENTENCE = 700


def _check_sentence(exc: GeneratorError) -> None:
    """Check that a refusal is one complete sentence without control characters, in both languages."""
    for said in (str(exc), *(Sentence.of_generator(exc.message).said(locale) for locale in ("en-US", "de"))):
        if not said.endswith(".") or not 10 < len(said) <= LONGEST_SENTENCE:
            raise Broken(f"this is no sentence: {said[:LONGEST_SENTENCE]!r}")
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in said):
            raise Broken(f"this sentence has characters that cannot be shown: {said!r}")


def _recipe(data: bytes) -> None:
    try:
        found = read_recipe(data)
    except InvalidRequest as exc:
        _check_sentence(exc)
        return
    if recipe_from_json(recipe_to_json(found)) != found:
        raise Broken("written and read again the recipe is another one")
    for message in differences(found.made_with, Provenance(threads=1, device="cpu", files={"a": "b"})):
        Sentence.of_generator(message).said("de")


def _prompt(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for beside_pictures in (False, True):
        try:
            scenes = parse_story(text, beside_pictures=beside_pictures)
        except InvalidRequest as exc:
            _check_sentence(exc)
            continue
        explain_story(scenes)
        for scene in scenes:
            if not beside_pictures and not any(prompt.weight > 0 for prompt in scene.prompts):
                raise Broken("nothing pulls in a scene")
            for prompt in scene.prompts:
                stopped = prompt.stop == -math.inf or abs(prompt.stop) <= MAX_STOP
                if not prompt.text.strip() or not abs(prompt.weight) <= MAX_WEIGHT or not stopped:
                    raise Broken(f"this is no prompt: {prompt}")


def _snapshot(data: bytes) -> None:
    try:
        found = unpack(data)
    except CheckpointError as exc:
        _check_sentence(exc)
        return
    if not isinstance(found.recipe, str) or not isinstance(found.facts, dict):
        raise Broken("this is no snapshot")


def _pickle(data: bytes) -> None:
    try:
        find_tensors(read_pickle(Window(data, 0, len(data))), "a")
    except Fault as exc:
        _check_fault(exc)


def _checkpoint(data: bytes) -> None:
    with _file(data) as path:
        try:
            with open_archive(path) as archive:
                for stored in find_tensors(archive.tree, "").values():
                    archive.read(stored)
        except Fault as exc:
            _check_fault(exc)


def _yaml(data: bytes) -> None:
    with _file(data) as path:
        try:
            found = read_config(path)
        except CheckpointError as exc:
            _check_sentence(exc)
            return
        if set(found.model) != {"target", "params"}:
            raise Broken("this is no configuration of a VQGAN")


def _picture(data: bytes) -> None:
    try:
        plain = normalise(data)
    except InvalidRequest as exc:
        _check_sentence(exc)
        return
    check_normalised(plain)
    if normalise(plain) != plain:
        raise Broken("a picture that was made plain changes when that is done again")


def _check_fault(exc: Fault) -> None:
    _check_sentence(CheckpointError(f"The file {exc}"))


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """The bytes as a file in memory."""
    handle = os.memfd_create("fuzzed")
    try:
        os.write(handle, data)
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


TARGETS: Mapping[str, Target] = {
    "recipe": Target(
        "a recipe that is the same when it is written and read again; or InvalidRequest with a sentence",
        _recipe,
        seeds.recipes,
        seeds.RECIPE_WORDS,
    ),
    "prompt": Target(
        "scenes with words and with weights in their range; or InvalidRequest with a sentence",
        _prompt,
        seeds.prompts,
        seeds.PROMPT_WORDS,
        2048,
    ),
    "snapshot": Target(
        "a recipe, facts and tensors; or CheckpointError with a sentence",
        _snapshot,
        seeds.snapshots,
        seeds.SNAPSHOT_WORDS,
    ),
    "pickle": Target(
        "plain values, and nothing ran; or Fault with a sentence", _pickle, seeds.pickles, seeds.PICKLE_WORDS
    ),
    "checkpoint": Target(
        "tensors that lie within the file; or Fault with a sentence", _checkpoint, seeds.checkpoints, seeds.PICKLE_WORDS
    ),
    "yaml": Target(
        "the numbers that build a VQGAN, and no more; or CheckpointError with a sentence", _yaml, seeds.yamls
    ),
    "picture": Target(
        "a plain PNG that stays as it is when it is read again; or InvalidRequest with a sentence",
        _picture,
        seeds.pictures,
    ),
}
