"""Checkpoints in all published forms, converted once and then read only in the converted form."""

import copy
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from generator.checkpoints.clip.config import config_beside
from generator.checkpoints.conversion import open_converted
from generator.checkpoints.digests import pin_of, sha256_of
from generator.checkpoints.library import open_files, open_perceptor
from generator.checkpoints.places import manifest_of
from generator.checkpoints.vqgan_config import read_config
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import CheckpointError
from generator.models.clip import CLIP, Perceptor
from generator.models.vqgan import VQGAN
from tests.generator.tiny import describe_clip

Wrap = Callable[[Mapping[str, Tensor]], dict[str, object]]


def opened(path: Path, yaml: Path, **arguments: object) -> dict[str, Tensor]:
    """Convert the tiny VQGAN's file and open the result."""
    weights = VQGANWeights(read_config(yaml))
    return open_converted(path, path.with_name("converted.safetensors"), weights, **arguments).tensors


def same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_lightning_checkpoint_gives_its_weights(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], lightning: Wrap, new_format: bool
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning(weights), path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert same(opened(path, yaml), weights)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"state_dict": {f"first_stage_model.{name}": tensor for name, tensor in state.items()}},
        lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
        lambda state: {**state, "quantize.used": torch.arange(3), "loss.logvar": torch.zeros(())},
    ],
    ids=["bare", "under model", "module.", "first stage", "parameters", "float64", "extra"],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_a_state_dict_is_found_wherever_it_was_put(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], wrap: Callable[..., object], new_format: bool
) -> None:
    path = tmp_path / "faces.pth"
    torch.save(wrap(weights), path, _use_new_zipfile_serialization=new_format)
    assert same(opened(path, yaml), weights)


def test_the_vqgan_inside_a_transformer_is_taken_and_not_the_one_of_its_condition(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], lightning: Wrap
) -> None:
    condition = {f"cond_stage_model.{name}": torch.zeros_like(tensor) for name, tensor in weights.items()}
    first = {f"first_stage_model.{name}": tensor for name, tensor in weights.items()}
    torch.save(lightning({**condition, "transformer.tok_emb.weight": torch.ones(2, 2), **first}), tmp_path / "a.ckpt")
    assert same(opened(tmp_path / "a.ckpt", yaml), weights)


@pytest.mark.parametrize("form", ["flattened", "own dict"])
def test_running_averages_of_the_weights_are_preferred(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], lightning: Wrap, form: str
) -> None:
    worse = {name: tensor + 1 for name, tensor in weights.items()}
    if form == "flattened":
        averages = {f"model_ema.{name.replace('.', '')}": tensor for name, tensor in weights.items()}
        tree = lightning({**worse, **averages, "model_ema.decay": torch.tensor(0.99)})
    else:
        tree = {**lightning(worse), "state_dict_ema": weights}
    torch.save(tree, tmp_path / "ema.ckpt")
    assert same(opened(tmp_path / "ema.ckpt", yaml), weights)


PREFIXES = [
    ("model.", "ema_model."),
    ("online_model.", "ema_model."),
    ("module.", "averaged_model.module."),
    ("first_stage_model.", "model_ema.first_stage_model."),
    ("", "swa_model."),
]


@pytest.mark.parametrize(("plain", "averaged"), PREFIXES)
@pytest.mark.parametrize("averages_first", [False, True])
def test_averages_under_a_prefix_beside_the_plain_weights_are_used(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], plain: str, averaged: str, averages_first: bool
) -> None:
    worse = {f"{plain}{name}": tensor + 1 for name, tensor in weights.items()}
    better = {f"{averaged}{name}": tensor for name, tensor in weights.items()}
    torch.save({**better, **worse} if averages_first else {**worse, **better}, tmp_path / "ema.pt")
    assert same(opened(tmp_path / "ema.pt", yaml), weights)
    half = {name: tensor for name, tensor in better.items() if ".encoder." not in f".{name}"}
    torch.save({**worse, **half}, tmp_path / "half.pt")
    if plain in ("", "model.", "module.", "first_stage_model."):
        found = opened(tmp_path / "half.pt", yaml)
        assert torch.equal(found["decoder.conv_in.weight"], weights["decoder.conv_in.weight"])
        assert torch.equal(found["encoder.conv_in.weight"], weights["encoder.conv_in.weight"] + 1)


