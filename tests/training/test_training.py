"""Each training command runs for a few steps on drawings made here; its models load and generate."""

from __future__ import annotations

import importlib
import itertools
import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from benchmarks.gpu.training import PROMPTS
from generator import Dream, GenerationRequest, Settings
from generator.loading import STARTER, load_starter, read_yaml
from generator.models.vqgan import VQGAN
from training.compositor import COLOURS, Compositor, recolour
from training.evaluate import TILE_PX
from training.halve import CODE_RATE, batches, edge_error, halved, move_codes, of_factor_8, shipped, solve_last_layer
from training.judges import load_judge, named_concepts
from training.reconstruction import held_out_pictures, measure
from training.scenes import SCENES, paint
from training.vqgan import CONFIG


@pytest.fixture(autouse=True)
def small_codebook_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the codebook from few latents."""
    monkeypatch.setattr("training.vqgan.POINTS_PER_CODE", 2)
    monkeypatch.setattr("training.vqgan.K_MEANS_ROUNDS", 1)


def command(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(f"training.{name}").main()


@pytest.mark.slow
@pytest.mark.timeout(600)
def judged_beside_an_earlier_run(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Judge two runs of pictures with judges that have hardly learnt anything."""
    named = load_judge(work, "plain").get_buffer("named").tolist()[:2]
    names = [Compositor(work, 64).table[number]["name"] for number in named]
    prompts = [[f"a {colour} {name}", [name], colour, ""] for name in names for colour in ("red", "blue")]
    (work / "prompts.json").write_text(json.dumps(prompts))
    for folder, colour in (("old", "blue"), ("new", "red")):
        (work / folder).mkdir()
        for number in range(len(prompts)):
            Image.new("RGB", (64, 64), colour).save(work / folder / f"prior_{number:02d}.png")
        (work / folder / "seconds.json").write_text(json.dumps({"total_s": [1.0], "first_preview_s": [0.5]}))
    runs = ("--out", str(work / "new"), "--before", str(work / "old"), "--judge-only")
    command(monkeypatch, "evaluate", "--work", str(work), "--prompts", str(work / "prompts.json"), *runs)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "top-1" in line]) == 2 * lines.count("before:") == 4
    with Image.open(work / "new" / "before_after.png") as pairs:
        assert [pairs.getpixel((80 + TILE_PX * at, 80)) for at in range(8)] == [(0, 0, 255), (255, 0, 0)] * 4


