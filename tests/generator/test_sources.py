"""A user's own models on the command line: --vqgan, --vqgan-config and --perceptor."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import DictConfig, OmegaConf

from generator.checkpoints.clip.config import config_beside
from generator.checkpoints.sources import OwnModels, add_flags, read_flags
from generator.cli.main import main
from generator.errors import InvalidRequest
from generator.inspection import Condition, look_at_set
from generator.loading import load_models
from generator.models.clip import CLIP
from generator.models.vqgan import VQGAN
from generator.recipe import read_recipe, request_to_json
from generator.request import GenerationRequest
from tests.generator.checkpoints.foreign_towers import (
    save,
    siglip,
    siglip_folder,
    siglips,
    size_of,
    xlm_roberta_clip,
    xlm_robertas,
)
from tests.generator.tiny import describe_clip


def flags(*words: str) -> OwnModels | None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return read_flags(parser.parse_args(words))


@pytest.fixture
def files(tmp_path: Path, vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP]) -> Path:
    """A folder with the tiny VQGAN, its yaml and two perceptors; models are also converted in it."""
    torch.save({"state_dict": vqgan.state_dict()}, tmp_path / "My tiny.ckpt")
    OmegaConf.save(vqgan_config, tmp_path / "tiny.yaml")
    for kind, heads in (("vit", 1), ("resnet", 4)):
        torch.save(make_clip(kind).state_dict(), describe_clip(tmp_path / f"{kind}.pt", heads))
    return tmp_path


def test_without_flags_there_are_no_own_models() -> None:
    assert flags() is None


def own_files(files: Path, *perceptors: Path) -> list[str]:
    """Options for the tiny VQGAN and these perceptors, on the CPU."""
    named = [word for path in perceptors for word in ("--perceptor", str(path))]
    vqgan, config = str(files / "My tiny.ckpt"), str(files / "tiny.yaml")
    return ["--vqgan", vqgan, "--vqgan-config", config, "--device", "cpu", *named]


def test_custom_files_work_and_the_recipe_names_them(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(files))
    own = own_files(files, files / "vit.pt", files / "resnet.pt")
    words = ["a red apple", "--size", "32x32", "--steps", "2", "--cutouts", "2", "--seed", "7"]
    assert main([*words, *own, "--output", str(files / "a.png")]) == 0
    recipe = read_recipe((files / "a.png").read_bytes())
    assert recipe.request.models == "own-My-tiny"
    assert main(["again", str(files / "a.png"), "--output", str(files / "b.png"), *own]) == 0
    assert (files / "a.png").read_bytes() == (files / "b.png").read_bytes()


@pytest.fixture
def with_tokenizers(files: Path) -> tuple[Path, Path]:
    """A SigLIP and an XLM-RoBERTa with a picture tower, with the tokenizers that lie beside them."""
    tokenizer = siglips()
    siglip_file = siglip_folder(files / "siglip-tiny", tokenizer, siglip(size_of(tokenizer)))
    tokenizer = xlm_robertas()
    path = save(files / "xlm-roberta", xlm_roberta_clip(size_of(tokenizer), "mlp").state_dict(), tokenizer)
    config_beside(path).write_text("text: roberta\ntext_heads: 4\nvision_heads: 2\nactivation: gelu\n")
    return siglip_file, path


def test_perceptors_with_their_own_tokenizers_paint_together_with_clips(
    files: Path,
    with_tokenizers: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(files))
    alone = own_files(files, *with_tokenizers)
    together = [*alone, "--perceptor", str(files / "vit.pt")]
    words = ["eine Burg in der Nacht | красное яблоко:0.5", "--size", "32x32", "--steps", "3", "--cutouts", "2"]
    assert main([*words, *together, "--seed", "7", "--output", str(files / "a.png")]) == 0
    recipe = read_recipe((files / "a.png").read_bytes())
    names = {"model.safetensors", "config.json", "tokenizer.json", "vit.pt", "model.safetensors.yaml"}
    assert recipe.made_with is not None and names <= set(recipe.made_with.files)
    assert sum(name.startswith("tokenizer.json") for name in recipe.made_with.files) == 2
    assert main(["again", str(files / "a.png"), "--output", str(files / "b.png"), *together]) == 0
    assert (files / "a.png").read_bytes() == (files / "b.png").read_bytes()
    kept = ["--init-image", str(files / "a.png"), "--repaint", "the red apple", "--output", str(files / "c.png")]
    assert main(["a castle", "--size", "32x32", "--steps", "2", "--cutouts", "2", *alone, *kept]) == 0
    assert (files / "c.png").read_bytes() != (files / "a.png").read_bytes()
    capsys.readouterr()
    assert main(["apple " * 70, "--size", "32x32", "--steps", "1", *alone, "--output", str(files / "d.png")]) == 0
    told = capsys.readouterr().err
    assert "siglip-tiny reads 16 tokens of a prompt" in told and "xlm-roberta reads 77 tokens of a prompt" in told
    assert "CLIP reads" not in told


def test_a_missing_tokenizer_or_package_is_told_before_anything_is_loaded(
    files: Path,
    with_tokenizers: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(files))
    own = own_files(files, files / "vit.pt", with_tokenizers[0])
    path = with_tokenizers[0].with_name("tokenizer.json")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tokenizers", None)
        assert main(["an apple", *own]) == 2
        sentence = "siglip-tiny has a tokenizer of its own, which needs the package tokenizers; install it with"
        assert f"{sentence}: make setup EXTRAS=tokenizer" in capsys.readouterr().err
        [_, clip, faulty] = look_at_set("starter", own[7::2], files / "My tiny.ckpt")
        assert (clip.condition, faulty.condition) == (Condition.NEW, Condition.BROKEN) and sentence in faulty.fault
    path.unlink()
    assert main(["an apple", *own]) == 2
    assert f"{path} is missing: this perceptor reads text by a tokenizer of its own." in capsys.readouterr().err
    assert not (files / "models" / "converted").exists()


def test_custom_files_in_a_config_work_and_wrong_digests_are_refused(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(files))
    config = {
        "vqgan": str(files / "My tiny.ckpt"),
        "vqgan_config": str(files / "tiny.yaml"),
        "perceptors": [str(files / "vit.pt")],
        "digests": {"vit.pt": hashlib.sha256((files / "vit.pt").read_bytes()).hexdigest()},
        "precision": "fp32",
    }
    words = ["a red apple", "--size", "32x32", "--steps", "1", "--cutouts", "2", "--device", "cpu", "--config"]
    (files / "config.yaml").write_text(yaml.safe_dump(config))
    assert main([*words, str(files / "config.yaml"), "--output", str(files / "a.png")]) == 0
    recipe = read_recipe((files / "a.png").read_bytes())
    assert recipe.request.models == "own-My-tiny"
    assert recipe.made_with is not None
    assert set(recipe.made_with.files) == {"My tiny.ckpt", "vit.pt", "vit.pt.yaml"}
    (files / "config.yaml").write_text(yaml.safe_dump({**config, "digests": {"vit.pt": "0" * 64}}))
    capsys.readouterr()
    assert main([*words, str(files / "config.yaml"), "--output", str(files / "b.png")]) == 2
    assert "vit.pt" in capsys.readouterr().err


def test_a_picture_of_own_files_asks_for_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    request = GenerationRequest(prompt="a", models="own-castles")
    (tmp_path / "a.json").write_text(request_to_json(request))
    assert main(["again", str(tmp_path / "a.json"), "--output", str(tmp_path / "b.png"), "--device", "cpu"]) == 2
    assert "own-castles are somebody's own files; name them with --vqgan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("vqgan: x.ckpt", "needs the yaml"),
        ("vqgan: x.ckpt\nmodels: faceshq", "takes the place of --models"),
        ("perceptors: ViT-B/32", "perceptors must be a list"),
        ("perceptors: [ViT-B/32]\nmodels: starter", "The starter has a perceptor of its own"),
        ("digests: [a]", "digests must hold SHA-256"),
        ("models: faceshq\ndigests: {a.ckpt: '12'}", "has 64 hexadecimal digits"),
        ("gpu_memory_share: 2", "must be a number from 0.1 to 1"),
        ("precision: fp8", "choose one of auto, fp32"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: str, sentence: str
) -> None:
    (tmp_path / "config.yaml").write_text(values)
    words = ["a red apple", "--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "a.png")]
    assert main([*words, "--device", "cpu"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--vqgan-config", "x.yaml"), "--vqgan-config describes a VQGAN; name its file with --vqgan"),
        (("--vqgan", "x.ckpt"), "--vqgan needs the yaml that belongs to it"),
        (("--vqgan", "none.ckpt", "--vqgan-config", "none.yaml"), "'none.ckpt' is no file"),
    ],
)
def test_flags_that_do_not_fit_are_refused_before_anything_is_read(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        flags(*words)


def test_own_models_and_a_model_set_exclude_each_other(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--vqgan", str(files / "My tiny.ckpt"), "--vqgan-config", str(files / "tiny.yaml")]
    assert main(["a red apple", "--models", "faceshq", *own]) == 2
    assert "--vqgan takes the place of --models" in capsys.readouterr().err


def test_the_starter_keeps_its_perceptor() -> None:
    with pytest.raises(InvalidRequest, match="The starter has a perceptor of its own"):
        load_models("starter", "cpu", own=OwnModels(perceptors=("RN50",)))


def test_a_set_with_other_perceptors_is_opened_from_the_models_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    assert main(["a red apple", "--models", "faceshq", "--perceptor", "RN50", "--device", "cpu"]) == 2
    assert "is missing; fetch it with: python -m generator models fetch RN50" in capsys.readouterr().err
