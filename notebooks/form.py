"""The controls of a request as ipywidgets: models, prompt, pictures and every setting of the generator.

Kernel's main thread. Written for ipywidgets 8, and for 7, which Colab has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]  # ships no types

from generator import (
    GenerationRequest,
    ImagePrompt,
    Settings,
    UpscalerSource,
    model_names,
    normalise,
    normalise_mask,
)

FIRST = ("size", "steps", "learning_rate", "start", "cutouts", "seed")
AUGMENTATIONS = ("flip", "affine", "perspective", "colour", "sharpness", "noise")
NEEDS_PARENT = "parent"
"""The start from an earlier picture, which this form lacks."""

_WIDE = widgets.Layout(width="36em")
_NARROW = widgets.Layout(width="20em")
_STYLE = {"description_width": "9em"}


class Form:
    """Form of a request.

    Attributes:
        models, device, prompt: model set, device, and the prompt.
        controls: a control for each setting, by its name.
        view: all of them, to be displayed.
    """

    def __init__(self, models: str, device: str) -> None:
        self.models = _dropdown("models", model_names(), models)
        self.device = _dropdown("device", tuple(dict.fromkeys(("auto", "cpu", "cuda", device))), device)
        self.prompt = widgets.Textarea(
            value="a red apple", description="prompt", layout=_WIDE, style=_STYLE, continuous_update=False
        )
        self.controls: dict[str, Any] = {item.name: _control(item) for item in fields(Settings)}
        self._suggested: dict[str, object] = {}
        self._starts: Mapping[str, Mapping[str, object]] = {}
        self.controls["start"].observe(self._suit_start, "value")
        self._init_image = widgets.FileUpload(description="init image", accept="image/*", multiple=False)
        self._mask = widgets.FileUpload(description="mask", accept="image/*", multiple=False)
        self._image_prompt = widgets.FileUpload(description="image prompt", accept="image/*", multiple=False)
        self._init_image.observe(self._begin_with_it, "value")
        self._mask.observe(self._repaint_it, "value")
        self.view = self._laid_out()

    def suggest(self, values: Mapping[str, object], starts: Mapping[str, Mapping[str, object]]) -> None:
        """Set the controls to the defaults, changed by `values`; `starts` holds the settings for other starts."""
        self._suggested, self._starts = dict(values), starts
        for name, value in Settings().merged(values).as_dict().items():
            self.controls[name].value = value

    def fill(self, **values: object) -> None:
        """Put some values into their controls, `prompt` among them.

        Raises:
            InvalidRequest: for an unknown name, or a value that the setting does not allow.
        """
        if "prompt" in values:
            self.prompt.value = values.pop("prompt")
        settings = Settings().merged(values).as_dict()
        for name in sorted(values, key=lambda name: name != "start"):  # the start first, since it changes others
            self.controls[name].value = settings[name]

    def settings(self) -> Settings:
        """Read the settings from the controls.

        Raises:
            InvalidRequest: for an invalid size.
        """
        values = {name: control.value for name, control in self.controls.items()}
        return Settings().merged({**values, "upscaler": UpscalerSource.name_of(self.upscaler)})

    @property
    def upscaler(self) -> str:
        """The upscaler, by name or file, or `none`."""
        return str(self.controls["upscaler"].value).strip() or "none"

    def request(self) -> GenerationRequest:
        """Build the request from the controls.

        Raises:
            InvalidRequest: if they contradict each other, or a file is no picture.
        """
        settings = self.settings()
        init_image, image_prompt = uploaded(self._init_image.value), uploaded(self._image_prompt.value)
        mask = uploaded(self._mask.value)
        return GenerationRequest(
            prompt=self.prompt.value,
            settings=settings,
            models=self.models.value,
            init_image=normalise(init_image) if init_image is not None and settings.start == "init" else None,
            mask=normalise_mask(mask) if mask is not None and "picture" in (settings.keep, settings.repaint) else None,
            image_prompts=() if image_prompt is None else (ImagePrompt(image=normalise(image_prompt)),),
        )

    def _begin_with_it(self, _: object) -> None:
        self.controls["start"].value = "init"

    def _repaint_it(self, _: object) -> None:
        if self.controls["keep"].value != "picture":
            self.controls["repaint"].value = "picture"

    def _suit_start(self, _: object) -> None:
        """Apply the models' suggestions for another start, if there are any."""
        touched = {name for changes in self._starts.values() for name in changes}
        changes = {**self._suggested, **self._starts.get(self.controls["start"].value, {})}
        settings = Settings().merged(changes).as_dict()
        for name in touched - {"start"}:
            self.controls[name].value = settings[name]

    def _laid_out(self) -> widgets.VBox:
        more = tuple(name for name in self.controls if name not in FIRST + AUGMENTATIONS)
        accordion = widgets.Accordion(children=[self._lines(AUGMENTATIONS), self._lines(more)], selected_index=None)
        accordion.set_title(0, "Augmentations")
        accordion.set_title(1, "More settings")
        return widgets.VBox(
            [
                widgets.HBox([self.models, self.device]),
                self.prompt,
                self._lines(FIRST),
                widgets.HBox([self._init_image, self._mask, self._image_prompt]),
                accordion,
            ]
        )

    def _lines(self, names: Sequence[str]) -> widgets.VBox:
        """Lay out one control per line, with its explanation next to it."""
        helps = {item.name: item.metadata["help"] for item in fields(Settings)}
        return widgets.VBox([widgets.HBox([self.controls[name], widgets.Label(helps[name])]) for name in names])


def uploaded(value: Any) -> bytes | None:  # noqa: ANN401 - ipywidgets' two shapes
    """Return the content of an upload, if any: a tuple of files in ipywidgets 8, a dict by name in 7."""
    files = list(value.values() if isinstance(value, Mapping) else value)
    return bytes(files[-1]["content"]) if files else None


def _control(item: Field[Any]) -> widgets.Widget:
    """Build the control for a setting's type and range."""
    default, about = Settings().as_dict()[item.name], item.metadata
    if "choices" in about:
        return _dropdown(item.name, tuple(name for name in about["choices"] if name != NEEDS_PARENT), default)
    look = {"description": item.name, "layout": _NARROW, "style": _STYLE}
    if item.type == "bool":
        return widgets.Checkbox(value=default, indent=True, **look)
    if item.type == "int":
        return widgets.BoundedIntText(value=default, min=about["low"], max=about["high"], **look)
    if item.type == "float":
        return widgets.BoundedFloatText(value=default, min=about["low"], max=about["high"], step=0.01, **look)
    return widgets.Text(value=default, **look)


def _dropdown(name: str, options: Sequence[str], value: object) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, value=value, description=name, layout=_NARROW, style=_STYLE)
