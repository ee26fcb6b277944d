"""Facts of a model set that need none of its weights: settings that suit it, and advice about requests. Any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from generator.checkpoints.catalogue import STARTER, find_set
from generator.checkpoints.sources import DEFAULT_PERCEPTOR, OwnModels
from generator.checkpoints.vqgan_config import read_config
from generator.errors import CheckpointError, InvalidRequest
from generator.loading import STARTER as STARTER_FOLDER
from generator.loading import read_yaml
from generator.messages import Message
from generator.models.reading import ReadPrompts
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import warnings_of
from generator.request import GenerationRequest


@dataclass(frozen=True, kw_only=True)
class ModelOutline:
    """A model set without its weights.

    Attributes:
        name: as in recipes.
        perceptors: names of its perceptors, which know all words.
        factor: pixels of one code's side.
        has_prior: True if it can propose a start.
        defaults: settings that suit it.
        starts: deviating settings by start.
    """

    name: str
    perceptors: tuple[str, ...]
    factor: int = 16
    has_prior: bool = False
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
        schedule = Schedule(request.settings, self.factor, max(1, len(request.scenes)))
        return (*warnings_of(ReadPrompts(request.scenes), ()), *schedule.warnings())


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
    return ModelOutline(name=own_name or name, perceptors=perceptors, factor=factor, defaults={}, starts={})


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
