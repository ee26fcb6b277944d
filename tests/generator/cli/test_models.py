"""`python -m generator models`: the list, and the output of fetching."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from generator.checkpoints.catalogue import CONFIGS, PERCEPTORS, SETS, UPSCALERS
from generator.checkpoints.vqgan_config import read_config
from generator.cli.models import main

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "checkpoints.md").read_text("utf-8")


def test_the_list_names_everything_with_size_terms_and_presence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ViT-B-16.pt").write_bytes(b"x")
    (tmp_path / "faceshq.pth").write_bytes(b"x")
    assert main(["--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    presence = {line.split()[0]: " not here" not in line for line in lines if " MB  " in line}
    assert presence.keys() == {"starter", *SETS, *PERCEPTORS, *UPSCALERS}
    assert {name for name, here in presence.items() if here} - {"starter"} == {"ViT-B/16", "faceshq"}
    assert sum("Licence: " in line for line in lines) == 4 + len(SETS)
    assert any("deployed use is out of scope" in line for line in lines)


def test_listing_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys; from generator.cli.models import main; main([]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_a_reader_that_ends_early_is_no_fault() -> None:
    command = [sys.executable, "-m", "generator", "models"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_starter_need_not_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "starter"]) == 0
    assert "ships with Reverie" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "imagenet"], "There are no models 'imagenet'; choose one of starter, imagenet-16384"),
        (["fetch", "faceshq", "--perceptor", "RN50", "--perceptor", "x"], "There is no perceptor 'x'; choose one of"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["--folder", str(tmp_path / "none"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_file_put_there_by_hand_is_checked_without_a_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    safetensors.torch.save_file({"text_projection": torch.ones(2)}, tmp_path / "RN50.pt")
    assert main(["--folder", str(tmp_path), "fetch", "RN50"]) == 1
    captured = capsys.readouterr()
    assert "RN50.pt is here already." in captured.out
    assert captured.err.startswith("RN50.pt is not the file that was published: its SHA-256 begins with ")


def test_the_digests_of_the_config_hold_for_what_is_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, config = tmp_path / "RN50.pt", tmp_path / "config.yaml"
    safetensors.torch.save_file({"text_projection": torch.ones(2)}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(f"models: starter\ndigests:\n  RN50.pt: {digest}\n", "utf-8")
    wanted = ["--folder", str(tmp_path), "fetch", "RN50"]
    assert main([*wanted, "--config", str(config)]) == 1
    assert "not the file that was published" not in capsys.readouterr().err
    assert main(wanted) == 1
    assert "RN50.pt is not the file that was published" in capsys.readouterr().err
    assert main([*wanted, "--config", str(tmp_path / "none.yaml")]) == 2


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configurations_that_reverie_brings_are_good(path: Path) -> None:
    assert read_config(path).model.params.embed_dim == 256
    assert path in {entry.config for entry in SETS.values()}


def test_the_document_holds_the_catalogue() -> None:
    rows = {line.split("`")[1]: line for line in reversed(DOCUMENT.splitlines()) if line.startswith("| `")}
    for name, entry in SETS.items():
        assert f"`{entry.vqgan.name}` | {entry.vqgan.size_mb} MB | pinned" in rows[name]
        for text in (*entry.vqgan.urls, *entry.vqgan.others):
            assert f"`{text}`" in DOCUMENT
    for name, file in PERCEPTORS.items():
        digest = "pinned at first use" if file.sha256 is None else f"`{file.sha256}`"
        assert f"`{file.name}` | {file.size_mb} MB | {digest}" in rows[name]
        assert (file.sha256 or "huggingface.co/laion") in file.urls[0]
    for name, known in UPSCALERS.items():
        assert f"{known.scale} times: {known.summary} | `{known.file.name}` | {known.file.size_mb} MB" in rows[name]
        assert f"`{known.file.sha256}`" in rows[name]
        assert f"`{known.file.urls[0].split('/')[-2]}`" in DOCUMENT


@pytest.mark.parametrize("arguments", [["bogus"], ["fetch"], ["--folder"], ["list", "more"]])
def test_wrong_arguments_are_said_in_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "see python -m generator models" in error
