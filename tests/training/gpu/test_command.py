"""Each part of `python -m training.gpu` runs a few steps on the CPU; its models are exported and paint a picture."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from generator import Dream, GenerationRequest, Settings
from generator.loading import STARTER, load_starter
from generator.models.prior import PriorNetwork
from generator.runtime.precision import Precision
from training.carry import BrokenFile, pack
from training.drawings.store import Drawings
from training.gpu import part as parts
from training.gpu import perceptor, vqgan
from training.gpu.__main__ import SHARES, PartBuilder, grounds, main
from training.gpu.batch_compositor import BatchCompositor
from training.gpu.part import NotReady
from training.gpu.perceptor import products
from training.gpu.prior import PriorPart
from training.judges import JUDGES, load_judge
from training.obedience import arrangements, styles
from training.perceptor import encode_image
from training.prior import holes, prior_loss

FILES = {
    "halved", "perceptor", "perceptor_robust", "prior", "judge_plain", "judge_patches", "judge_style",
    "judge_arrangement",
}  # fmt: skip


@pytest.fixture(scope="module")
def source(work: Path) -> Path:
    """The drawings to carry; in these tests `work` is the folder that they are unpacked into."""
    return work


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    main(clock=lambda: 1.0)


def command(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(f"training.{name}").main()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_resumes_and_its_models_are_exported_and_paint(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vqgan, "SIDE_PX", 64)
    work, file = tmp_path / "work", tmp_path / "carried.zip"
    pack(source, file, grounds=1)
    few = (str(file), "--work", str(work), "--device", "cpu", "--steps", "2", "--batch", "4")
    step = PriorPart.step

    def killed(part: PriorPart, share: float) -> dict[str, torch.Tensor]:
        step(part, share)
        raise KeyboardInterrupt

    monkeypatch.setattr(PriorPart, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        start(monkeypatch, *few)
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("*.pt")}
    assert before.keys() == {"halved.pt", "perceptor.pt", "perceptor_robust.pt", "vocabulary.pt"}
    monkeypatch.setattr(PriorPart, "step", step)
    capsys.readouterr()
    start(monkeypatch, *few)
    printed = capsys.readouterr().out
    assert "vqgan: 2 steps" not in printed  # done already
    assert all(f"{name}: 2 steps" in printed for name in list(SHARES)[3:])
    assert all(f"\n{name} " in printed.partition("last figures")[2] for name in SHARES)
    assert {path.stem for path in work.glob("*.pt")} == {*FILES, "vocabulary"}
    assert all((work / name).stat().st_mtime_ns == at for name, at in before.items())
    kept = json.loads((work / "gpu.json").read_text("utf-8"))
    assert all(entry["done"] and entry["steps"] == 2 for entry in kept["parts"].values())

    for path in work.glob("*.pt"):  # back to the folder with the whole drawings and the nouns
        shutil.copy(path, source / path.name)
    out = tmp_path / "models"
    out.mkdir()
    for name in ("starter.yaml", "vqgan.yaml"):
        shutil.copy(STARTER / name, out / name)
    command(monkeypatch, "export", "--work", str(source), "--out", str(out), "--grounds", "1")
    models = load_starter(out, torch.device("cpu"))
    settings = Settings().merged({**models.defaults, "steps": 1, "seed": 3})
    dream = Dream(GenerationRequest(prompt="a cat and a dog in the snow", settings=settings), models)
    dream.step()
    assert dream.picture().image.size == settings.size
    for name in JUDGES:
        load_judge(source, name)
    styles.load(source), arrangements.load(source)


@pytest.mark.slow
def test_every_part_computes_in_bfloat16(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parts, vqgan):
        monkeypatch.setattr(module, "precision", lambda _: Precision.BF16)
    monkeypatch.setattr(vqgan, "SIDE_PX", 32)  # where it is emulated, it takes long
    monkeypatch.setattr(perceptor, "MOVES", 1)
    for path in (*source.glob("sprites_*.npy"), source / "concepts.json"):
        shutil.copy(path, tmp_path / path.name)
    builder = PartBuilder(tmp_path, BatchCompositor(Drawings(tmp_path), grounds(tmp_path, 1), "cpu"), "cpu", anew=True)
    monkeypatch.setattr("training.vqgan.POINTS_PER_CODE", 1)
    monkeypatch.setattr("training.vqgan.K_MEANS_ROUNDS", 1)
    for name in SHARES:
        part = builder.build(name, seed=1)
        part.batch = 2
        for share in (0.0, 0.2, 0.9) if name == "vqgan" else (0.5,):
            assert part.step(share)["loss"].isfinite()
        saved = {kind: one.state_dict() for kind, one in part.state.items()}
        torch.save({**saved, "step": 1}, tmp_path / f"{part.file}.pt")


def test_a_part_waits_for_what_an_earlier_one_makes(source: Path, tmp_path: Path) -> None:
    for path in (*source.glob("sprites_*.npy"), source / "concepts.json"):
        shutil.copy(path, tmp_path / path.name)
    builder = PartBuilder(tmp_path, BatchCompositor(Drawings(tmp_path), grounds(tmp_path, 1), "cpu"), "cpu", anew=False)
    with pytest.raises(NotReady, match="perceptor has not been trained"):
        builder.build("prior", seed=1)


def test_a_carried_vqgan_with_other_layers_is_answered_by_what_to_do(tmp_path: Path) -> None:
    weights = vqgan.empty().state_dict()
    torch.save({"average": weights}, tmp_path / "halved.pt")
    assert torch.equal(vqgan.beginning(tmp_path).codebook, weights["quantize.embedding.weight"])
    weights.pop("decoder.conv_out.bias")
    torch.save({"average": weights}, tmp_path / "halved.pt")
    with pytest.raises(BrokenFile, match=r"other layers.*--anew"):
        vqgan.beginning(tmp_path)


def test_bad_input_gets_a_sentence(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"no GPU that torch can use.*--device cpu"):
        start(monkeypatch, "any.zip")
    with pytest.raises(SystemExit, match="no device 'toaster'"):
        start(monkeypatch, "any.zip", "--device", "toaster")
    with pytest.raises(SystemExit, match=r"no file .*training\.carry"):
        start(monkeypatch, str(tmp_path / "any.zip"), "--device", "cpu", "--work", str(tmp_path))
    with pytest.raises(SystemExit, match="holds no drawings"):
        start(monkeypatch, "--device", "cpu", "--work", str(tmp_path))


def test_products_are_found_by_captions_that_they_do_not_show() -> None:
    torch.manual_seed(5)
    model = perceptor.CLIP(**perceptor.SHAPE, vocab_size=10).eval().requires_grad_(False)
    drawer = vqgan.empty().eval().requires_grad_(False)
    pictures, words = torch.rand(4, 3, 64, 64), torch.randn(4, 256)
    made = products(model, drawer, pictures, words)
    assert made.shape == pictures.shape
    with torch.no_grad():
        first = drawer.decode(drawer.settle(drawer.encode(pictures))).clamp(0, 1)
        likes = [torch.cosine_similarity(encode_image(model, one), words)[1::2] for one in (first, made)]
    assert (likes[1] > likes[0]).all()  # those that began with pictures


def test_holes_are_of_all_sizes_and_known_codes_need_not_be_learnt() -> None:
    torch.manual_seed(6)
    open_ = holes(400, 16, "cpu").float()
    assert open_.shape == (400, 256)
    shares = open_.mean(dim=1)
    assert shares.min() < 0.05 < 0.15 < shares.mean() < 0.5 < 0.8 < shares.max()

    network = PriorNetwork(n_codes=8, grid=4, text_width=4, n_layer=1, n_head=1, n_embd=16).eval()
    codes, known = torch.randint(8, (2, 16)), torch.zeros(2, 16, dtype=torch.bool)
    known[:, 4:] = True
    wrong = torch.where(known, (codes + 1) % 8, codes)
    features = torch.randn(2, 4)
    one, other = (prior_loss(network, features, target, codes, known)[0] for target in (codes, wrong))
    assert torch.allclose(one, other)
    assert not torch.allclose(*(prior_loss(network, features, target, codes)[0] for target in (codes, wrong)))