def test_every_training_step_runs_and_its_models_generate_a_picture(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    where = ("--work", str(work))
    few = (*where, "--steps", "2", "--batch", "2", "--threads", "1")
    command(monkeypatch, "compose", *where, "--count", "24", "--workers", "1")
    command(monkeypatch, "compose", *where, "--count", "24", "--workers", "1", "--name", "judge")
    command(monkeypatch, "vqgan", *few)
    command(monkeypatch, "perceptor", *few)
    command(monkeypatch, "perceptor", *few, "--robust")
    command(monkeypatch, "decoder", *few)
    monkeypatch.setattr("training.halve.SOLVED_FROM", 1)
    command(monkeypatch, "halve", *few)
    command(monkeypatch, "prior", *few)
    command(monkeypatch, "judges", *few)
    judged_beside_an_earlier_run(work, monkeypatch, capsys)
    command(monkeypatch, "obedience.styles", *few)
    command(monkeypatch, "obedience.arrangements", *few)
    for name in ("starter.yaml", "vqgan.yaml"):
        shutil.copy(STARTER / name, tmp_path / name)
    to = ("--out", str(tmp_path), "--grounds", "1")
    command(monkeypatch, "export", *where, *to)
    drawn = load_file(tmp_path / "drawings.safetensors")
    command(monkeypatch, "export", *where, *to, "--drawings")
    again = load_file(tmp_path / "drawings.safetensors")
    assert all(torch.equal(again[name], drawn[name]) for name in ("rows", "ends", "data"))
    torch.set_num_threads(threads)

    models = load_starter(tmp_path, torch.device("cpu"))
    settings = Settings().merged({**models.defaults, "steps": 1, "seed": 3})
    dream = Dream(GenerationRequest(prompt="a cat and a dog in the snow", settings=settings), models)
    dream.step()
    assert dream.picture().image.size == settings.size


def test_the_edge_error_counts_only_where_the_drawing_has_an_edge() -> None:
    drawing = torch.zeros(1, 3, 8, 8)
    drawing[..., 4:] = 1
    grey = torch.full_like(drawing, 0.5)
    assert edge_error(drawing, drawing) == 0
    assert edge_error(grey, drawing) == 1
    noisy = drawing.clone()
    noisy[..., 0, 0] = 1  # no edge of the drawing is near
    assert edge_error(noisy, drawing) == 0


def test_the_shipped_decoder_reconstructs_drawings_and_one_without_its_weights_does_not(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.reconstruction.is_held_out", lambda _: True)
    pictures = list(held_out_pictures(work, 2))
    spoilt = shipped()
    torch.nn.init.zeros_(spoilt.decoder.get_parameter("conv_out.weight"))
    good, bad = measure(shipped(), iter(pictures)), measure(spoilt, iter(pictures))
    assert good.psnr > bad.psnr + 3
    assert good.edge_error < bad.edge_error


def test_a_halved_vqgan_has_all_levels_but_that_of_the_largest_pictures() -> None:
    config = read_yaml(CONFIG)
    whole = VQGAN(config)
    half = halved(whole, config)
    assert (whole.factor, half.factor) == (8, 4)
    theirs, ours = whole.state_dict(), half.state_dict()
    assert torch.equal(ours["decoder.up.1.upsample.conv.weight"], theirs["decoder.up.2.upsample.conv.weight"])
    assert torch.equal(ours["encoder.down.0.downsample.conv.weight"], theirs["encoder.down.1.downsample.conv.weight"])
    assert torch.equal(half.codebook, whole.codebook)
    assert half.decode(half.random(6, 8, torch.Generator().manual_seed(1))).shape == (1, 3, 24, 32)


def test_the_encoder_that_is_halved_is_on_the_device_of_the_training(tmp_path: Path) -> None:
    torch.save({"average": VQGAN(read_yaml(CONFIG)).state_dict()}, tmp_path / "vqgan.pt")
    old = of_factor_8(tmp_path, torch.device("meta"))
    assert old is not None
    assert {weight.device.type for weight in old.parameters()} == {"meta"}


def test_judges_know_the_concepts_that_a_gpu_is_tried_with(work: Path) -> None:
    table = json.loads((work / "concepts.json").read_text("utf-8"))
    judged = {table[number]["name"] for number in named_concepts(table)}
    assert {name for _, names, _, _ in PROMPTS for name in names} <= judged


def test_codes_move_to_the_vectors_that_they_stand_for_and_frequent_ones_most() -> None:
    model = shipped().requires_grad_(False)
    codes = torch.tensor([[[0] * 63 + [1]]])
    latent = model.lookup(codes) + 1
    before = model.codebook.clone()
    move_codes(model, latent, codes)
    moved = model.codebook - before
    assert torch.allclose(moved[0], torch.full_like(moved[0], CODE_RATE * 63 / 71), atol=1e-5)
    assert torch.allclose(moved[1], torch.full_like(moved[1], CODE_RATE / 9), atol=1e-5)
    assert not moved[2:].any()


def test_the_solved_last_layer_reconstructs_better_than_any_other_near_it(work: Path) -> None:
    pictures = list(itertools.islice(batches(work, 64, 1, 5), 3))
    model = shipped().requires_grad_(False)
    solve_last_layer(model, iter(pictures))

    def error() -> float:
        outputs = [model.decode(model.quantise(model.encode(picture))[0]) for picture in pictures]
        return sum(float(F.mse_loss(output, picture)) for output, picture in zip(outputs, pictures, strict=True))

    solved, weight = error(), model.decoder.get_parameter("conv_out.weight")
    for seed in range(3):
        change = 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
        weight += change
        assert error() > solved
        weight -= change


@pytest.mark.slow
def test_a_killed_training_resumes(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (*work.glob("sprites_*.npy"), work / "concepts.json"):
        shutil.copy(file, tmp_path / file.name)
    command(monkeypatch, "vqgan", "--work", str(tmp_path), "--steps", "1", "--batch", "2", "--threads", "1")
    command(monkeypatch, "vqgan", "--work", str(tmp_path), "--steps", "2", "--batch", "2", "--threads", "1")
    assert torch.load(tmp_path / "vqgan.pt", weights_only=True)["step"] == 2


@pytest.mark.parametrize("name", list(SCENES))
def test_a_seed_gives_the_same_scene_again(name: str) -> None:
    first, second, other = (paint(name, 64, random.Random(seed)) for seed in (1, 1, 2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_sample_shows_its_sketch_on_its_scene(work: Path) -> None:
    compositor = Compositor(work, 128, seed=4)
    plan = compositor.arranged((1,), 1, "", "night")
    sketch, picture = (
        np.asarray(one).astype(int) for one in (compositor.sketch(plan), compositor.painted(plan).picture)
    )
    drawn = (sketch < 250).any(axis=2) & (sketch > 5).any(axis=2)
    inside = np.asarray(Image.fromarray(drawn).resize((32, 32), Image.Resampling.BOX)) == 255
    close = np.abs(sketch - picture).max(axis=2) < 6
    assert close[drawn].mean() > 0.9, inside.sum()
    assert np.abs(sketch - picture)[~drawn].mean() > 100  # white there, night here


@pytest.mark.parametrize("colour", list(COLOURS))
def test_recolouring_keeps_the_outline_and_moves_the_colour(work: Path, colour: str) -> None:
    sprite = Compositor(work, 128).sprite(1, "fluent")
    painted = recolour(sprite, colour)
    assert (painted[..., 3] == sprite[..., 3]).all()
    mean = painted[..., :3][sprite[..., 3] > 0].mean(axis=0)
    others = {name: float(np.abs(mean - np.array(value)).sum()) for name, value in COLOURS.items()}
    assert min(others, key=lambda name: others[name]) == colour


def test_captions_say_what_the_picture_shows(work: Path) -> None:
    compositor = Compositor(work, 128, seed=2)
    captions = {compositor.caption((0,), 1, "blue", "snow") for _ in range(60)}
    assert all("blue" in caption for caption in captions)
    assert any(caption.startswith("a blue red apple in the snow") for caption in captions)
    assert len(captions) > 10
