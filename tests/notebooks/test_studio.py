"""The canvas and the studio: pictures are made, stopped, resumed, compared and saved. Real widgets, no kernel."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generator import Dream, GenerationRequest, InvalidRequest, Models, Progress, encode, read_recipe
from notebooks.canvas import Canvas
from notebooks.form import Form, uploaded
from notebooks.studio import Studio
from tests.generator.models.test_upscaler import network, saved

QUICK = {"size": "64x64", "coarse": 0, "steps": 3, "candidates": 1, "cutouts": 2}
Make = Callable[..., GenerationRequest]


def ignore(_: object) -> None:
    """Watch nothing."""


@pytest.fixture(scope="module")
def studio() -> Studio:
    """The starter on the CPU, with a form that asks for little."""
    studio = Studio("starter", "cpu")
    studio.form.fill(prompt="a red apple", **QUICK)
    return studio


@pytest.fixture
def canvas(models: Models) -> Canvas:
    return Canvas(models)


async def test_the_studio_enlarges_with_a_file(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    file = saved(tmp_path / "net.pth", network("Compact"))
    for upscaler, side in ((str(file), 128), ("none", 64)):
        studio.form.controls["upscaler"].value = upscaler
        await studio.paint()
        dream = studio.canvas.dream
        assert dream is not None and dream.picture().image.size == (side, side)


async def test_a_stopped_and_resumed_picture_equals_an_uninterrupted_one(
    canvas: Canvas, models: Models, make_request: Make
) -> None:
    request, seen = make_request(), []

    def watch(progress: Progress) -> None:
        seen.append(progress.step)
        if progress.step == 2:
            canvas.stop()

    canvas.begin(request)
    assert not await canvas.go_on(watch)
    assert await canvas.go_on(watch)
    assert seen == [1, 2, 3, 4, 5, 6]
    whole = Dream(request, models)
    while not whole.finished:
        whole.step()
    assert canvas.dream is not None
    assert canvas.dream.picture().image.tobytes() == whole.picture().image.tobytes()


async def test_a_comparison_generates_each_pair_of_values_as_a_single_request_would(
    canvas: Canvas, models: Models, make_request: Make
) -> None:
    sizes, sheets = [], []

    def show(sheet: Image.Image) -> None:
        sheets.append(sheet)
        assert canvas.dream is not None
        settings = canvas.dream.request.settings
        sizes.append((settings.steps, settings.seed))

    sheet = await canvas.compare(make_request(), ("steps", [1, 2]), ("seed", [5, 6]), ignore, show)
    assert sizes == [(1, 5), (2, 5), (1, 6), (2, 6)]
    assert sheets[-1].tobytes() == sheet.tobytes()
    assert len({shown.tobytes() for shown in sheets}) == 4


async def test_a_comparison_that_is_stopped_keeps_what_was_finished(canvas: Canvas, make_request: Make) -> None:
    shown: list[Image.Image] = []

    def show(sheet: Image.Image) -> None:
        shown.append(sheet)

    def watch(progress: Progress) -> None:
        if shown and progress.step == 1:
            canvas.stop()

    sheet = await canvas.compare(make_request(), ("seed", [1, 2, 3]), None, watch, show)
    assert len(shown) == 1
    assert sheet.tobytes() == shown[0].tobytes()


@pytest.mark.parametrize("across", [("nonsense", [1]), ("steps", ["many"]), ("steps", [])])
async def test_an_invalid_comparison_is_refused_before_anything_is_generated(
    canvas: Canvas, make_request: Make, across: tuple[str, list[object]]
) -> None:
    with pytest.raises(InvalidRequest):
        await canvas.compare(make_request(), across, None, ignore, ignore)
    assert canvas.dream is None


async def test_the_codes_are_those_that_the_picture_is_decoded_from(
    canvas: Canvas, models: Models, make_request: Make
) -> None:
    canvas.begin(make_request(size="64x32"))
    await canvas.go_on(ignore)
    codes = canvas.codes()
    assert codes.shape == (4, 8)
    assert canvas.dream is not None
    latent = canvas.dream.latent[0].numpy()
    distances = ((models.vqgan.codebook.numpy()[:, :, None, None] - latent) ** 2).sum(axis=1)
    assert np.array_equal(codes, distances.argmin(axis=0))


async def test_a_saved_picture_contains_its_recipe(canvas: Canvas, make_request: Make, tmp_path: Path) -> None:
    canvas.begin(make_request("a cat/dog: 2", seed=9))
    await canvas.go_on(ignore)
    path = canvas.save(tmp_path / "new")
    assert path.name == "a-cat-dog-2-9.png"
    for file in (path, path.with_suffix(".webp")):
        assert read_recipe(file.read_bytes()).request == make_request("a cat/dog: 2", seed=9)


@pytest.mark.parametrize("ask", [Canvas.codes, Canvas.overview, Canvas.timelapse, Canvas.curve])
def test_before_the_first_picture_there_is_nothing_to_show(canvas: Canvas, ask: Callable[[Canvas], object]) -> None:
    with pytest.raises(InvalidRequest, match="paint one first"):
        ask(canvas)


def test_the_form_asks_for_what_its_controls_say() -> None:
    form = Form("starter", "cpu")
    form.suggest({"start": "prior", "steps": 16}, {"random": {"steps": 80}})
    assert (form.settings().start, form.settings().steps) == ("prior", 16)
    form.controls["size"].value = "96x64"
    form.controls["flip"].value = 0.25
    form.prompt.value = "a cat | fog:-1"
    request = form.request()
    assert (str(request.settings.size), request.settings.flip, request.prompt) == ("96x64", 0.25, "a cat | fog:-1")


def test_another_start_brings_the_settings_that_suit_it_and_takes_them_away_again() -> None:
    form = Form("starter", "cpu")
    form.suggest({"start": "prior", "steps": 16}, {"random": {"steps": 80, "learning_rate": 0.2}})
    form.controls["start"].value = "random"
    assert (form.settings().steps, form.settings().learning_rate) == (80, 0.2)
    form.controls["start"].value = "prior"
    assert (form.settings().steps, form.settings().learning_rate) == (16, 0.1)
    form.fill(steps=7, start="random")
    assert form.settings().steps == 7


def test_the_form_holds_every_setting_in_its_range_and_no_start_that_it_cannot_serve() -> None:
    form = Form("starter", "cpu")
    assert list(form.controls) == list(form.settings().as_dict())
    form.controls["cutouts"].value = 10_000
    assert form.settings().cutouts == 256
    assert "parent" not in form.controls["start"].options


@pytest.mark.parametrize(
    "value",
    [({"name": "a.png", "content": memoryview(b"bytes")},), {"a.png": {"content": b"bytes", "metadata": {}}}],
)
def test_an_upload_is_read_in_both_shapes_that_ipywidgets_has(value: Any) -> None:  # noqa: ANN401
    assert uploaded(value) == b"bytes"
    assert uploaded(type(value)()) is None


def test_an_uploaded_picture_is_what_the_dream_begins_with(png: Callable[..., bytes]) -> None:
    form = Form("starter", "cpu")
    form.suggest({}, {})
    file = {"name": "a.png", "type": "image/png", "size": 1, "content": memoryview(png())}
    form._init_image.value = ({**file, "last_modified": datetime.now(tz=UTC)},)
    assert form.controls["start"].value == "init"
    assert form.request().init_image is not None
    mask = Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 8))
    content = memoryview(encode(mask.convert("RGB"), "png"))
    form._mask.value = ({**file, "content": content, "last_modified": datetime.now(tz=UTC)},)
    assert form.controls["repaint"].value == "picture"
    assert form.request().mask is not None
    form.controls["repaint"].value = "none"
    form.controls["start"].value = "random"
    assert form.request().init_image is None and form.request().mask is None


async def test_pressing_paint_shows_picture_curve_codes_and_timelapse(studio: Studio) -> None:
    studio.buttons["Paint"].click()
    assert studio._task is not None
    await studio._task
    sizes = [Image.open(BytesIO(view.value)).size for view in (studio.picture, studio.curve, studio.codes)]
    assert sizes[0] == (64, 64)
    assert all(min(size) > 100 for size in sizes[1:])
    assert studio.timelapse.value.startswith("<img")
    assert "Finished." in studio.words.value


async def test_stop_takes_effect_between_two_steps_and_go_on_resumes(studio: Studio) -> None:
    studio.form.fill(steps=50)
    studio.buttons["Paint"].click()
    assert studio._task is not None
    while studio.canvas.dream is None or studio.canvas.dream.progress.step in (0, 3):
        await asyncio.sleep(0)
    studio.buttons["Stop"].click()
    await studio._task
    assert studio.canvas.dream is not None
    step = studio.canvas.dream.progress.step
    assert 1 <= step < 50
    assert f"Stopped after step {step}." in studio.words.value
    studio.buttons["Go on"].click()
    await asyncio.sleep(0)
    studio.buttons["Stop"].click()
    await studio._task
    assert studio.canvas.dream.progress.step == step + 1
    studio.form.fill(steps=3)


async def test_a_second_press_does_not_disturb_a_running_picture(studio: Studio) -> None:
    studio.buttons["Paint"].click()
    first = studio._task
    assert first is not None
    studio.buttons["Compare"].click()
    assert studio._task is first
    assert "stop it first" in studio.words.value
    await first
    assert studio.sheet.value == b""


async def test_compare_reads_what_was_typed(studio: Studio) -> None:
    studio.across.value, studio.across_values.value = "steps", "1, 2,"
    studio.buttons["Compare"].click()
    assert studio._task is not None
    await studio._task
    assert "ready" in studio.words.value
    with Image.open(BytesIO(studio.sheet.value)) as sheet:
        assert 2 * 192 < sheet.width < 3 * 192


async def test_errors_are_shown_in_the_view(studio: Studio) -> None:
    studio.form.fill(prompt="<b> |")
    studio.buttons["Paint"].click()
    assert studio._task is not None
    await studio._task
    assert "There is an empty prompt" in studio.words.value
    studio.form.fill(prompt="a red apple")
