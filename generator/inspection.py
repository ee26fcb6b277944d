"""Inspect model sets without loading their weights: the state of their files, and their outline. Any thread; blocking.

An outline holds the facts that need no weights: settings that suit the set, and advice about requests. Nothing is
converted or changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError, safe_open

from generator.checkpoints.catalogue import PERCEPTORS, STARTER, SourceFile, find_set
from generator.checkpoints.clip.source import PerceptorSource
from generator.checkpoints.conversion import CONVERTER_VERSION, read_manifest
from generator.checkpoints.digests import compare, sha256_of
from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.places import default_folder, is_present, own_name, place_of, target_in
from generator.checkpoints.sources import DEFAULT_PERCEPTOR, OwnModels
from generator.checkpoints.upscalers import UpscalerSource
from generator.checkpoints.vqgan_config import read_config
from generator.errors import CheckpointError, InvalidRequest
from generator.loading import STARTER as STARTER_FOLDER
from generator.loading import read_yaml
from generator.messages import Message
from generator.models.drawers.fourier import FourierPicture
from generator.models.language.reading import ReadPrompts
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import warnings_of
from generator.request import GenerationRequest


class Condition(Enum):
    """Condition of a model file."""

    READY = "ready"
    NEW = "new"
    """Present; converted on first use."""
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class ModelFile:
    """A file of a model set.

    Attributes:
        name: as in the catalogue, or the user's own name for it.
        path: where it is or should be.
        condition: ready, new, missing or broken.
        fault: if it is broken, a sentence that says what to do.
    """

    name: str
    path: Path
    condition: Condition
    fault: str = ""


def look_at_set(
    name: str,
    perceptors: Sequence[str] = (),
    vqgan: Path | None = None,
    folder: Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[ModelFile]:
    """Inspect the files of a model set, the starter as one; `perceptors` (names or files) and `vqgan` override its own.

    `digests` are the SHA-256 that files of those names must have.

    Raises:
        InvalidRequest: for a name that is not in the catalogue, or perceptors beside the starter.
    """
    if vqgan is None and name == STARTER:
        if perceptors:
            text = "The starter has a perceptor of its own; name another set with --models (in config.yaml: models)."
            raise InvalidRequest(Message(text), "models")
        return [_look_at_starter()]
    vqgan_file, usual = (vqgan, (DEFAULT_PERCEPTOR,)) if vqgan is not None else _parts(name)
    clips = [file for each in perceptors or usual for file in look_at_perceptor(each, folder, digests)]
    return [look_at(vqgan_file, folder, digests), *clips]


def look_at_perceptor(
    given: str, folder: Path | None = None, digests: Mapping[str, str] | None = None
) -> list[ModelFile]:
    """Inspect the files of a perceptor, by name or file: its weights and, where it has them, what belongs to them."""
    file = PERCEPTORS[given] if given in PERCEPTORS else Path(given)
    found = look_at(file, folder, digests)
    if found.condition is Condition.MISSING or isinstance(file, SourceFile):
        return [found]
    try:
        source = PerceptorSource.of(given)
    except CheckpointError as exc:
        return [replace(found, condition=Condition.BROKEN, fault=str(exc))]
    others = [] if source.dense is None else [source.dense]
    if source.pictures is not None:
        return [found, *(look_at(each, folder, digests) for each in (*others, source.pictures.file))]
    return [found]


def look_at_upscaler(source: UpscalerSource, folder: Path | None = None) -> ModelFile:
    """Inspect the file of an upscaler."""
    return look_at(source.file, folder, source.digests)


def look_at(file: SourceFile | Path, folder: Path | None = None, digests: Mapping[str, str] | None = None) -> ModelFile:
    """Inspect a file of the catalogue, or a person's own."""
    folder = folder or default_folder()
    digest = (digests or {}).get(file.name)
    if isinstance(file, Path):
        path, target, present = file, target_in(folder, own_name(file)), file.is_file()
    else:
        path, target, present = place_of(file, folder), target_in(folder, file.name), is_present(file, folder)
        digest = digest or file.sha256
    if not present:
        return ModelFile(file.name, path, Condition.MISSING)
    pinned = isinstance(file, SourceFile)
    try:
        with naming_file(path):
            if _is_converted(path, target, digest, pinned):
                return ModelFile(file.name, path, Condition.READY)
            if path.stat().st_size == 0:
                raise Fault("is empty; get it again.")
            if digest is not None or pinned:
                compare(path, sha256_of(path), digest)
    except CheckpointError as exc:
        return ModelFile(file.name, path, Condition.BROKEN, str(exc))
    return ModelFile(file.name, path, Condition.NEW)


def _parts(name: str) -> tuple[SourceFile, tuple[str, ...]]:
    entry = find_set(name)
    return entry.vqgan, entry.perceptors