@pytest.mark.parametrize(("plain", "averaged"), PREFIXES)
def test_a_perceptors_averages_are_used_too(
    tmp_path: Path, make_clip: Callable[..., CLIP], plain: str, averaged: str
) -> None:
    state = make_clip("vit").state_dict()
    worse = {f"{plain}{name}": tensor + 1 for name, tensor in state.items()}
    torch.save({**worse, **{f"{averaged}{name}": tensor for name, tensor in state.items()}}, tmp_path / "ema.pt")
    _, found = open_perceptor(describe_clip(tmp_path / "ema.pt"), tmp_path)
    assert torch.equal(found["text_projection"], state["text_projection"])


def test_a_model_whose_samples_are_pooled_is_opened(tmp_path: Path, vqgan_config: DictConfig) -> None:
    config = copy.deepcopy(vqgan_config)
    config.model.params.ddconfig.resamp_with_conv = False
    OmegaConf.save(config, tmp_path / "pooled.yaml")
    state = VQGAN(config).state_dict()
    torch.save(state, tmp_path / "pooled.ckpt")
    assert same(opened(tmp_path / "pooled.ckpt", tmp_path / "pooled.yaml"), state)
    config.model.params.ddconfig.ch_mult = [1, 1, 1]
    OmegaConf.save(config, tmp_path / "other.yaml")
    with pytest.raises(CheckpointError, match=r"holds an f8 plain VQGAN .* describes an f4 plain VQGAN"):
        opened(tmp_path / "pooled.ckpt", tmp_path / "other.yaml")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_on_disk_and_fills_a_model_in_single(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], vqgan_config: DictConfig, dtype: torch.dtype
) -> None:
    half = {name: tensor.to(dtype) for name, tensor in weights.items()}
    torch.save({"state_dict": half}, tmp_path / "half.ckpt")
    found = opened(tmp_path / "half.ckpt", yaml)
    assert same(found, half)
    model = VQGAN(vqgan_config)
    model.load_state_dict(found)
    assert torch.equal(model.codebook, half["quantize.embedding.weight"].float())


def test_views_and_transposed_tensors_come_out_as_they_are(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor]
) -> None:
    state = dict(weights)
    codebook = state["quantize.embedding.weight"]
    state["quantize.embedding.weight"] = codebook.t().contiguous().t()
    kernel = state["encoder.conv_in.weight"]
    state["encoder.conv_in.weight"] = torch.cat([torch.zeros(7), kernel.flatten(), torch.ones(9)])[7:-9].view_as(kernel)
    for new_format in (True, False):
        path = tmp_path / f"{new_format}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=new_format)
        assert same(opened(path, yaml), weights)


def test_a_gumbel_checkpoint_gives_its_weights(tmp_path: Path, gumbel_config: DictConfig, lightning: Wrap) -> None:
    state = VQGAN(gumbel_config).state_dict()
    assert {"quantize.embed.weight", "quantize.proj.weight", "quantize.proj.bias"} <= state.keys()
    torch.save(lightning(state), tmp_path / "gumbel.ckpt")
    OmegaConf.save(gumbel_config, tmp_path / "gumbel.yaml")
    assert same(opened(tmp_path / "gumbel.ckpt", tmp_path / "gumbel.yaml"), state)


def test_safetensors_are_read_too(tmp_path: Path, yaml: Path, weights: dict[str, Tensor]) -> None:
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    assert same(opened(tmp_path / "model.safetensors", yaml), weights)


def test_the_yaml_of_a_transformer_gives_that_of_its_vqgan(
    tmp_path: Path, vqgan_config: DictConfig, weights: dict[str, Tensor]
) -> None:
    inner = OmegaConf.to_container(vqgan_config.model)
    inner["params"] |= {"ckpt_path": "logs/last.ckpt", "lossconfig": {"target": "taming.modules.losses.DummyLoss"}}
    outer = {"target": "taming.models.cond_transformer.Net2NetTransformer", "params": {"first_stage_config": inner}}
    OmegaConf.save({"model": outer, "data": {"target": "main.DataModuleFromConfig"}}, tmp_path / "faceshq.yaml")
    torch.save({f"first_stage_model.{name}": tensor for name, tensor in weights.items()}, tmp_path / "faceshq.pth")
    assert same(opened(tmp_path / "faceshq.pth", tmp_path / "faceshq.yaml"), weights)
    assert read_config(tmp_path / "faceshq.yaml") == vqgan_config


