"""Upscalers: tiny networks of spandrel's architectures with random weights, saved as the published files are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from generator.checkpoints.digests import sha256_of
from generator.checkpoints.upscalers import UpscalerSource
from generator.cli import main as cli
from generator.errors import CheckpointError, InvalidRequest, OutOfMemory
from generator.models.model_set import Models
from generator.models.upscaler import TILE_PX, Upscaler
from generator.optimisation.dream import Dream
from generator.recipe import read_recipe
from generator.request import GenerationRequest

CPU = torch.device("cpu")
Make = Callable[..., GenerationRequest]
NEW_NAMES = {
    r"model\.0\.": "conv_first.",
    r"model\.1\.sub\.0\.RDB(\d)\.conv(\d)\.0\.": r"body.0.rdb\1.conv\2.",
    r"model\.1\.sub\.1\.": "conv_body.",
    r"model\.3\.": "conv_up1.",
    r"model\.6\.": "conv_up2.",
    r"model\.8\.": "conv_hr.",
    r"model\.10\.": "conv_last.",
}
"""Names of spandrel's ESRGAN, and those in the files of Real-ESRGAN."""


def network(kind: str, **arguments: int) -> nn.Module:
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if kind == "Compact":
            given = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_conv": 2, "upscale": 2, **arguments}
            return Compact(**given).eval()
        return ESRGAN(num_filters=8, num_blocks=1, **arguments).eval()


def saved(path: Path, module: nn.Module) -> Path:
    """Save a network as Real-ESRGAN does: by the names of its own code, wrapped."""
    state = module.state_dict()
    for old, new in NEW_NAMES.items():
        state = {re.sub(old, new, name): tensor for name, tensor in state.items()}
    torch.save({"params_ema": state}, path)
    return path


def photo(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.int16)


