"""A film in the making.

Each shot has a picture of its own, painted as any other. A frame begins with that picture as the camera sees it now,
always looked up in the picture itself, so that nothing is resampled twice; a share of the last frame, moved along, is
blended into its latent. A few steps of a dream follow, towards the prompts of this moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generator.errors import InvalidRequest
from generator.filming.folder import FilmFolder
from generator.filming.layers import Layers, layers_of
from generator.filming.warp import shown_of, warped
from generator.films.plan import Moment
from generator.films.prompts import blended_prompt
from generator.images.files import fit, to_array
from generator.images.tensors import to_image
from generator.messages import Message
from generator.models.looks import looking
from generator.models.model_set import Models
from generator.models.wording import look_of_style
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache, graphs_of
from generator.optimisation.schedule import Schedule
from generator.provenance import Provenance
from generator.request import GenerationRequest, Picture, Progress
from generator.runtime.device import device_context
from generator.settings import MAX_SEED, UNMASKED, Size

if TYPE_CHECKING:
    from generator.films.camera import Matrix

_KEPT_SHOTS = 3
_WEIGHT = 0.3


class Film:
    """One film. The folder holds all of its state: a film of the same request in it goes on where it stands."""

    def __init__(
        self,
        request: GenerationRequest,
        models: Models,
        folder: Path,
        parent_latent: Tensor | None = None,
        graphs: GraphCache | None = None,
    ) -> None:
        """Begin or go on.

        Raises:
            InvalidRequest: if the request has no film, these models cannot generate it, or the folder holds another.
        """
        if request.film is None:
            raise InvalidRequest(Message("This request is for a picture, not for a film."), "film")
        self.request, self._plan, self._models = request, request.film, models
        self._parent_latent, self._graphs = parent_latent, graphs_of(models) if graphs is None else graphs
        self._shots = self._plan.shots(max(1, len(request.scenes)))
        self._folder = FilmFolder(folder)
        self._folder.begin(request)
        self._done = len(self._folder.frames())
        self._last = request.stopped_at or self._plan.frames
        self._painting: tuple[int, Dream] | None = None
        self._every = self._plan.between + 1
        self._layers = lru_cache(_KEPT_SHOTS)(self._load_layers)
        if self._plan.source and not self._folder.source(self._plan.frames - 1).exists():
            said = "This film restyles another, which is not at hand; make it anew from that."
            raise InvalidRequest(Message(said), "restyle")
        self._warnings: tuple[str, ...] = ()
        self._progress: Progress | None = None
        self._made_with: Provenance | None = None
        self._frame_s = self._shot_s = 0.0
        self._begun_at = time.perf_counter()
        if not self.finished:
            self._prepare()

    @property
    def finished(self) -> bool:
        """True once all frames are there."""
        return self._done >= self._last

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the requester."""
        return self._warnings

    @property
    def frames(self) -> list[Path]:
        """Files of the frames so far."""
        return self._folder.frames()[: self._last]

    @property
    def progress(self) -> Progress:
        """Current progress; its steps are frames."""
        left = self._last - self._done
        seconds = left * self._frame_s + self._shots_left() * self._shot_s
        newest = self._progress
        return Progress(
            step=self._done,
            steps=self._last,
            loss=0.0 if newest is None else newest.loss,
            similarity=0.0 if newest is None else newest.similarity,
            prompts=() if newest is None else newest.prompts,
            seconds_per_step=self._frame_s,
            seconds_left=seconds,
        )

    def step(self) -> Progress:
        """Make one step of a shot's picture that is not painted yet, else one frame; a finished film does nothing.

        Raises:
            OutOfMemory: if it does not fit.
            GeneratorError: if the disk does not take it.
        """
        if self.finished:
            return self.progress
        if self._painting is not None:
            if not self._step_shot(*self._painting):
                return self.progress
        else:
            began, before = time.perf_counter(), self._done
            with device_context(self._models.device, self.request.settings.exact):
                self._make_frame()
            took = (time.perf_counter() - began) / max(1, self._done - before)
            self._frame_s = took if not self._frame_s else self._frame_s + _WEIGHT * (took - self._frame_s)
        if not self.finished:
            self._prepare()
        return self.progress

    def preview(self) -> Image.Image:
        """The newest frame, or the first shot's picture while that is painted."""
        if self._done:
            return self._folder.read(self._folder.frame(self._done - 1))
        if self._painting is not None:
            return self._painting[1].preview()
        return self._folder.read(self._folder.source(0) if self._plan.source else self._folder.shot(0))

    def snapshot(self) -> bytes:
        """Nothing, since the folder holds all that it needs to go on."""
        return b""

    def picture(self, between: Callable[[], None] = lambda: None) -> Picture:
        """The newest frame as a picture, with the request that makes the film (so far) again.

        `between` is for pictures that an upscaler enlarges, which no frame is.
        """
        while not self._done:
            self.step()
        request = self.request if self.finished else replace(self.request, stopped_at=self._done)
        return Picture(
            image=self.preview(),
            request=request,
            progress=self.progress,
            warnings=self.warnings,
            made_with=self._models.made_with() if self._made_with is None else self._made_with,
        )

    def _moment(self, number: int) -> Moment:
        return self._plan.moment(self._shots, number / self._plan.fps)

    def _needed(self, number: int) -> tuple[int, ...]:
        """Shots that a frame shows."""
        if self._plan.source:
            return ()
        moment = self._moment(number)
        return (moment.shot,) if moment.share == 0 else (moment.shot, moment.following)

    def _next_painted(self) -> int:
        """The next frame to be painted rather than computed from its neighbours."""
        return min(self._plan.frames - 1, -(-self._done // self._every) * self._every)

    def _wanders(self) -> bool:
        """True if frames follow from the last frame alone, so that only the first shot has a picture."""
        return self._plan.carry == 1

    def _shots_left(self) -> int:
        if self._wanders() or self._plan.source:
            return 0 if self._done or self._plan.source else 1
        return sum(not self._folder.shot(number).exists() for number in range(len(self._shots)))

    def _prepare(self) -> None:
        """Begin the picture of a shot that the next frame needs and that is not there yet."""
        self._painting = None
        if self._wanders() and self._done:
            return
        for shot in self._needed(self._next_painted()):
            if not self._folder.shot(shot).exists():
                latent = self._parent_latent if self._continues(shot) else None
                dream = Dream(self._shot_request(shot), self._models, latent, graphs=self._graphs)
                self._painting = shot, dream
                self._begun_at = time.perf_counter()
                self._warnings = tuple(dict.fromkeys((*self._warnings, *dream.warnings)))
                return

    def _step_shot(self, number: int, dream: Dream) -> bool:
        """Make one step of a shot's picture; True if it is finished."""
        self._progress = dream.step()
        if not dream.finished:
            return False
        picture = dream.picture()
        self._made_with = picture.made_with
        self._folder.write(self._folder.shot(number), picture.image)
        took = time.perf_counter() - self._begun_at
        self._shot_s = took if not self._shot_s else self._shot_s + _WEIGHT * (took - self._shot_s)
        return True

    def _continues(self, shot: int) -> bool:
        """True for the shot that begins with the picture that the request names."""
        return self._shots[shot].scene == 0 and self._shots[shot].variant == 0 and not self.request.pictures

    def _shot_request(self, number: int) -> GenerationRequest:
        """The request for the picture of a shot: one scene, and another seed for each shot of a scene."""
        shot, request, settings = self._shots[number], self.request, self.request.settings
        if request.pictures:
            return request.pictures[shot.scene]
        settings = settings.merged(
            {
                "steps": self._plan.picture_steps,
                "seed": (settings.seed + shot.variant) % (MAX_SEED + 1),
                "plateau": 0,
                "upscaler": "none",
            }
        )
        scenes = request.scenes
        request = replace(request, film=None, stopped_at=None, settings=settings)
        if len(scenes) > 1:
            request = replace(request, prompt=blended_prompt(scenes[shot.scene], scenes[shot.scene], 0.0))
        if self._continues(number) or settings.start not in ("init", "parent"):
            return request
        start = "random" if self._models.prior is None or not scenes else "prior"
        settings = settings.merged({"start": start, **UNMASKED})
        return replace(request, init_image=None, mask=None, parent=None, settings=settings)

    def _make_frame(self) -> None:
        """Paint the next frame that is not computed from its neighbours, and compute those before it."""
        number, painted = self._done, self._next_painted()
        target = self._folder.frame(painted)
        if not target.exists():
            self._folder.write(target, self._frame(painted))
        before = (painted - 1) // self._every * self._every
        for between in range(number, painted):
            self._folder.write(self._folder.frame(between), self._between(before, between, painted))
        self._done = min(painted + 1, self._last)

    def _between(self, before: int, number: int, after: int) -> Image.Image:
        """A frame between two painted ones, both moved to its position and blended."""
        size, share = self._size(), (number - before) / (after - before)
        first, second = (warped(self._frame_tensor(other), self._way(other, number), size) for other in (before, after))
        return to_image(first.lerp(second, share).cpu())

    def _load_layers(self, shot: int) -> Layers:
        picture = _tensor(self._folder.read(self._folder.shot(shot)))
        return layers_of(picture, self._shot_request(shot), self._models).to(self._models.device)

    def _frame_tensor(self, number: int) -> Tensor:
        """A painted frame `[1, 3, H, W]` on the device."""
        return _tensor(self._folder.read(self._folder.frame(number))).to(self._models.device)

    def _size(self) -> tuple[int, int]:
        """Height and width of the frames: those of the first shot, which may be smaller if memory was short."""
        if self._plan.source:
            width, height = Schedule(self.request.settings, self._models.vqgan.factor, 1).size
            return height, width
        height, width = self._layers(0).ground.shape[2:]
        return height, width

    def _frame(self, number: int) -> Image.Image:
        """Paint a frame.

        The finer parts of the view that the VQGAN cannot keep are added again, so that a film held to its pictures is
        as sharp as they are.
        """
        moment = self._moment(number)
        view = None
        if self._plan.source:
            view = self._restyled(number)
        elif not (self._wanders() and number):
            view = self._view(moment)
        start, lost = self._start(number, moment, view)
        dream = Dream(self._frame_request(number, moment), self._models, start, graphs=self._graphs)
        while not dream.finished:
            self._progress = dream.step()
        image, (height, width) = dream.picture().image, self._size()
        if image.size != (width, height):  # memory was short
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return image if lost is None else to_image(_tensor(image) + lost.cpu())

    def _restyled(self, number: int) -> Tensor:
        """The source's picture `[1, 3, H, W]` for a frame, in the look that the prompt asks for."""
        height, width = self._size()
        source = fit(self._folder.read(self._folder.source(number)), Size(width, height))
        picture, scenes = _tensor(source), self.request.scenes
        words = " ".join(prompt.text for prompt in scenes[0].prompts if prompt.weight > 0) if scenes else ""
        return looking(picture, look_of_style(words), self.request.settings.seed)

    def _view(self, moment: Moment) -> Tensor:
        """The picture `[1, 3, H, W]` that the camera sees."""
        mine, theirs = (camera.matrix() for camera in moment.cameras)
        back = moment.shot == moment.following and np.allclose(mine, theirs)  # the end of a loop is its beginning
        shots = (moment.shot,) if moment.share == 0 or back else (moment.shot, moment.following)
        views = [
            self._layers(shot).seen_by(camera, self._plan.depth, self._size())
            for shot, camera in zip(shots, moment.cameras, strict=False)
        ]
        if len(views) == 1:
            return views[0].picture()
        same = self._shots[moment.shot].scene == self._shots[moment.following].scene
        return views[0].dissolved(views[1], moment.share, in_turn=same)

    @torch.no_grad()
    def _start(self, number: int, moment: Moment, view: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The latent `[1, C, h, w]` that a frame begins with, and what of the view is lost in it."""
        vqgan, device = self._models.vqgan, self._models.device
        seen = None if view is None else vqgan.encode(view.to(device))
        start, lost = seen, None
        kept = not self._plan.source and self.request.settings.drawer == "vqgan"
        if seen is not None and view is not None and kept:
            lost = view - self._decoded(seen)
        if number and self._plan.carry:
            before = (number - 1) // self._every * self._every
            moved = vqgan.encode(warped(self._frame_tensor(before), self._way(before, number), self._size()))
            if seen is None:
                start = self._closed(moved, moment)
            else:
                # What the last frame does not show would be its mirror image there.
                cells = (seen.shape[2], seen.shape[3])
                shown = shown_of(self._way(before, number), self._size(), cells, device)
                start = seen.lerp(moved, self._plan.carry * shown.to(seen))
        return cast("Tensor", start), lost

    def _closed(self, carried: Tensor, moment: Moment) -> Tensor:
        """The latent of a film that wanders; at the end of a loop it comes to its first picture."""
        if moment.following != 0 or moment.share == 0:
            return carried
        view = self._layers(0).seen_by(moment.cameras[1], self._plan.depth, self._size()).picture()
        return carried.lerp(self._models.vqgan.encode(view), moment.share)

    def _way(self, other: int, number: int) -> Matrix:
        """Matrix from the points of a frame to those of another frame, by a shot that both show."""
        if self._plan.source:
            return np.eye(3)
        theirs, ours = self._moment(other), self._moment(number)
        for shot, camera in zip((ours.shot, ours.following), ours.cameras, strict=True):
            if shot in (theirs.shot, theirs.following):
                old = theirs.cameras[0 if shot == theirs.shot else 1]
                way: Matrix = np.linalg.inv(old.matrix()) @ camera.matrix()
                return way
        return np.eye(3)

    def _frame_request(self, number: int, moment: Moment) -> GenerationRequest:
        request, scenes = self.request, self.request.scenes
        prompt = ""
        if scenes:
            first, second = (scenes[self._shots[shot].scene] for shot in (moment.shot, moment.following))
            others = 1 + self._plan.pulse_weight * self._plan.beat(number)
            prompt = blended_prompt(first, second, moment.share, others)
        height, width = self._size()
        changes = {"steps": self._plan.frame_steps, "start": "parent", "composition": "fixed", "coarse": 0.0}
        changes |= {"plateau": 0, "variation": 0.0, "upscaler": "none", "size": f"{width}x{height}", **UNMASKED}
        settings = request.settings.merged(changes)
        before = replace(
            request,
            film=None,
            pictures=(),
            stopped_at=None,
            parent=None,
            init_image=None,
            mask=None,
            # Frames begin with latents of the VQGAN, whatever draws them.
            settings=settings.merged({"start": "random", "drawer": "vqgan"}),
        )
        return replace(before, prompt=prompt, parent=before, settings=settings)

    def _decoded(self, latent: Tensor) -> Tensor:
        vqgan = self._models.vqgan
        return vqgan.decode(vqgan.quantise(latent)[0], self.request.settings.tiled).clamp(0, 1)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(to_array(image))[None]
