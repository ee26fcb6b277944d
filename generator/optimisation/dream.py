"""The dream: a latent that is optimised until its picture matches the prompts.

Only the worker thread may touch a `Dream`. The loop is that of Crowson et al., "VQGAN-CLIP", arXiv 2204.08583: decode,
cut, augment, embed, loss, update.

All randomness comes from one generator, seeded by `settings.seed`. On a CPU the same request gives the same bytes, and
so does a resumed dream, whatever the number of steps in between; on a GPU this needs the setting `exact`. It holds for
the same build of torch on the same kind of processor with the same number of threads: another number splits sums
elsewhere, and rounding differs in the last bit.

Each step decodes the latent itself, and `preview` shows that very image. With a moving average (`ema`) the picture is
decoded from the average, once, on request: guiding by the average instead would delay the response to each change, and
previewing the average would cost a second decode each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from generator.errors import CheckpointError, GeneratorError, InvalidRequest
from generator.images.palette import palette_of
from generator.images.tensors import to_image
from generator.messages import Message
from generator.models.model_set import Models
from generator.notation.palette import NONE, OF_PICTURE
from generator.optimisation.graph import CapturedStep, GraphCache, graphs_of
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.latent import Latent
from generator.optimisation.loss_scale import LossScale
from generator.optimisation.losses.goals import goals_of
from generator.optimisation.memory.plan import MemoryPlan
from generator.optimisation.progress import ProgressTracker
from generator.optimisation.request_warnings import check_request, check_upscaler, request_warnings
from generator.optimisation.schedule import Schedule
from generator.optimisation.snapshot import Snapshot, damaged, pack, unpack
from generator.optimisation.starts.canvas import canvas_of
from generator.optimisation.starts.init import at_size, next_scene, start_latent
from generator.optimisation.step import Step, StepResult, StepState, StepValues
from generator.optimisation.targets import Targets, targets_of
from generator.provenance import Provenance
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest, Picture, Progress
from generator.runtime.device import device_context, on_its_device, release_unused, run_or_oom
from generator.runtime.precision import Precision
from generator.settings import Size

_FIRST_WEIGHT = StepValues._fields.index("init_weight")
_RESAMPLING = Image.Resampling.BICUBIC


class Dream:
    """One optimisation. `request` is the request in effect, at a smaller size than asked for if memory is short."""

    def __init__(
        self,
        request: GenerationRequest,
        models: Models,
        parent_latent: Tensor | None = None,
        cutouts_at_once: int | None = None,
        graphs: GraphCache | None = None,
    ) -> None:
        """Prepare the first step. A parent whose latent `[1, C, h, w]` is not given is generated here, from its start.

        At most `cutouts_at_once` are evaluated together; if None, as many as fit into memory. Captured steps come from
        `graphs`, by default those of the models.

        Raises:
            InvalidRequest: if these models cannot generate this.
            OutOfMemory: if it does not fit even at a smaller size.
        """
        request = _with_colours(request)
        self.request, self._models, self._parent_latent = request, models, parent_latent
        self._graphs = graphs_of(models) if graphs is None else graphs
        check_request(request, models, with_parents=parent_latent is None)
        with device_context(models.device, exact=False):
            self._plan = MemoryPlan.planned(request.settings, models, self._graphs, cutouts_at_once)
        self._start(request)

    def _start(self, request: GenerationRequest) -> None:
        """Start or restart, at a smaller size if memory runs out."""
        while not run_or_oom(self._models.device, self._exact, lambda: self._start_at(self._plan.fitted(request))):
            self._plan.shrink()

    def _start_at(self, request: GenerationRequest) -> None:
        self._plan.claim(self._models, 1)
        self._prepare(request)
        if request.parent is not None and self._parent_latent is None:
            self._parent_latent = _generated(request.parent, self._models, self._plan.group)
        size = self._schedule.size_at(0)
        generator = self._new_generator()
        self._canvas = canvas_of(request, self._models, size)
        start = start_latent(
            request, self._models, size, self._targets[0], self._parent_latent, generator, self._scenes, self._canvas
        )
        self._begin(start, start, generator, LossScale(self._models.precision, self._models.device))

    def _prepare(self, request: GenerationRequest) -> None:
        """Derive everything from the request that needs no start."""
        models = self._models
        self.request, self._settings = request, request.settings
        with device_context(models.device, self._exact):
            self._scenes = models.read(request).scenes
            self._targets = targets_of(request, models.perceptors, self._scenes)
        self._drawer = models.drawer(self._settings)
        self._schedule = Schedule(self._settings, self._drawer.factor, len(self._targets))
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
        """Warnings for the requester."""
        return (*self._foreseen, *self._plan.remarks)

    def _new_generator(self) -> torch.Generator:
        return torch.Generator(self._models.device).manual_seed(self._settings.seed)

    def _begin(self, start: Tensor, anchor: Tensor, generator: torch.Generator, scale: LossScale) -> None:
        goals = goals_of(self.request, self._models, self._size_of(start))
        start, anchor = (goals.bordered(value) for value in (start, anchor))
        latent = Latent(start, anchor, self._drawer.codebook, self._settings)
        self._state = StepState(latent, generator, scale, self._targets[0], self._canvas, goals)

    def _size_of(self, latent: Tensor) -> Size:
        """Size of a latent's picture: the full size, or half of it in coarse steps."""
        full = self._schedule.size
        is_full = latent.shape[2:] == self._drawer.grid(full.height, full.width)
        return full if is_full else self._schedule.size_at(0)

    @property
    def _latent(self) -> Latent:
        return self._state.latent

    @property
    def finished(self) -> bool:
        """True once all steps are made, the dream was stopped, or it reached its plateau."""
        return self._tracker.finished

    @property
    def progress(self) -> Progress:
        """Current progress; before the first step it has no losses (0)."""
        return self._tracker.progress

    @property
    def losses(self) -> list[float]:
        """Loss of each step so far; on a GPU the last few are still in transit."""
        return self._tracker.losses

    @property
    def latent(self) -> Tensor:
        """The latent `[1, C, h, w]` that the picture is decoded from, at full size, for follow-up requests."""
        with device_context(self._models.device, self._exact):
            return at_size(self._drawer, self._latent.average, self._schedule.size).clone()

    @on_its_device
    def step(self) -> Progress:
        """Run one optimisation step; a finished dream does nothing.

        Raises:
            OutOfMemory: if it does not fit.
            GeneratorError: if the loss is no longer a number.
        """
        if self.finished:
            return self.progress
        started = time.perf_counter()
        random_state = self._state.generator.get_state()
        while not run_or_oom(self._models.device, self._exact, self._run_step):
            self._leave_graph()
            self._state.generator.set_state(random_state)
            if self._graphs.clear():
                release_unused(self._models.device)
            elif not self._plan.narrow():
                self._plan.shrink()
                self._start(self.request)
                random_state = self._state.generator.get_state()
        self._ended_here = None
        if not self._tracker.advance(time.perf_counter() - started):
            self._leave_half_precision()
        elif self._state.scale.look(self._tracker.step):
            self._leave_graph()  # captured with the old scale
        if self._tracker.finished:
            self._leave_graph(keep=True)
        return self.progress

    def _run_step(self) -> None:
        """Run one step (`generator.optimisation.step`) with its scheduled values."""
        self._plan.claim(self._models, self._plan.group)
        self._leave_coarse_steps()
        self._change_scene()
        number = self._tracker.step
        schedule = self._schedule
        weights = {name: schedule.value(name, number) for name in StepValues._fields[_FIRST_WEIGHT:]}
        values = StepValues(
            schedule.learning_rate(number), schedule.pull(number), schedule.overviews(number), **weights
        )
        result = self._run(self._targets[self._schedule.scene(number)], values)
        self._latent.count_update()
        self._tracker.measure(result.metrics)
        # Another captured step may use the memory of this one's picture.
        self._image = result.image if self._captured is None else result.image.clone()

    def _run(self, targets: Targets, values: StepValues) -> StepResult:
        """Run the step: captured where possible, otherwise directly."""
        if self._schedule.cutouts_change:  # each number would be captured anew
            self._state.targets = self._scene = targets
            self._weigh(targets)
            settings = self._settings.merged({"cutouts": self._schedule.cutouts(self._tracker.step)})
            guidance = ClipGuidance(self._models.perceptors, settings, self._exact)
            return Step(self._drawer, guidance, settings, self._plan.group)(self._state, values)
        captured = self._captured
        if captured is not None and len(targets.weights) != len(self._scene.weights):
            self._leave_graph(keep=True)
            captured = None
        if captured is None:
            self._state.targets = self._scene = targets
            step = Step(self._drawer, self._guidance, self._settings, self._plan.group)
            captured = self._captured = self._graphs.take(step, self._state)
            if captured is None:
                self._weigh(targets)
                return step(self._state, values)
            self._state = captured.state
        if targets is not self._scene:
            self._state.targets.load(targets)
            self._scene = targets
        self._weigh(targets)
        return captured(values)

    def _weigh(self, targets: Targets) -> None:
        """Set the weights of prompts that change during the dream."""
        if targets.changing:
            shares = targets.shares_at(self._tracker.step, self._settings.steps)
            self._state.targets.shares.copy_(torch.tensor(shares))

    def _leave_graph(self, keep: bool = False) -> None:
        """Continue with a private state; with `keep`, leave the captured step to the next dream of its kind."""
        if self._captured is None:
            return
        self._state = replace(self._state.copy(), targets=self._scene)
        if keep:
            self._graphs.release(self._captured)
        self._captured = None

    def _leave_coarse_steps(self) -> None:
        """After the coarse steps: decode, resize, encode, and continue with a fresh optimiser."""
        if self._tracker.step != self._schedule.coarse_steps or self._tracker.step == 0:
            return
        self._leave_graph(keep=True)
        drawer, size = self._drawer, self._schedule.size
        start = at_size(drawer, self._latent.average, size)
        if self._canvas is not None and (canvas := canvas_of(self.request, self._models, size)) is not None:
            self._canvas = canvas
            start = drawer.encode(canvas.over(drawer.decode(drawer.settle(start)).clamp(0, 1)))
        anchor = start
        if self._settings.init_weight and self._canvas is None:
            anchor = at_size(drawer, self._latent.anchor, size)
        self._begin(start, anchor, self._state.generator, self._state.scale)

    def _change_scene(self) -> None:
        """At a scene of its own, a posed composition is painted anew; other dreams go on from where they are."""
        number = self._tracker.step
        scene = self._schedule.scene(number)
        if number == 0 or scene == self._schedule.scene(number - 1):
            return
        latent, generator = self._latent.average, self._state.generator
        start = next_scene(
            self.request,
            self._models,
            scene,
            latent,
            self._schedule.size_at(number),
            self._targets[scene],
            generator,
            self._canvas,
        )
        if start is not None:
            self._leave_graph(keep=True)
            self._begin(start, start, self._state.generator, self._state.scale)

    def _leave_half_precision(self) -> None:
        """Handle a loss that is not finite: if half precision may be the cause, restart without it."""
        if self._models.precision is Precision.FP32:
            raise GeneratorError(Message("The loss is no number any more; choose a lower learning rate."))
        self._captured = None
        self._models = self._models.in_precision(Precision.FP32)
        self._graphs = graphs_of(self._models)
        self._plan.widened = True
        self._start(self.request)

    @on_its_device
    def preview(self) -> Image.Image:
        """Current picture at full size: the image the last step decoded, or the finished picture."""
        if self.finished or self._image is None:
            return self._decoded()
        image = to_image(self._image)
        return image if image.size == self._schedule.size else image.resize(self._schedule.size, _RESAMPLING)

    @on_its_device
    def picture(self, between: Callable[[], None] = lambda: None) -> Picture:
        """The picture, with a request that reproduces it; before the end, the current picture.

        Before the first step there is no picture, so one step is made. Only here an upscaler enlarges the picture, part
        by part; `between` is called after each.
        """
        if self._tracker.step == 0:
            self.step()
        request = self.request if self.finished else replace(self.request, stopped_at=self._tracker.step)
        facts = self.progress, self.warnings, self.made_with
        image, upscaler = self._decoded(), self._models.upscaler
        if self._settings.upscaler != NONE and upscaler is not None:
            image = upscaler.enlarge(image, self._settings.tiled, self._exact, between)
        return Picture(image=image, request=request, progress=facts[0], warnings=facts[1], made_with=facts[2])

    @property
    def made_with(self) -> Provenance:
        """Provenance of this picture."""
        group = self._plan.group
        at_once = 0 if group >= self._settings.cutouts else group
        return self._models.made_with(at_once, upscaled=self._settings.upscaler != NONE)

    @torch.no_grad()
    def _decoded(self) -> Image.Image:
        """The picture as it would be if the dream ended here; decoded once and cached."""
        if self._ended_here is None:
            with device_context(self._models.device, self._exact):
                drawer = self._drawer
                image = drawer.decode(drawer.settle(self.latent), self._settings.tiled)
                canvas = self._canvas
                if canvas is not None and canvas.base.shape != image.shape:  # in a coarse step
                    canvas = canvas_of(self.request, self._models, self._schedule.size)
                self._ended_here = to_image(image if canvas is None else canvas.over(image))
        return self._ended_here.copy()

    @on_its_device
    def snapshot(self) -> bytes:
        """Everything `resume` needs to continue as if uninterrupted."""
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
    def resume(
        cls,
        snapshot: bytes,
        models: Models,
        graphs: GraphCache | None = None,
        request: GenerationRequest | None = None,
    ) -> Dream:
        """Restore the dream that produced the snapshot; `graphs` as for a new one.

        `request` has the same steps; it may differ in its upscaler, in its early end, and, if memory was short, in its
        size.

        Raises:
            CheckpointError: if it is damaged, or was made by other models, on another kind of device, or is not of
                `request`.
            InvalidRequest: if its upscaler is not here.
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
            if request is not None:
                dream.request = _taken_over(dream.request, request, int(data.facts["step"]))
            dream._graphs = graphs_of(models) if graphs is None else graphs
            dream._prepare(dream.request)
            dream._restore(data)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, InvalidRequest) as exc:
            raise damaged(exc) from exc
        check_upscaler(dream.request, models.upscaler_name)
        return dream

    def _restore(self, data: Snapshot) -> None:
        self._plan = MemoryPlan(self._schedule)
        generator, scale = self._new_generator(), LossScale(self._models.precision, self._models.device)
        if "fitting" in data.facts:  # snapshots of older versions lack these
            self._plan.restore(data.facts["fitting"])
            scale.restore(data.facts["scale"])
        self._tracker.restore(data.facts, data.tensors["losses"].tolist())
        size = self._schedule.size_at(max(0, self._tracker.step - 1))
        self._canvas = canvas_of(self.request, self._models, size)
        shape = (1, self._drawer.latent_channels, *self._drawer.grid(size.height, size.width))
        blank = torch.zeros(shape, device=self._models.device)
        generator.set_state(data.tensors["random"])
        self._begin(blank, blank, generator, scale)
        self._latent.restore(data.tensors)


def _taken_over(before: GenerationRequest, now: GenerationRequest, step: int) -> GenerationRequest:
    """The request `now`, at the size of a dream of the request `before` that has made so many steps.

    Raises:
        CheckpointError: if that dream is another picture's.
    """
    ending = {"size": now.settings.size, "upscaler": now.settings.upscaler}
    alike = replace(before, settings=before.settings.merged(ending), stopped_at=now.stopped_at) == now
    if not alike or step > (now.stopped_at or step):
        raise CheckpointError("This snapshot is of another picture.")
    return replace(now, settings=now.settings.merged({"size": before.settings.size}))


def _with_colours(request: GenerationRequest) -> GenerationRequest:
    """Put the colours of a picture in place of `palette: picture`, so that the recipe names them."""
    if request.settings.palette != OF_PICTURE or request.coloured_by is None:
        return request
    found = {"palette": palette_of(request.coloured_by)}
    return replace(request, settings=request.settings.merged(found))


def _generated(request: GenerationRequest, models: Models, cutouts_at_once: int) -> Tensor:
    """Final latent of a request, generated from its start."""
    dream = Dream(request, models, cutouts_at_once=cutouts_at_once)
    while not dream.finished:
        dream.step()
    return dream.latent