def test_openais_archives_give_their_weights_without_running(
    archive: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    path, state = archive
    label, found = open_perceptor(path, tmp_path)
    assert label == path.stem
    assert same(found, state)
    assert {tensor.dtype for tensor in found.values()} >= {torch.float16, torch.float32}
    assert Perceptor.from_state(label, found).resolution == 32


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_code_in_an_archive_is_never_looked_at(archive: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path, state = archive
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "a.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"import os; os.abort()" if "/code/" in name else source.read(name))
    with pytest.raises(RuntimeError):
        torch.jit.load(str(tmp_path / "a.pt"))
    assert same(open_perceptor(describe_clip(tmp_path / "a.pt"), tmp_path)[1], state)


def test_a_state_dict_of_clip_is_as_good_as_an_archive(archive: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    state = archive[1]
    torch.save(state, tmp_path / "clip.pt")
    assert same(open_perceptor(describe_clip(tmp_path / "clip.pt"), tmp_path)[1], state)


def test_a_clip_with_a_pruned_vocabulary_can_be_a_perceptor(
    archive: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    rows = torch.tensor([320, 736, 49406, 49407])
    table = archive[1]["token_embedding.weight"][rows]
    pruned = {**archive[1], "token_embedding.weight": table, "vocabulary": rows}
    safetensors.torch.save_file(
        {name: tensor.clone() for name, tensor in pruned.items()}, tmp_path / "small.safetensors"
    )
    label, found = open_perceptor(str(describe_clip(tmp_path / "small.safetensors")), tmp_path)
    assert same(found, pruned)
    assert Perceptor.from_state(label, found).unknown_words("zebra") == ("zebra",)


def test_a_file_is_converted_once_and_then_not_needed(tmp_path: Path, yaml: Path, weights: dict[str, Tensor]) -> None:
    path, target = tmp_path / "last.ckpt", tmp_path / "converted.safetensors"
    torch.save(weights, path)
    opened(path, yaml)
    manifest = json.loads(manifest_of(target).read_text())
    assert manifest["source"] == "last.ckpt"
    assert manifest["sha256"] == sha256_of(path)
    assert manifest["size"] == path.stat().st_size
    made = target.stat().st_mtime_ns
    opened(path, yaml)
    path.unlink()
    assert same(opened(path, yaml), weights)
    assert target.stat().st_mtime_ns == made


def test_tensors_are_mapped_from_the_converted_file(tmp_path: Path, yaml: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, tmp_path / "last.ckpt")
    found = opened(tmp_path / "last.ckpt", yaml)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what is mapped")
    assert str(tmp_path / "converted.safetensors") in maps.read_text()
    assert same(found, weights)


@pytest.mark.parametrize("what", ["cut off", "manifest gone", "manifest of a later version", "manifest damaged"])
def test_a_converted_file_that_is_not_whole_is_made_again(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], what: str
) -> None:
    target = tmp_path / "converted.safetensors"
    torch.save(weights, tmp_path / "last.ckpt")
    opened(tmp_path / "last.ckpt", yaml)
    manifest = json.loads(manifest_of(target).read_text())
    if what == "cut off":
        target.write_bytes(target.read_bytes()[:-100])
    elif what == "manifest gone":
        manifest_of(target).unlink()
    elif what == "manifest damaged":
        manifest_of(target).write_text("{")
    else:
        manifest_of(target).write_text(json.dumps({**manifest, "converter": 99}))
    assert same(opened(tmp_path / "last.ckpt", yaml), weights)
    assert json.loads(manifest_of(target).read_text()) == manifest


def test_a_new_yaml_causes_a_new_conversion(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], vqgan_config: DictConfig
) -> None:
    torch.save(weights, tmp_path / "last.ckpt")
    opened(tmp_path / "last.ckpt", yaml)
    other = copy.deepcopy(vqgan_config)
    other.model.params.n_embed = 64
    OmegaConf.save(other, yaml)
    with pytest.raises(CheckpointError, match=r"last\.ckpt holds an f8 plain VQGAN with 32 codes .* with 64 codes"):
        opened(tmp_path / "last.ckpt", yaml)


def test_a_file_is_pinned_at_its_first_use_and_refused_when_it_changes(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(weights, path)
    with caplog.at_level("INFO"):
        opened(path, yaml)
    digest = sha256_of(path)
    assert pin_of(path).read_text() == f"{digest}  last.ckpt\n"
    assert digest in caplog.text
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, path)
    with pytest.raises(
        CheckpointError, match=r"last\.ckpt has changed since it was first used: .*delete last\.ckpt\.sha256"
    ):
        opened(path, yaml)
    pin_of(path).unlink()
    assert not same(opened(path, yaml), weights)


def test_a_file_that_was_only_touched_is_still_the_same(tmp_path: Path, yaml: Path, weights: dict[str, Tensor]) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(weights, path)
    opened(path, yaml)
    os.utime(path, (1, 1))
    assert same(opened(path, yaml), weights)


def test_a_given_digest_is_compared_even_when_all_is_converted(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor]
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(weights, path)
    opened(path, yaml, digest=sha256_of(path).upper())
    assert not pin_of(path).exists()
    with pytest.raises(CheckpointError, match=r"last\.ckpt is not the file that was published"):
        opened(path, yaml, digest="0" * 64)


def test_changed_custom_files_are_converted_again(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], archive: tuple[Path, dict[str, Tensor]]
) -> None:
    path, folder = tmp_path / "mine.ckpt", tmp_path / "models"
    torch.save(weights, path)
    first = open_files(path, yaml, [archive[0], str(archive[0])], folder)
    assert first.name == "mine"
    config = config_beside(archive[0])
    names = (path, archive[0], config)
    assert first.files == {file.name: sha256_of(file) for file in names}
    assert [label for label, *_ in first.perceptors] == [archive[0].stem] * 2
    changed = {name: tensor + 1 for name, tensor in weights.items()}
    torch.save(changed, path)
    assert same(open_files(path, yaml, [archive[0]], folder).vqgan, changed)
    assert not pin_of(path).exists()
    with pytest.raises(CheckpointError, match=r"mine\.ckpt is not the file that was published"):
        open_files(path, yaml, [archive[0]], folder, {"mine.ckpt": "0" * 64})


def test_two_own_files_of_one_name_do_not_meet(
    tmp_path: Path, yaml: Path, weights: dict[str, Tensor], archive: tuple[Path, dict[str, Tensor]]
) -> None:
    states = {}
    for number, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        states[name] = {key: tensor + number for key, tensor in weights.items()}
        torch.save(states[name], tmp_path / name / "last.ckpt")
        shutil.copy(archive[0], tmp_path / name)
    for name in "aba":
        found = open_files(tmp_path / name / "last.ckpt", yaml, [archive[0]], tmp_path / "models")
        assert same(found.vqgan, states[name])


def test_nothing_is_left_over_after_a_conversion(tmp_path: Path, yaml: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, tmp_path / "last.ckpt")
    opened(tmp_path / "last.ckpt", yaml)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "converted.json", "converted.safetensors", "last.ckpt", "last.ckpt.sha256", "tiny.yaml"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vqgan_f16_1024", "vqgan_f8_gumbel_8192"])
def test_a_checkpoint_of_full_size_is_converted(tmp_path: Path, lightning: Wrap, name: str) -> None:
    from generator.checkpoints.catalogue import CONFIGS

    config = read_config(CONFIGS / f"{name}.yaml")
    state = {key: torch.rand(shape).half() for key, shape in _shapes(config).items()}
    torch.save(lightning(state), tmp_path / "last.ckpt")
    assert same(opened(tmp_path / "last.ckpt", CONFIGS / f"{name}.yaml"), state)


def _shapes(config: DictConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in VQGAN(config).state_dict().items()}