def whole(module: nn.Module, image: Image.Image) -> np.ndarray:
    """The picture enlarged in one piece by the network alone."""
    pixels = torch.from_numpy(levels(image)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        return (module(pixels)[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.int16)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with the models folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def compact(data: Path) -> Upscaler:
    return UpscalerSource.of(str(saved(data / "tiny.pth", network("Compact")))).load(CPU)


@pytest.mark.parametrize(
    ("kind", "arguments", "scale"),
    [
        ("Compact", {"upscale": 4}, 4),
        ("ESRGAN", {"scale": 4}, 4),
        ("ESRGAN", {"scale": 4, "in_nc": 12, "shuffle_factor": 2}, 2),
    ],
)
def test_a_published_file_enlarges_as_its_own_network_does(
    data: Path, kind: str, arguments: dict[str, int], scale: int
) -> None:
    module, image = network(kind, **arguments), photo(40, 28)
    upscaler = UpscalerSource.of(str(saved(data / "some net.pth", module))).load(CPU)
    large = upscaler.enlarge(image)
    assert (upscaler.name, upscaler.scale, large.size) == ("own-some-net", scale, (40 * scale, 28 * scale))
    assert upscaler.files == {"some net.pth": sha256_of(data / "some net.pth")}
    assert np.abs(levels(large) - whole(module, image)).max() <= 1


def test_squares_leave_no_seams(compact: Upscaler) -> None:
    image, seen = photo(2 * TILE_PX, TILE_PX + 20), list[int]()
    large = compact.enlarge(image, between=lambda: seen.append(1))
    assert len(seen) == 6
    assert np.abs(levels(large) - whole(network("Compact"), image)).max() <= 1


def test_a_tile_stays_seamless(compact: Upscaler) -> None:
    image = photo(64, 48)
    rolled = Image.fromarray(np.roll(np.asarray(image), (20, 30), (0, 1)))
    for tiled, axes in (("xy", True), ("", False)):
        moved = np.roll(levels(compact.enlarge(image, tiled)), (40, 60), (0, 1))
        assert bool(np.abs(levels(compact.enlarge(rolled, tiled)) - moved).max() <= 1) is axes


def test_with_too_little_memory_the_squares_are_smaller(compact: Upscaler) -> None:
    image, most = photo(200, 100), 100

    def refuse(_: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if max(inputs[0].shape[2:]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    before = levels(compact.enlarge(image))
    compact._network.model.register_forward_pre_hook(refuse)
    assert np.abs(levels(compact.enlarge(image)) - before).max() <= 1
    most = 50
    with pytest.raises(OutOfMemory, match="The upscaler own-tiny does not fit in memory"):
        compact.enlarge(image)


def test_a_name_of_the_catalogue_wants_its_own_file(data: Path) -> None:
    source = UpscalerSource.of("RealESRGAN_x4plus")
    with pytest.raises(
        CheckpointError, match="is missing; fetch it with: python -m generator models fetch RealESRGAN_x4"
    ):
        source.load(CPU)
    (data / "models").mkdir()
    saved(data / "models" / "RealESRGAN_x4plus.pth", network("Compact"))
    with pytest.raises(CheckpointError, match="is not the file that was published"):
        source.load(CPU)


OTHERS = {
    "an upscaler of another factor": (4, "enlarges by 2, not by 4; get the right file."),
    "nothing enlarged": (1, "enlarges by 1; give an upscaler that enlarges by 2, 3 or 4."),
    "grey": (2, "is an upscaler for pictures that are not RGB; give one for RGB."),
    "another architecture": (2, "is a DnCNN; give an upscaler of the Real-ESRGAN kind (ESRGAN or Compact)."),
    "no network": (2, "is no network that spandrel knows; give an upscaler of the Real-ESRGAN kind"),
    "a part": (2, "is no whole upscaler ("),
    "a CLIP": (2, "is a CLIP model, not an upscaler; give an upscaler of the Real-ESRGAN kind."),
    "no weights": (2, "holds no weights of a network; give an upscaler of the Real-ESRGAN kind."),
    "text": (2, "is a web page, not a model"),
}


def other(path: Path, kind: str) -> None:
    from spandrel.architectures.DnCNN import DnCNN

    if kind == "text":
        path.write_text("<!DOCTYPE html><title>Not found</title>")
    elif kind == "nothing enlarged":
        saved(path, network("Compact", upscale=1))
    elif kind == "grey":
        saved(path, network("Compact", num_in_ch=1, num_out_ch=1))
    elif kind == "another architecture":
        torch.save(DnCNN(in_nc=3, out_nc=3, nc=8, nb=4).state_dict(), path)
    elif kind == "a part":
        state = network("Compact").state_dict()
        torch.save({name: tensor for name, tensor in state.items() if name != "body.2.weight"}, path)
    elif kind == "an upscaler of another factor":
        saved(path, network("Compact"))
    else:
        names = {"a CLIP": "text_projection", "no network": "layer.weight", "no weights": "epoch"}
        torch.save({names[kind]: torch.zeros(2, 2)}, path)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_anything_else_is_refused_with_a_sentence(data: Path, kind: str) -> None:
    path, (scale, said) = data / "net.pth", OTHERS[kind]
    other(path, kind)
    source = replace(UpscalerSource.of(str(path)), scale=scale)
    with pytest.raises(CheckpointError) as caught:
        source.load(CPU)
    assert str(caught.value).startswith(f"net.pth {said}")


def test_a_missing_package_is_said_before_anything_is_loaded(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(InvalidRequest, match="needs the package spandrel; install it with: make setup EXTRAS=upscale"):
        UpscalerSource.of("RealESRGAN_x2plus")


def test_the_command_line_enlarges_names_the_file_and_again_gives_the_same_bytes(
    data: Path, models: Models, compact: Upscaler, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = replace(models, upscaler=compact)
    quick = ("a red apple", "--size", "32x32", "--steps", "3", "--cutouts", "2", "--models", "tiny", "--seed", "7")

    def run(*arguments: str) -> int:
        return cli.main(arguments, load=lambda name, device: ours)

    assert run(*quick, "--output", "small.png") == 0
    assert run(*quick, "--output", "large.png", "--upscaler", "tiny.pth") == 0
    recipe = read_recipe(Path("large.png").read_bytes())
    assert recipe.request.settings.upscaler == "own-tiny"
    assert recipe.made_with is not None and recipe.made_with.files == {"tiny.pth": sha256_of(Path("tiny.pth"))}
    with Image.open("large.png") as large:
        assert large.size == (64, 64)
    # Made again, and the small picture enlarged later.
    for file in ("large.png", "small.png"):
        assert run("again", file, "--upscaler", "tiny.pth", "--output", "again.png") == 0
        assert Path("again.png").read_bytes() == Path("large.png").read_bytes()
    assert run("again", "large.png", "--upscaler", "none", "--output", "again.png") == 0
    assert Path("again.png").read_bytes() == Path("small.png").read_bytes()
    capsys.readouterr()
    assert run("again", "large.png") == 2
    assert "There is no upscaler 'own-tiny'; choose one of RealESRGAN_x4plus" in capsys.readouterr().err
    assert run(*quick, "--upscaler", "gone.pth") == 2
    assert "'gone.pth' is no file" in capsys.readouterr().err
    assert run("film", "a red apple", "--upscaler", "tiny.pth") == 2
    assert "A film's frames are not enlarged" in capsys.readouterr().err


def test_a_finished_picture_is_enlarged_without_painting_it_again(
    models: Models, compact: Upscaler, make_request: Make
) -> None:
    request = make_request(steps=3)
    plain = Dream(request, models)
    while plain.progress.step < 2:
        plain.step()
    ours = replace(models, upscaler=compact)
    for early in (2, None):
        asked = replace(request, settings=request.settings.merged({"upscaler": "own-tiny"}), stopped_at=early)
        resumed = Dream.resume(plain.snapshot(), ours, request=asked)
        assert resumed.finished and resumed.request == asked
        assert resumed.picture().image.tobytes() == compact.enlarge(plain.picture().image).tobytes()
        if early:
            with pytest.raises(InvalidRequest, match="This picture needs the upscaler 'own-tiny', and there is none"):
                Dream.resume(plain.snapshot(), models, request=asked)
            plain.step()
    with pytest.raises(CheckpointError, match="This snapshot is of another picture"):
        Dream.resume(plain.snapshot(), ours, request=make_request(steps=3, seed=5))
    with pytest.raises(InvalidRequest, match="'other', and here is only 'own-tiny'"):
        Dream(make_request(upscaler="other"), ours)
