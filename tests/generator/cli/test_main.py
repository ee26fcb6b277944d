"""The command line, end to end with tiny models: files, output, exit codes, Ctrl-C, one sentence for invalid input."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from io import BytesIO, StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from generator import load_models
from generator.cli import main as cli
from generator.images import metadata
from generator.models.model_set import Models
from generator.recipe import read_recipe
from generator.settings import Settings
from generator.version import __version__

Run = Callable[..., int]
QUICK = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--models", "tiny")


@pytest.fixture
def run(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in an empty folder with tiny models."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: cli.main(arguments, load=lambda name, device: models)


@pytest.fixture
def paint(run: Run) -> Run:
    """Generate a small picture from the start in the models' defaults."""
    return lambda *arguments: run(*QUICK, *arguments)


def recipe_of(path: str) -> dict[str, object]:
    request = read_recipe(Path(path).read_bytes()).request
    return {"prompt": request.prompt, "stopped_at": request.stopped_at, **request.settings.as_dict()}


def test_a_prompt_becomes_a_picture_and_again_gives_the_same_bytes(
    run: Run, paint: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paint("a red apple", "--seed", "7", "--output", "apple.png") == 0
    out, err = capsys.readouterr()
    assert out == "The picture is in apple.png (seed 7).\n"
    assert err == ""
    assert run("again", "apple.png", "--output", "again.png") == 0
    assert Path("again.png").read_bytes() == Path("apple.png").read_bytes()
    with Image.open("apple.png") as image:
        assert image.size == (32, 32)
    assert recipe_of("apple.png").items() >= {"prompt": "a red apple", "seed": 7, "steps": 4, "size": "32x32"}.items()


def test_again_uses_the_recorded_number_of_threads(run: Run, paint: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    try:
        paint("a red apple", "--seed", "7", "--output", "apple.png")
    finally:
        torch.set_num_threads(before)
    made = read_recipe(Path("apple.png").read_bytes()).made_with
    assert made is not None
    assert (made.threads, made.precision, made.cutouts_at_once) == (before + 2, "fp32", 0)
    capsys.readouterr()
    assert run("again", "apple.png", "--output", "again.png") == 0
    assert "Warning" not in capsys.readouterr().err
    assert Path("again.png").read_bytes() == Path("apple.png").read_bytes()
    assert torch.get_num_threads() == before


def test_the_recipe_names_what_made_it(paint: Run) -> None:
    paint("a red apple", "-o", "apple.png")
    made = read_recipe(Path("apple.png").read_bytes()).made_with
    assert made is not None
    assert (made.device, made.torch.split(".")[0]) == ("cpu", "2")


def test_without_a_name_the_file_is_named_by_the_prompt_and_nothing_is_overwritten(paint: Run) -> None:
    assert paint("A Red/Apple?") == 0
    assert paint("A Red/Apple?") == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a-red-apple-2.png", "a-red-apple.png"]


def test_without_a_seed_one_is_drawn_and_shown(paint: Run, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = set()
    for name in ("a.png", "b.png"):
        paint("a red apple", "-o", name)
        seed = recipe_of(name)["seed"]
        assert f"--seed {seed} paints the same picture" in capsys.readouterr().err
        seeds.add(seed)
    assert len(seeds) == 2


def test_words_need_no_quotes(paint: Run, run: Run) -> None:
    assert run(*QUICK, "-o", "a.png", "a", "red", "apple") == 0
    assert run(*QUICK, "-o", "b.png", "--", "--help") == 0
    assert [recipe_of(name)["prompt"] for name in ("a.png", "b.png")] == ["a red apple", "--help"]


def test_weights_are_explained(paint: Run, capsys: pytest.CaptureFixture[str]) -> None:
    paint("a castle:3 | fog:-1", "-o", "a.png")
    assert "away from “fog” (weight -1, 25% of the pull)" in capsys.readouterr().err
    paint("a castle:3 | fog:-1", "-o", "a.png", "--quiet")
    out, err = capsys.readouterr()
    assert (out, err) == ("a.png\n", "")


def test_json_is_one_line_for_each_preview_and_one_at_the_end(paint: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert paint("a red apple", "-o", "a.png", "--json", "--preview-every", "2", "--steps", "6") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    for line in lines:
        assert list(line) == ["step", "steps", "loss", "similarity", "seconds_per_step", "seconds_left", "file"]
        assert (line["steps"], line["file"]) == (6, "a.png")
    assert lines[-1]["seconds_left"] == 0


class Script(StringIO):
    """A script that reads standard output and acts on each line."""

    def __init__(self, on_line: Callable[[dict[str, object]], object]) -> None:
        super().__init__()
        self._on_line = on_line

    def write(self, text: str) -> int:
        self._on_line(json.loads(text))
        return len(text)


def test_previews_overwrite_the_file_itself(paint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, recipes = [], []

    def look(line: dict[str, object]) -> None:
        data = Path(str(line["file"])).read_bytes()
        sizes.append(Image.open(BytesIO(data)).size)
        recipes.append(metadata.find_text(data) is not None)

    monkeypatch.setattr(sys, "stdout", Script(look))
    assert paint("a red apple", "-o", "a.png", "--json", "--preview-every", "1") == 0
    assert sizes == [(32, 32)] * 4
    assert recipes == [False, False, False, True]


@pytest.mark.parametrize(("name", "file_format"), [("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.PNG", "PNG")])
def test_the_name_says_the_format(paint: Run, run: Run, name: str, file_format: str) -> None:
    assert paint("a red apple", "-o", name) == 0
    assert run("again", name, "-o", f"b-{name}") == 0
    with Image.open(name) as image:
        assert image.format == file_format
    assert Path(name).read_bytes() == Path(f"b-{name}").read_bytes()


def test_a_format_without_a_name_and_again_beside_the_first(paint: Run, run: Run) -> None:
    assert paint("a red apple", "--format", "jpeg") == 0
    assert run("again", "a-red-apple.jpg") == 0
    assert paint("a red apple", "-o", "plain", "--format", "webp") == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a-red-apple-again.jpg", "a-red-apple.jpg", "plain.webp"]


def test_a_tile_sheet_shows_the_picture_four_times(paint: Run) -> None:
    assert paint("a red apple", "-o", "a.png", "--tile", "both", "--size", "64x96", "--tile-sheet", "sheet.png") == 0
    with Image.open("a.png") as image, Image.open("sheet.png") as sheet:
        assert sheet.size == (128, 192)
        for corner in ((0, 0), (64, 0), (0, 96), (64, 96)):
            assert sheet.crop((*corner, corner[0] + 64, corner[1] + 96)).tobytes() == image.convert("RGB").tobytes()


def test_a_timelapse_is_saved_on_request(paint: Run) -> None:
    assert paint("a red apple", "-o", "a.png", "--timelapse") == 0
    assert paint("a red apple", "-o", "b.png", "--timelapse", "film.mp4") == 0
    timelapse = Path("a-timelapse.webp").read_bytes()
    with Image.open(BytesIO(timelapse)) as image:
        assert image.n_frames > 1
    assert read_recipe(timelapse).request.prompt == "a red apple"
    assert Path("film.mp4").read_bytes()[4:8] == b"ftyp"


def test_pictures_go_in_as_start_and_as_prompt(paint: Run) -> None:
    Image.new("RGB", (40, 30), "teal").save("teal.png")
    Image.new("RGB", (40, 30), "red").save("a:2.png")
    arguments = ("--init-image", "teal.png", "--init-weight", "0.5", "--image-prompt", "teal.png:0.5:1", "-o", "o.png")
    assert paint("a red apple", *arguments, "--image-prompt", "a:2.png", "--image-prompt", "a:2.png:-1") == 0
    request = read_recipe(Path("o.png").read_bytes()).request
    assert (request.settings.start, request.settings.init_weight) == ("init", 0.5)
    assert [(item.weight, item.stop) for item in request.image_prompts[:1]] == [(0.5, 1.0)]
    assert [item.weight for item in request.image_prompts] == [0.5, 1.0, -1.0]


def test_a_mask_keeps_the_rest_of_the_init_image_at_its_size(run: Run) -> None:
    Image.effect_noise((48, 32), 80).convert("RGB").save("photo.png")
    mask = Image.new("L", (48, 32))
    mask.paste(255, (0, 0, 24, 32))
    mask.save("mask.png")
    masked = ("--init-image", "photo.png", "--mask", "mask.png", "--feather", "0")
    assert run("a red apple", *QUICK[2:], *masked, "-o", "o.png") == 0
    request = read_recipe(Path("o.png").read_bytes()).request
    assert (str(request.settings.size), request.settings.repaint) == ("48x32", "picture")
    ours, theirs = (Image.open(name).convert("RGB").crop((24, 0, 48, 32)) for name in ("o.png", "photo.png"))
    assert ours.tobytes() == theirs.tobytes()


def test_a_picture_alone_is_enough(run: Run, models: Models) -> None:
    Image.new("RGB", (40, 30), "teal").save("teal.png")
    suggesting = replace(models, defaults={"start": "prior", "steps": 2})
    arguments = ["--image-prompt", "teal.png", "--models", "tiny", "--size", "32", "--cutouts", "2", "-o", "o.png"]
    assert cli.main(arguments, load=lambda name, device: suggesting) == 0
    assert recipe_of("o.png").items() >= {"start": "random", "steps": 2, "prompt": ""}.items()


def test_a_picture_of_ours_is_gone_on_from(paint: Run, run: Run) -> None:
    assert paint("a red apple", "-o", "a.png", "--seed", "3") == 0
    assert run("--parent", "a.png", "--steps", "2", "--cutouts", "2", "--size", "64x32", "-o", "b.png") == 0
    request = read_recipe(Path("b.png").read_bytes()).request
    assert (request.parent, request.models) == (read_recipe(Path("a.png").read_bytes()).request, "tiny")
    assert run("again", "b.png", "-o", "c.png") == 0
    assert Path("c.png").read_bytes() == Path("b.png").read_bytes()


def test_defaults_hold_in_their_order(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("models: tiny\ngenerator: {steps: 3, cutouts: 3, seed: 9, exact: true}\n", "utf-8")
    suggesting = replace(models, defaults={"size": "32x64", "steps": 2, "cutouts": 2, "noise": 0.0})
    asked = []

    def load(name: str, device: str) -> Models:
        asked.append((name, device))
        return suggesting

    assert cli.main(["a red apple", "--config", "config.yaml", "--cutouts", "4", "-o", "a.png"], load=load) == 0
    assert asked == [("tiny", "auto")]
    chosen = {"size": "32x64", "steps": 3, "cutouts": 4, "noise": 0.0, "seed": 9, "exact": True, "flip": 0.5}
    assert recipe_of("a.png").items() >= chosen.items()


def test_every_setting_has_a_flag_with_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["--help"])
    assert exited.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for item in fields(Settings):
        assert f"--{item.name.replace('_', '-')}" in text
        if "low" in item.metadata:
            assert f"({item.metadata['low']} to {item.metadata['high']};" in text
    for flag in ("--timelapse", "--json", "--preview-every", "--init-image", "--image-prompt", "--models", "--quiet"):
        assert flag in text


def test_unknown_words_are_reported(paint: Run, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert paint("a " + "very " * 90 + "red apple", "-o", "a.png", "--quiet") == 0
    assert capsys.readouterr().err.startswith("Warning: CLIP reads 77 tokens of a prompt")


def test_again_warns_about_other_model_files(paint: Run, models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [replace(models, files={"vqgan.safetensors": digest * 64}) for digest in "01"]
    arguments = ("a red apple", "-o", "a.png", *QUICK)
    assert cli.main(arguments, load=lambda name, device: changed[0]) == 0
    assert cli.main(["again", "a.png", "-o", "b.png"], load=lambda name, device: changed[1]) == 0
    said = capsys.readouterr().err
    assert f"Warning: Reverie {__version__} painted this picture with other models (vqgan.safetensors)" in said


def test_ctrl_c_saves_the_picture_so_far_which_can_be_made_again_and_gone_on_with(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = []

    def press(line: dict[str, object]) -> None:
        if line["step"] == 2 and not pressed:
            pressed.append(line)
            os.kill(os.getpid(), signal.SIGINT)

    flags = ("--size", "32", "--steps", "5", "--cutouts", "2", "--seed", "1", "--learning-rate-end", "0.1")
    arguments = ("a red apple", *flags, "--models", "tiny", "--ema", "0.5")
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Script(press))
        extra = ("--json", "--preview-every", "1", "--timelapse", "film.webp")
        assert run(*arguments, *extra, "-o", "stopped.png") == 130
    assert signal.getsignal(signal.SIGINT) is before
    err = capsys.readouterr().err
    assert "Stopping after this step; Ctrl-C again stops at once." in err
    assert "To go on with it: python -m generator --resume stopped.dream" in err
    assert recipe_of("stopped.png").items() >= {"stopped_at": 2, "steps": 5}.items()
    assert read_recipe(Path("film.webp").read_bytes()).request.stopped_at == 2

    assert run("again", "stopped.png", "-o", "again.png") == 0
    assert Path("again.png").read_bytes() == Path("stopped.png").read_bytes()
    assert run("--resume", "stopped.dream", "-o", "resumed.png") == 0
    assert run(*arguments, "-o", "whole.png") == 0
    assert Path("resumed.png").read_bytes() == Path("whole.png").read_bytes()


def test_a_resumed_picture_replaces_the_one_beside_its_snapshot(
    run: Run, paint: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Script(lambda _: os.kill(os.getpid(), signal.SIGINT)))
        assert paint("a red apple", "-o", "out/apple.webp", "--json", "--preview-every", "1") == 130
    capsys.readouterr()
    assert run("--resume", "out/apple.dream") == 0
    assert capsys.readouterr().out.startswith("The picture is in out/apple.webp (seed ")
    assert recipe_of("out/apple.webp")["stopped_at"] is None
    assert sorted(path.name for path in Path("out").iterdir()) == ["apple.dream", "apple.webp"]


def test_a_folder_gets_pictures_named_by_their_prompts(paint: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a-red-apple.png", "a-red-apple-2.png"):
        assert paint("a red apple", "-o", "made/for/it/", "--seed", "7") == 0
        assert capsys.readouterr().out == f"The picture is in made/for/it/{name} (seed 7).\n"


def test_the_help_shows_the_defaults_that_will_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    starter = load_models("starter", "cpu")
    assert "default: 256x256, with other models 512x512" in text
    assert "default: prior, with other models random" in text
    noise = starter.starts["random"]["steps"]
    assert f"default: {starter.defaults['steps']} ({noise} with start random, pixels, gradient, fractal" in text
    for name, value in starter.defaults.items():
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        assert f"default: {shown}" in text, name


def test_a_line_is_printed_before_the_models_are_loaded(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", "a red apple", "--steps", "1", "-o", str(tmp_path / "a.png")],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.kill()
    assert first == "Loading the models starter.\n"


def test_a_second_ctrl_c_stops_at_once(
    paint: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_twice(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sys, "stdout", Script(press_twice))
    assert paint("a red apple", "-o", "a.png", "--json", "--preview-every", "1") == 130
    assert capsys.readouterr().err.endswith("Stopped; nothing more was saved.\n")
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_wrong_input_is_one_sentence_and_exit_code_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.png").mkdir()
    Path("text.png").write_text("hello", "utf-8")
    Image.new("RGB", (40, 30), "teal").save("plain.png")
    wrong = [
        ((), "The prompt is empty; write what the picture should show."),
        ((" ",), "The prompt is empty"),
        (("a", "--steps", "many"), "steps must be a whole number from 1 to 5000, not 'many'."),
        (("a", "--size", "huge"), "'huge' is not a size; write width and height in pixels, for example 256x192."),
        (("a", "--start", "init"), "start 'init' needs an init image"),
        (("a", "--start", "parent"), "start 'parent' goes with a parent picture"),
        (("a", "--stepz", "1"), "Unrecognized arguments: --stepz 1; see python -m generator --help."),
        (("a", "--steps"), "Argument --steps: expected one argument; see python -m generator --help."),
        (("a", "--preview-every", "-1"), "preview-every must be a whole number from 0 to 9999, not '-1'."),
        (("a", "--format", "bmp"), "format cannot be 'bmp'; choose one of png, jpeg, webp."),
        (("a", "-o", "a.bmp"), "'a.bmp' names no format; end it in .png, .jpg or .webp, or give --format."),
        (("a", "-o", "a.png", "--format", "webp"), "'a.png' asks for png and --format for webp."),
        (("a", "-o", "missing/a.png"), "'missing/a.png' cannot be written: its folder is not there."),
        (("a", "-o", "/dev/null/a/"), "The folder '/dev/null/a/' cannot be made: Not a directory."),
        (("a", "-o", "a\0/"), "The folder 'a\\x00/' cannot be made: its name is no folder's name."),
        (("a", "-o", "b" * 300 + ".png"), "cannot be written: its name is too long."),
        (("a", "-o", "a\0.png"), "cannot be written: its name holds a zero byte."),
        (("--timelapse", "a red apple"), "put the prompt before --timelapse."),
        (("a", "--timelapse", "b.gif"), "A timelapse ends in .webp or .mp4, not as 'b.gif'"),
        (("a", "-o", "a.webp", "--timelapse", "a.webp"), "The picture and its timelapse need two names."),
        (("a", "--tile-sheet", "b.gif"), "A tile sheet ends in .png, .jpg or .webp, not as 'b.gif'."),
        (("a", "-o", "a.webp", "--tile-sheet", "a.webp"), "The picture and its tile sheet need two names."),
        (("a", "--tile", "x", "--size", "32x64"), "A tile must be at least 64 pixels long along its axis, not 32x64;"),
        (("a", "--palette", "bleu"), "palette has the colour 'bleu', which is unknown;"),
        (("a", "--init-image", "none.png"), "'none.png' cannot be read: No such file or directory."),
        (("a", "--init-image", "text.png"), "text.png: This file is no PNG, JPEG, WebP or GIF picture"),
        (("a", "--image-prompt", "none.png:2"), "'none.png' cannot be read: No such file or directory."),
        (("a", "--image-prompt", "plain.png:nan"), "The weight of an image prompt must be a number"),
        (("--image-prompt", "plain.png:-1"), "No image prompt has a positive weight"),
        (("a", "--config", "none.yaml"), "none.yaml cannot be read; name a config.yaml."),
        (("again",), "The following arguments are required: FILE; see python -m generator again --help."),
        (("again", "none.png"), "'none.png' cannot be read: No such file or directory."),
        (("again", "plain.png"), "plain.png: This file carries no recipe"),
        (("again", "folder.png"), "'folder.png' cannot be read: Is a directory."),
        (("--resume", "text.png"), "This snapshot is cut off or is no snapshot"),
        (("a", "--resume", "text.png"), "--resume goes on with the dream as it was; leave out prompt and settings."),
        (("--resume", "text.png", "--steps", "3"), "--resume goes on with the dream as it was"),
        (("a", "--parent", "plain.png"), "plain.png: This file carries no recipe"),
    ]
    for arguments, sentence in wrong:
        assert run(*arguments) == 2, arguments
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1, err
        assert err.endswith(".\n"), err
        assert sentence in err
    assert sorted(path.name for path in Path().iterdir()) == ["folder.png", "plain.png", "text.png"]


def test_wrong_input_is_found_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from generator.cli.main import main; code = main(['a', '--steps', '0']); "
        "print(code, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "2 False\n"


def test_the_module_is_a_command() -> None:
    command = [sys.executable, "-m", "generator"]
    assert subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout == "0.4.3\n"
    result = subprocess.run([*command, ":1"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "The weight ':1' has no text; write text before the colon.\n"
