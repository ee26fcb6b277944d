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

import time
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from generator.errors import CheckpointError, GeneratorError, InvalidRequest
from generator.images.tensors import to_image
from generator.messages import Message
from generator.models.model_set import Models
from generator.optimisation.graph import CapturedStep, GraphCache, graphs_of
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.init import at_size, start_latent
from generator.optimisation.latent import Latent
from generator.optimisation.loss_scale import LossScale
from generator.optimisation.memory_plan import MemoryPlan
from generator.optimisation.progress import ProgressTracker
from generator.optimisation.request_warnings import request_warnings
from generator.optimisation.schedule import Schedule
from generator.optimisation.snapshot import Snapshot, damaged, pack, unpack
from generator.optimisation.step import Step, StepResult, StepState, StepValues
from generator.optimisation.targets import Targets, targets_of
from generator.provenance import Provenance
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest, Picture, Progress
from generator.runtime.device import device_context, release_unused, run_or_oom
from generator.runtime.precision import Precision

_RESAMPLING = Image.Resampling.BICUBIC


class Dream:
    """One picture in the making. `request` is what is dreamt, at a smaller size than asked for if memory is short."""

    def __init__(
        self,
        request: GenerationRequest,
        models: Models,
        parent_latent: Tensor | None = None,
        cutouts_at_once: int | None = None,
        graphs: GraphCache | None = None,
    ) -> None:
        """Prepare the first step. A parent whose latent `[1, C, h, w]` is not given is dreamt here, from its start.

        At most `cutouts_at_once` are judged together; where that is None, as many as fit into memory. Captured steps
        come from `graphs`, by default those of the models.

        Raises:
            InvalidRequest: if these models cannot dream this.
            OutOfMemory: if it does not fit, not even smaller.
        """
        self.request, self._models, self._parent_latent = request, models, parent_latent
        self._graphs = graphs_of(models) if graphs is None else graphs
        self._plan = MemoryPlan.planned(request.settings, models, self._graphs, cutouts_at_once)
        self._start(request)

    def _start(self, request: GenerationRequest) -> None:
        """Begin, or begin anew; at a smaller size where memory runs out."""
        while not run_or_oom(self._models.device, self._exact, lambda: self._start_at(self._plan.fitted(request))):
            self._plan.shrink()

    def _start_at(self, request: GenerationRequest) -> None:
        self._plan.claim(self._models, 1)
        self._prepare(request)
        if request.parent is not None and self._parent_latent is None:
            self._parent_latent = _generated(request.parent, self._models, self._plan.group)
        size = self._schedule.size_at(0)
        generator = self._new_generator()
        start = start_latent(request, self._models, size, self._targets[0], self._parent_latent, generator)
        self._begin(start, start, generator, LossScale(self._models.precision, self._models.device))

    def _prepare(self, request: GenerationRequest) -> None:
        """All that follows from the request and needs no start."""
        models = self._models
        self.request, self._settings = request, request.settings
        with device_context(models.device, self._exact):
            self._targets = targets_of(request, models.perceptors)
        self._schedule = Schedule(self._settings, models.vqgan.factor, len(self._targets))
        self._foreseen = request_warnings(request, models)
        self._guidance = ClipGuidance(models.perceptors, self._settings, self._exact)
        self._tracker = ProgressTracker(self._schedule, self._targets, request.stopped_at, models.device)
        self._captured: CapturedStep | None = None
        self._scene = self._targets[0]
        self._image: Tensor | None = None
        self._ended_here: Image.Image | None = None

    @property
    def _exact(self) -> bool:
        return self.request.settings.exact and self._models.device.type == "cuda"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the person who asked."""
        return (*self._foreseen, *self._plan.remarks)

    def _new_generator(self) -> torch.Generator:
        return torch.Generator(self._models.device).manual_seed(self._settings.seed)

    def _begin(self, start: Tensor, anchor: Tensor, generator: torch.Generator, scale: LossScale) -> None:
        latent = Latent(start, anchor, self._models.vqgan.codebook, self._settings)
        self._state = StepState(latent, generator, scale, self._targets[0])

    @property
    def _latent(self) -> Latent:
        return self._state.latent

    @property
    def finished(self) -> bool:
        """Whether all steps are made, or the dream was stopped, or it came to its plateau."""
        return self._tracker.finished

    @property
    def progress(self) -> Progress:
        """Where the dream stands; before the first step without losses (0)."""
        return self._tracker.progress

    @property
    def losses(self) -> list[float]:
        """The loss of each step so far; on a GPU the last few are still on their way."""
        return self._tracker.losses

    @property
    def latent(self) -> Tensor:
        """The latent `[1, C, h, w]` that the picture is decoded from, at full size, for dreams that go on from it."""
        with device_context(self._models.device, self._exact):
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
        chance = self._state.generator.get_state()
        while not run_or_oom(self._models.device, self._exact, self._improve):
            self._leave_graph()
            self._state.generator.set_state(chance)
            if self._graphs.clear():
                release_unused(self._models.device)
            elif not self._plan.narrow():
                self._plan.shrink()
                self._start(self.request)
                chance = self._state.generator.get_state()
        self._ended_here = None
        if not self._tracker.advance(time.perf_counter() - started):
            self._go_full()
        elif self._state.scale.look(self._tracker.step):
            self._leave_graph()  # it was captured with the former scale
        if self._tracker.finished:
            self._leave_graph(keep=True)
        return self.progress

    def _improve(self) -> None:
        """One step (`generator.optimisation.step`), with the values that the schedule has for it."""
        self._plan.claim(self._models, self._plan.group)
        self._go_fine()
        number = self._tracker.step
        values = StepValues(
            self._schedule.learning_rate(number), self._schedule.pull(number), self._schedule.overviews(number)
        )
        result = self._run(self._targets[self._schedule.scene(number)], values)
        self._latent.count_update()
        self._tracker.measure(result.metrics)
        self._image = result.image

    def _run(self, targets: Targets, values: StepValues) -> StepResult:
        """Run the step: captured where that can be had, else as it is."""
        captured = self._captured
        if captured is not None and len(targets.weights) != len(self._scene.weights):
            self._leave_graph(keep=True)
            captured = None
        if captured is None:
            self._state.targets = self._scene = targets
            step = Step(self._models.vqgan, self._guidance, self._settings, self._plan.group)
            captured = self._captured = self._graphs.take(step, self._state)
            if captured is None:
                return step(self._state, values)
            self._state = captured.state
        if targets is not self._scene:
            self._state.targets.load(targets)
            self._scene = targets
        return captured(values)

    def _leave_graph(self, keep: bool = False) -> None:
        """Go on with a state of one's own; with `keep` the captured step is there for the next dream of its kind."""
        if self._captured is None:
            return
        self._state = replace(self._state.copy(), targets=self._scene)
        self._image = None if self._image is None else self._image.clone()
        if keep:
            self._graphs.give_back(self._captured)
        self._captured = None

    def _go_fine(self) -> None:
        """After the coarse steps: decode, resize, encode, and go on with a fresh optimiser."""
        if self._tracker.step != self._schedule.coarse_steps or self._tracker.step == 0:
            return
        self._leave_graph(keep=True)
        vqgan, size = self._models.vqgan, self._schedule.size
        start = at_size(vqgan, self._latent.average, size)
        anchor = at_size(vqgan, self._latent.anchor, size) if self._settings.init_weight else start
        self._begin(start, anchor, self._state.generator, self._state.scale)

    def _go_full(self) -> None:
        """The numbers ran away: where half precision may be the reason, begin anew without it."""
        if self._models.precision is Precision.FP32:
            raise GeneratorError(Message("The loss is no number any more; choose a lower learning rate."))
        self._captured = None
        self._models = self._models.in_precision(Precision.FP32)
        self._graphs = graphs_of(self._models)
        self._plan.widened = True
        self._start(self.request)

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
        if self._tracker.step == 0:
            self.step()
        request = self.request if self.finished else replace(self.request, stopped_at=self._tracker.step)
        facts = self.progress, self.warnings, self.made_with
        return Picture(image=self._decoded(), request=request, progress=facts[0], warnings=facts[1], made_with=facts[2])

    @property
    def made_with(self) -> Provenance:
        """By what this picture is made."""
        group = self._plan.group
        return self._models.made_with(0 if group >= self._settings.cutouts else group)

    @torch.no_grad()
    def _decoded(self) -> Image.Image:
        """The picture as it would be if the dream ended here; decoded once, however often it is asked for."""
        if self._ended_here is None:
            with device_context(self._models.device, self._exact):
                self._ended_here = to_image(self._models.vqgan.decode(self._models.vqgan.quantise(self.latent)[0]))
        return self._ended_here.copy()

    def snapshot(self) -> bytes:
        """All that `resume` needs to go on as if nothing had happened."""
        facts = self._tracker.facts() | {
            "device": self._models.device.type,
            "models": self._models.fingerprint,
            "fitting": self._plan.state(),
            "scale": self._state.scale.state(),
        }
        losses = torch.tensor(self.losses, dtype=torch.float64)
        tensors = self._latent.tensors() | {"random": self._state.generator.get_state(), "losses": losses}
        return pack(Snapshot(request_to_json(self.request), facts, tensors))

    @classmethod
    def resume(cls, snapshot: bytes, models: Models, graphs: GraphCache | None = None) -> Dream:
        """The dream that gave the snapshot, as it was; `graphs` as for a new one.

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
            if data.facts.get("fitting", {}).get("widened"):
                models = models.in_precision(Precision.FP32)
            dream.request, dream._models, dream._parent_latent = request_from_json(data.recipe), models, None
            dream._graphs = graphs_of(models) if graphs is None else graphs
            dream._prepare(dream.request)
            dream._restore(data)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, InvalidRequest) as exc:
            raise damaged(exc) from exc
        return dream

    def _restore(self, data: Snapshot) -> None:
        self._plan = MemoryPlan(self._schedule)
        generator, scale = self._new_generator(), LossScale(self._models.precision, self._models.device)
        if "fitting" in data.facts:  # snapshots of older versions lack these
            self._plan.restore(data.facts["fitting"])
            scale.restore(data.facts["scale"])
        self._tracker.restore(data.facts, data.tensors["losses"].tolist())
        size, factor = self._schedule.size_at(max(0, self._tracker.step - 1)), self._models.vqgan.factor
        shape = (1, self._models.vqgan.latent_channels, size.height // factor, size.width // factor)
        blank = torch.zeros(shape, device=self._models.device)
        generator.set_state(data.tensors["random"])
        self._begin(blank, blank, generator, scale)
        self._latent.restore(data.tensors)


def _generated(request: GenerationRequest, models: Models, cutouts_at_once: int) -> Tensor:
    """The final latent of a request, dreamt from its start."""
    if request.models != models.name:
        text = "The parent was painted by the models {models}; load those."
        raise InvalidRequest(Message(text, models=repr(request.models)), "models")
    dream = Dream(request, models, cutouts_at_once=cutouts_at_once)
    while not dream.finished:
        dream.step()
    return dream.latent