def _look_at_starter() -> ModelFile:
    """Inspect the starter by loading it; it is small."""
    from generator.loading import STARTER as FOLDER
    from generator.loading import load_models

    try:
        load_models(STARTER, "cpu")
    except CheckpointError as exc:
        return ModelFile(STARTER, FOLDER, Condition.BROKEN, str(exc))
    return ModelFile(STARTER, FOLDER, Condition.READY)


def _is_converted(path: Path, target: Path, digest: str | None, pinned: bool) -> bool:
    """True if the converted file is complete and still matches its source, by the rules of `conversion`."""
    manifest = read_manifest(target)
    if manifest is None or manifest.converter != CONVERTER_VERSION or not target.is_file():
        if path.exists():
            return False
        raise Fault(f"is not there, and what was converted from it cannot be used; get it again, or delete {target}.")
    if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) != (manifest.size, manifest.changed_ns):
        return False
    if digest is not None or pinned:
        compare(path, manifest.sha256, digest)
    try:
        if target.stat().st_size != manifest.bytes:
            raise Fault(f"was converted to a file that is not whole; delete {target} so that it is made again.")
        with safe_open(target, "np") as file:
            file.keys()
    except SafetensorError as exc:
        raise Fault(f"was converted to a file that is damaged; delete {target} so that it is made again.") from exc
    return True


@dataclass(frozen=True, kw_only=True)
class ModelOutline:
    """A model set without its weights.

    Attributes:
        name: as in recipes.
        perceptors: names of its perceptors, which know all words.
        factor: pixels of one code's side; drawers beside the VQGAN have their own.
        has_prior: True if it can propose a start.
        has_clips_tokenizer: True unless all its perceptors read text by tokenizers of their own.
        defaults: settings that suit it.
        starts: deviating settings by start.
    """

    name: str
    perceptors: tuple[str, ...]
    factor: int = 16
    has_prior: bool = False
    has_clips_tokenizer: bool = True
    defaults: Mapping[str, object]
    starts: Mapping[str, Mapping[str, object]]

    def request_warnings(self, request: GenerationRequest) -> tuple[str, ...]:
        """Warnings for the requester: words that are cut off, sizes and scenes that do not fit.

        Raises:
            InvalidRequest: if these models cannot generate the request.
        """
        current: GenerationRequest | None = request
        while current is not None:
            if current.models != self.name:
                text = "The parent was painted by the models {models}; load those."
                raise InvalidRequest(Message(text, models=repr(current.models)), "models")
            if current.settings.start == "prior" and not self.has_prior:
                text = "The models {models} have no prior; choose another start, such as 'random'."
                raise InvalidRequest(Message(text, models=repr(self.name)), "start")
            current = current.parent
        settings = request.settings
        factor = {"pixel": settings.pixel_size, "fourier": FourierPicture.factor}.get(settings.drawer, self.factor)
        schedule = Schedule(settings, factor, max(1, len(request.scenes)))
        cut_off = warnings_of(ReadPrompts(request.scenes), ()) if self.has_clips_tokenizer else ()
        return (*cut_off, *schedule.warnings())


def outline_of(name: str, own: OwnModels | None = None) -> ModelOutline:
    """The outline of a model set, or of a person's own files under that set's name or their own. Reads small files.

    Raises:
        InvalidRequest: for an unknown model set.
        CheckpointError: if the description of the models cannot be used.
    """
    if name == STARTER and (own is None or own.vqgan is None):
        return _starter()
    if own is not None and own.vqgan is not None and own.config is not None:
        config: Path = own.config
        usual: tuple[str, ...] = (DEFAULT_PERCEPTOR,)
    else:
        entry = find_set(name)
        config, usual = entry.config, entry.perceptors
    factor = 2 ** (len(read_config(config).model.params.ddconfig.ch_mult) - 1)
    perceptors = (own.perceptors if own is not None else ()) or usual
    own_name = None if own is None else own.name
    return ModelOutline(
        name=own_name or name,
        perceptors=perceptors,
        factor=factor,
        has_clips_tokenizer=any(PerceptorSource.of(each).config.tokenizer is None for each in perceptors),
        defaults={},
        starts={},
    )


def _starter() -> ModelOutline:
    file = STARTER_FOLDER / "starter.yaml"
    config = read_yaml(file)
    try:
        defaults = cast("dict[str, object]", OmegaConf.to_container(config.defaults))
        starts = cast("dict[str, dict[str, object]]", OmegaConf.to_container(config.starts))
        perceptors = (str(config.perceptor),)
    except (OmegaConfBaseException, ValueError, AttributeError) as exc:
        raise CheckpointError(f"{file} is not complete: {exc}") from exc
    return ModelOutline(name=STARTER, perceptors=perceptors, has_prior=True, defaults=defaults, starts=starts)
