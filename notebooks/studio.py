"""The studio: the form, the buttons, and live views of the picture, its loss and its codes. Kernel's main thread.

Jupyter and Colab handle buttons only while no cell is running. So a button starts a task and returns, and another
button can follow, while `await studio.paint()` in a cell runs to its end.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]  # ships no types
from PIL import Image

from generator import GeneratorError, Progress, Settings, load_models, read_setting
from notebooks.canvas import Canvas
from notebooks.form import Form
from notebooks.sheets import code_map, jpeg, timelapse_tag

_NOTHING = "–"
_BUSY = "Something is being painted; stop it first."
_WIDE = widgets.Layout(width="24em")


class Studio:
    """Generates the form's request, and shows it.

    Attributes:
        form: the controls of the request.
        canvas: the models and the current dream.
        view: everything, to be displayed.

    Raises:
        CheckpointError: if the models cannot be loaded.
    """

    def __init__(self, models: str = "starter", device: str = "auto") -> None:
        self.form = Form(models, device)
        self.canvas = Canvas(load_models(models, device))
        self.form.suggest(self.canvas.models.defaults, self.canvas.models.starts)
        self._task: asyncio.Task[None] | None = None
        self.words = widgets.HTML()
        self.picture, self.curve, self.codes, self.sheet = (widgets.Image(format="jpeg") for _ in range(4))
        self.timelapse = widgets.HTML()
        self.buttons = {name: widgets.Button(description=name) for name in ("Paint", "Stop", "Go on", "Save")}
        self.across, self.across_values = _sweep("across", "learning_rate", "0.01, 0.03, 0.1")
        self.down, self.down_values = _sweep("down", _NOTHING, "")
        self.buttons["Compare"] = widgets.Button(description="Compare")
        self._connect()
        self.view = self._laid_out()

    async def paint(self) -> None:
        """Begin the form's request, and run until it is finished or stopped.

        Raises:
            GeneratorError: if it cannot be generated; a sentence says why.
        """
        self.timelapse.value = ""
        request = self.form.request()
        self.canvas.take(self.form.upscaler)
        self.canvas.begin(request)
        await self.go_on()

    async def go_on(self) -> None:
        """Resume a stopped dream.

        Raises:
            GeneratorError: if it cannot be generated; a sentence says why.
        """
        finished = await self.canvas.go_on(self._watch)
        dream = self.canvas.dream
        if dream is not None:
            self.picture.value = jpeg(dream.picture().image)
            self.timelapse.value = timelapse_tag(self.canvas.timelapse(), "how it grew")
            self._say("Finished." if finished else f"Stopped after step {dream.progress.step}.", *dream.warnings)

    def stop(self) -> None:
        """Stop after the current step."""
        self.canvas.stop()

    async def compare(
        self, across: str, values: Sequence[object], down: str | None = None, more: Sequence[object] = ()
    ) -> Image.Image:
        """Generate a contact sheet of the form's request with each value of one setting, or each pair of values of two.

        Raises:
            GeneratorError: for an unknown setting or value, or if it cannot be generated.
        """
        lower = None if down is None else (down, more)
        self.canvas.take(self.form.upscaler)
        sheet = await self.canvas.compare(self.form.request(), (across, values), lower, self._watch, self._show_sheet)
        self._say("The contact sheet is ready.")
        return sheet

    def load(self) -> None:
        """Load the models that the form names, with their default settings.

        Raises:
            CheckpointError: if they cannot be loaded; the canvas stays as it was.
        """
        self.canvas = Canvas(load_models(self.form.models.value, self.form.device.value))
        self.form.suggest(self.canvas.models.defaults, self.canvas.models.starts)
        self._say(f"{self.canvas.models.name} is ready on {self.canvas.models.device.type}.")

    def press(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None] | None:
        """Run a button's task alongside the kernel's other work; None while another one runs."""
        if self._task is not None and not self._task.done():
            work.close()
            self._say(_BUSY)
            return None
        self._task = asyncio.get_running_loop().create_task(self._show_errors(work))
        return self._task

    async def _show_errors(self, work: Coroutine[Any, Any, object]) -> None:
        """Show errors in the view, since no code awaits a button's task."""
        try:
            await work
        except (GeneratorError, OSError) as exc:
            self._say(str(exc))

    def _connect(self) -> None:
        self.buttons["Paint"].on_click(lambda _: self.press(self.paint()))
        self.buttons["Go on"].on_click(lambda _: self.press(self.go_on()))
        self.buttons["Stop"].on_click(lambda _: self.stop())
        self.buttons["Save"].on_click(lambda _: self.press(self._save()))
        self.buttons["Compare"].on_click(lambda _: self.press(self._compare()))
        for control in (self.form.models, self.form.device):
            control.observe(lambda _: self.press(self._load()), "value")

    async def _load(self) -> None:
        self._say("The models are being loaded…")
        await asyncio.sleep(0)
        self.load()

    async def _save(self) -> None:
        self._say(f"Saved with its recipe: {self.canvas.save(Path('out'))}, and its timelapse next to it.")

    async def _compare(self) -> None:
        down = None if self.down.value == _NOTHING else str(self.down.value)
        values, more = (
            [read_setting(name, text.strip()) for text in field.value.split(",") if text.strip()]
            for name, field in ((self.across.value, self.across_values), (self.down.value, self.down_values))
        )
        await self.compare(self.across.value, values, down, more)

    def _watch(self, progress: Progress) -> None:
        """Show the state of a dream after a step."""
        dream = self.canvas.dream
        if dream is not None:
            self.picture.value = jpeg(dream.preview())
            self.curve.value = jpeg(self.canvas.curve(), 95)
            self.codes.value = jpeg(code_map(self.canvas.codes()), 95)
            parts = (f"{part.text}: {part.similarity:.3f}" for part in progress.prompts)
            self._say(
                f"step {progress.step} of {progress.steps} · {progress.seconds_per_step:.2f} s a step"
                f" · {progress.seconds_left:.0f} s left",
                " · ".join(parts),
            )

    def _show_sheet(self, sheet: Image.Image) -> None:
        self.sheet.value = jpeg(sheet)

    def _say(self, *sentences: str) -> None:
        self.words.value = "<br>".join(html.escape(sentence) for sentence in sentences)

    def _laid_out(self) -> widgets.VBox:
        buttons = [self.buttons[name] for name in ("Paint", "Stop", "Go on", "Save")]
        compare = [self.across, self.across_values, self.down, self.down_values, self.buttons["Compare"]]
        return widgets.VBox(
            [
                self.form.view,
                widgets.HBox(buttons),
                self.words,
                widgets.HBox([self.picture, self.curve, self.codes]),
                self.timelapse,
                widgets.HTML("<b>Compare</b> one setting, or each value of one with each value of another"),
                widgets.VBox(compare),
                self.sheet,
            ]
        )


def _sweep(label: str, name: str, values: str) -> tuple[widgets.Dropdown, widgets.Text]:
    """Parse the setting to sweep, and its typed values, separated by commas."""
    names = [_NOTHING, *Settings().as_dict()]
    dropdown = widgets.Dropdown(options=names, value=name, description=label, layout=_WIDE)
    return dropdown, widgets.Text(value=values, description="values", layout=_WIDE)
