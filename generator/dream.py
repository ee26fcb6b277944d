"""The dream: a latent that is improved until its picture agrees with the prompts.

Runs on the thread that dreams; nobody else may touch a `Dream`. The loop is that of Crowson et al., "VQGAN-CLIP",
arXiv 2204.08583: decode, cut, augment, embed, loss, update.

Everything random comes from one generator, seeded by `settings.seed`. On a CPU the same request gives the same bytes,
and so does a dream that was resumed, whatever the number of steps in between; on a GPU by the setting `exact`. That
holds for the same build of torch on the same kind of processor with the same number of threads: another number splits
sums elsewhere, and rounding differs in the last bit.

Each step decodes the latent itself, and `preview` shows that very image. With a moving average (`ema`) the picture is
decoded from the average, once, when it is asked for: guiding by the average instead would answer each change late, and
showing the average meanwhile would cost a second decode each time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generator.device import working
from generator.errors import CheckpointError, GeneratorError, InvalidRequest
from generator.foresight import foresee
from generator.gradients import clamp_with_gradient, straight_through
from generator.judging import Judges
from generator.latent import Latent
from generator.losses import anchor_loss, pull_loss, total_variation
from generator.models import Models
from generator.pixels import to_image
from generator.readings import Reading, Readings
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest, Picture, Progress, PromptLoss
from generator.schedule import Plateau, Schedule
from generator.sentences import Message
from generator.snapshot import Snapshot, damaged, pack, unpack
from generator.starts import at_size, start_latent
from generator.targets import Targets, targets_of

_RESAMPLING = Image.Resampling.BICUBIC


class Dream:
    """One picture in the making: stepped, previewed, snapshotted, resumed and finished from outside.

    Attributes:
        request: what is dreamt.
        warnings: sentences for the person who asked.
        losses: the loss of each step so far; on a GPU the last few are still on their way.
    """

    def __init__(self, request: GenerationRequest, models: Models, parent_latent: Tensor | None = None) -> None:
        """Prepare the first step. A parent whose latent `[1, C, h, w]` is not given is dreamt here, from its start.

        Raises:
            InvalidRequest: if these models cannot dream this.
            OutOfMemory: if it does not fit.
        """
        self._prepare(request, models)
        if request.parent is not None and parent_latent is None:
            parent_latent = _dreamt(request.parent, models)
        with working(models.device, self._exact):
            size = self._schedule.size_at(0)
            start = start_latent(request, models, size, self._targets[0], parent_latent, self._generator)
            self._begin(start, start)

    def _prepare(self, request: GenerationRequest, models: Models) -> None:
        """All that follows from the request and needs no start."""
        self.request, self._models, self._settings = request, models, request.settings
        self._exact = request.settings.exact and models.device.type == "cuda"
        with working(models.device, self._exact):
            self._targets = targets_of(request, models.perceptors)
        self._schedule = Schedule(self._settings, models.vqgan.factor, len(self._targets))
        self.warnings = foresee(request, models)
        self._judges = Judges(models.perceptors, self._settings, self._exact)
        self._generator = torch.Generator(models.device).manual_seed(self._settings.seed)
        self._last_step = request.stopped_at or self._settings.steps
        self._readings = Readings(models.device)
        self._plateau = Plateau()
        self.losses: list[float] = []
        self._last: Reading | None = None
        self._image: Tensor | None = None
        self._ended_here: Image.Image | None = None
        self._step = 0
        self._seconds_per_step = 0.0

    def _begin(self, start: Tensor, anchor: Tensor) -> None:
        self._latent = Latent(start, anchor, self._models.vqgan.codebook, self._settings)

    @property
    def finished(self) -> bool:
        """Whether all steps are made, or the dream was stopped, or it came to its plateau."""
        return self._step >= self._last_step or 0 < self._settings.plateau <= self._plateau.since

    @property
    def progress(self) -> Progress:
        """Where the dream stands; before the first step without losses (0)."""
        left = 0.0 if self.finished else self._schedule.work_left(self._step, self._last_step)
        reading = self._last or Reading(0, (0.0,))
        targets = self._targets[reading.scene]
        values = zip(targets.labels, reading.losses, reading.similarities, strict=False)
        return Progress(
            step=self._step,
            steps=self._settings.steps,
            loss=reading.loss,
            similarity=targets.similarity(reading.similarities),
            prompts=tuple(PromptLoss(text=text, loss=loss, similarity=same) for text, loss, same in values),
            seconds_per_step=self._seconds_per_step,
            seconds_left=left * self._seconds_per_step,
        )

    @property
    def latent(self) -> Tensor:
        """The latent `[1, C, h, w]` that the picture is decoded from, at full size, for dreams that go on from it."""
        with working(self._models.device, self._exact):
            return at_size(self._models.vqgan, self._latent.average, self._schedule.size).clone()

    def step(self) -> Progress:
        """Improve the picture once; nothing happens to a finished one.

        Raises:
            OutOfMemory: if it does not fit.
            GeneratorError: if the loss is no number any more.
        """
        if self.finished:
            return self.progress
        started = time.perf_counter()
        with working(self._models.device, self._exact):
            self._go_fine()
            self._improve(self._targets[self._schedule.scene(self._step)])
        self._step += 1
        self._ended_here = None
        self._note_readings()
        self._note_time(time.perf_counter() - started)
        return self.progress

    def _improve(self, targets: Targets) -> None:
        """One turn of the loop, as in the paper; cut, augment, embed and the prompts' losses are the judges'."""
        image = self._decode()
        chances = self._judges.draw(self._schedule.overviews(self._step), image, self._generator)
        judgement = self._judges.judge(image, chances, targets)
        loss = self._loss(image, judgement.loss)
        self._latent.update(loss, self._schedule.learning_rate(self._step))
        values = torch.cat([loss.detach()[None], judgement.losses, judgement.cosines])
        self._readings.put(self._schedule.scene(self._step), values)
        self._image = image.detach()

    def _decode(self) -> Tensor:
        """The picture `[1, 3, H, W] in 0..1` of the nearest codes, with a gradient that reaches the latent."""
        value = self._latent.value
        quantised, _ = self._models.vqgan.quantise(value.detach())
        return clamp_with_gradient(self._models.vqgan.decode(straight_through(value, quantised)), 0, 1)

    def _loss(self, image: Tensor, loss: Tensor) -> Tensor:
        """The loss of the prompts, a scalar, with what keeps the picture in shape."""
        settings, latent = self._settings, self._latent
        if settings.total_variation:
            loss = loss + settings.total_variation * total_variation(image)
        if settings.init_weight:
            loss = loss + settings.init_weight * anchor_loss(latent.value, latent.anchor)
        if settings.pull:
            loss = loss + self._schedule.pull(self._step) * pull_loss(latent.value)
        return loss

    def _go_fine(self) -> None:
        """After the coarse steps: decode, resize, encode, and go on with a fresh optimiser."""
        if self._step != self._schedule.coarse_steps or self._step == 0:
            return
        vqgan, size = self._models.vqgan, self._schedule.size
        start = at_size(vqgan, self._latent.average, size)
        self._begin(start, at_size(vqgan, self._latent.anchor, size) if self._settings.init_weight else start)

    def _note_readings(self) -> None:
        for reading in self._readings.take():
            if not math.isfinite(reading.loss):
                raise GeneratorError("The loss is no number any more; choose a lower learning rate.")
            if self._schedule.may_end_early(len(self.losses)):
                self._plateau.note(reading.loss)
            self.losses.append(reading.loss)
            self._last = reading

    def _note_time(self, seconds: float) -> None:
        """A moving average; the first step also warms things up and is forgotten soon."""
        share = 0.8 if self._step > 2 else 0.0
        self._seconds_per_step = share * self._seconds_per_step + (1 - share) * seconds

    def preview(self) -> Image.Image:
        """The picture so far, at full size: what the last step decoded, or the finished picture."""
        if self.finished or self._image is None:
            return self._decoded()
        image = to_image(self._image)
        return image if image.size == self._schedule.size else image.resize(self._schedule.size, _RESAMPLING)

    def picture(self) -> Picture:
        """The picture, with a request that makes it again; before the end it is the picture so far.

        There is none before the first step, so one is made.
        """
        if self._step == 0:
            self.step()
        request = self.request if self.finished else replace(self.request, stopped_at=self._step)
        return Picture(image=self._decoded(), request=request, progress=self.progress, warnings=self.warnings)

    @torch.no_grad()
    def _decoded(self) -> Image.Image:
        """The picture as it would be if the dream ended here; decoded once, however often it is asked for."""
        if self._ended_here is None:
            with working(self._models.device, self._exact):
                self._ended_here = to_image(self._models.vqgan.decode(self._models.vqgan.quantise(self.latent)[0]))
        return self._ended_here.copy()

    def snapshot(self) -> bytes:
        """All that `resume` needs to go on as if nothing had happened."""
        facts = {
            "step": self._step,
            "device": self._models.device.type,
            "models": self._models.fingerprint,
            "plateau": self._plateau.as_dict(),
            "last": self._last,
            "waiting": self._readings.waiting(),
        }
        losses = torch.tensor(self.losses, dtype=torch.float64)
        tensors = self._latent.tensors() | {"random": self._generator.get_state(), "losses": losses}
        return pack(Snapshot(request_to_json(self.request), facts, tensors))

    @classmethod
    def resume(cls, snapshot: bytes, models: Models) -> Dream:
        """The dream that gave the snapshot, as it was.

        Raises:
            CheckpointError: if it is damaged, or was made by other models or on another kind of device.
        """
        data = unpack(snapshot)
        if data.facts.get("models") != models.fingerprint:
            raise CheckpointError(f"This snapshot was not made with the models {models.name!r} as they are now.")
        if data.facts.get("device") != models.device.type:
            raise CheckpointError(f"This snapshot was not made on a device of the kind {models.device.type!r}.")
        try:
            dream = cls.__new__(cls)
            dream._prepare(request_from_json(data.recipe), models)
            dream._restore(data)
        except (KeyError, ValueError, TypeError, IndexError, RuntimeError, InvalidRequest) as exc:
            raise damaged(exc) from exc
        return dream

    def _restore(self, data: Snapshot) -> None:
        self._step = int(data.facts["step"])
        if not 0 <= self._step <= self._settings.steps:
            raise ValueError(f"step {self._step} of {self._settings.steps}")
        size, factor = self._schedule.size_at(max(0, self._step - 1)), self._models.vqgan.factor
        shape = (1, self._models.vqgan.latent_channels, size.height // factor, size.width // factor)
        blank = torch.zeros(shape, device=self._models.device)
        self._begin(blank, blank)
        self._latent.restore(data.tensors)
        self._generator.set_state(data.tensors["random"])
        self._plateau = Plateau.read(data.facts["plateau"])
        waiting = [self._read(item) for item in data.facts["waiting"]]
        self._readings.restore(waiting)
        self._last = None if data.facts["last"] is None else self._read(data.facts["last"])
        self.losses = data.tensors["losses"].tolist()
        if len(self.losses) + len(waiting) != self._step:
            raise ValueError(f"{len(self.losses)} losses after {self._step} steps")

    def _read(self, item: Sequence[Any]) -> Reading:
        reading = Reading.read(item)
        if not 0 <= reading.scene < len(self._targets):
            raise ValueError(f"there is no scene {reading.scene}")
        if len(reading.losses) != len(self._targets[reading.scene].labels):
            raise ValueError("a reading has another number of prompts")
        return reading


def _dreamt(request: GenerationRequest, models: Models) -> Tensor:
    """The final latent of a request, dreamt from its start."""
    if request.models != models.name:
        text = "The parent was painted by the models {models}; load those."
        raise InvalidRequest(Message(text, models=repr(request.models)), "models")
    dream = Dream(request, models)
    while not dream.finished:
        dream.step()
    return dream.latent
