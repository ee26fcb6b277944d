"""The canvas: models, the current dream and its timelapse, without any widget. Kernel's main thread only.

A dream belongs to one thread, so its steps run on the kernel's event loop and yield after each step; a press of Stop is
handled then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator import (
    Dream,
    GenerationRequest,
    InvalidRequest,
    Models,
    Progress,
    Recipe,
    Timelapse,
    UpscalerSource,
    encode,
    recipe_to_json,
    write_file,
)
from notebooks.sheets import code_map, contact_sheet, loss_curve

TIMELAPSE_SIDE_PX = 256
_TITLE_CHARACTERS = 32

Watch = Callable[[Progress], None]
"""Called after each step."""
Show = Callable[[Image.Image], None]
"""Called with the contact sheet after each picture added to it."""


class Canvas:
    """Generates requests with its models, one at a time.

    Attributes:
        models: the loaded models.
        dream: the current dream; None before the first.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self.dream: Dream | None = None
        self._timelapse = Timelapse(max_side_px=TIMELAPSE_SIDE_PX)
        self._stopping = False

    def take(self, upscaler: str) -> None:
        """Load an upscaler by name or file, unless it is loaded already; `none` is none.

        Raises:
            InvalidRequest: if there is none.
            CheckpointError: if its file is missing or holds another network.
        """
        if upscaler != "none" and UpscalerSource.name_of(upscaler) != self.models.upscaler_name:
            loaded = UpscalerSource.of(upscaler).load(self.models.device)
            self.models = replace(self.models, upscaler=loaded)

    def begin(self, request: GenerationRequest) -> None:
        """Begin a new dream; `go_on` runs it.

        Raises:
            InvalidRequest: if these models do not support the request.
            OutOfMemory: if it does not fit.
        """
        self.dream, self._timelapse = Dream(request, self.models), Timelapse(max_side_px=TIMELAPSE_SIDE_PX)

    async def go_on(self, watch: Watch) -> bool:
        """Run until it is finished or `stop` was called; True if it is finished.

        Raises:
            InvalidRequest: if nothing was begun.
            OutOfMemory: if it does not fit.
        """
        dream, self._stopping = self._at_hand(), False
        while not dream.finished and not self._stopping:
            progress = dream.step()
            self._timelapse.add(dream.preview())
            watch(progress)
            await asyncio.sleep(0)
        return dream.finished

    def stop(self) -> None:
        """Let `go_on` end after the current step; another `go_on` resumes the dream."""
        self._stopping = True

    async def compare(
        self,
        request: GenerationRequest,
        across: tuple[str, Sequence[object]],
        down: tuple[str, Sequence[object]] | None,
        watch: Watch,
        show: Show,
    ) -> Image.Image:
        """Generate a contact sheet of the request with each value of one setting, or each pair of values of two.

        After `stop` it holds the pictures finished so far.

        Raises:
            InvalidRequest: for an unknown setting or value, before anything is generated.
            OutOfMemory: if a picture does not fit.
        """
        rows = _requests(request, across, down)
        pictures: list[list[Image.Image | None]] = [[None] * len(row) for row in rows]
        above, left = ([_words(name, value) for value in values] for name, values in (across, down or ("", ())))
        sheet = contact_sheet(pictures, above, left)
        for row, requests in enumerate(rows):
            for column, wanted in enumerate(requests):
                self.begin(wanted)
                if not await self.go_on(watch):
                    return sheet
                pictures[row][column] = self._at_hand().picture().image
                sheet = contact_sheet(pictures, above, left)
                show(sheet)
        return sheet

    def codes(self) -> NDArray[np.int64]:
        """Return the numbers `[h, w]` of the current picture's codes.

        Raises:
            InvalidRequest: if nothing was begun.
        """
        return np.asarray(self.models.vqgan.quantise(self._at_hand().latent)[1][0].cpu())

    def curve(self) -> Image.Image:
        """Draw the loss so far.

        Raises:
            InvalidRequest: if nothing was begun.
        """
        dream = self._at_hand()
        return loss_curve(dream.losses, dream.request.settings.steps)

    def overview(self) -> Image.Image:
        """Draw the current picture, its loss and its codes side by side.

        Raises:
            InvalidRequest: if nothing was begun.
        """
        dream, codes = self._at_hand(), self.codes()
        used = f"{len(np.unique(codes))} of {len(self.models.vqgan.codebook)} codes"
        row = [dream.preview(), self.curve(), code_map(codes)]
        return contact_sheet([row], [dream.request.prompt[:_TITLE_CHARACTERS], "loss", used], side_px=256)

    def timelapse(self) -> bytes:
        """Encode the timelapse of the current picture as an animated WebP that carries its recipe.

        Raises:
            InvalidRequest: if nothing was begun.
        """
        return self._timelapse.encode("webp", self._recipe())

    def save(self, folder: Path) -> Path:
        """Save the current picture with its recipe, and its timelapse next to it; return the picture's path.

        Raises:
            InvalidRequest: if nothing was begun.
            OSError: if the folder cannot be written to.
        """
        dream = self._at_hand()
        letters = "".join(char if char.isalnum() else " " for char in dream.request.prompt[:_TITLE_CHARACTERS])
        path = folder / f"{'-'.join(letters.split()) or 'picture'}-{dream.request.settings.seed}.png"
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, encode(dream.picture().image, "png", self._recipe()))
        write_file(path.with_suffix(".webp"), self.timelapse())
        return path

    def _recipe(self) -> str:
        picture = self._at_hand().picture()
        return recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))

    def _at_hand(self) -> Dream:
        if self.dream is None:
            raise InvalidRequest("There is no picture yet; paint one first.")
        return self.dream


def _requests(
    request: GenerationRequest, across: tuple[str, Sequence[object]], down: tuple[str, Sequence[object]] | None
) -> list[list[GenerationRequest]]:
    """Build a request for each cell of the sheet."""
    if not across[1] or (down is not None and not down[1]):
        raise InvalidRequest("There is nothing to compare; give each setting at least one value.")
    below: list[dict[str, object]] = [{}] if down is None else [{down[0]: value} for value in down[1]]
    return [
        [replace(request, settings=request.settings.merged({**row, across[0]: value})) for value in across[1]]
        for row in below
    ]


def _words(name: str, value: object) -> str:
    return f"{name.replace('_', ' ')} {value}"
