"""Model sets on disk: the starter's layout written, read, and corrupted file by file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import DictConfig, OmegaConf

from generator.checkpoints.library import OpenedSet
from generator.errors import CheckpointError, InvalidRequest
from generator.loading import load_models, load_opened, load_starter
from generator.models.clip import CLIP, DEFAULT_CONFIG
from generator.models.drawings.stored import STYLES, write
from generator.models.prior import Prior
from generator.models.vqgan import VQGAN
from generator.optimisation.dream import Dream
from generator.request import GenerationRequest
from tests.generator.drawn import stored_sprite
from tests.generator.tiny import clip_tokens

CPU = torch.device("cpu")
NETWORK = {"n_codes": 256, "grid": 8, "text_width": 32, "n_layer": 1, "n_head": 2, "n_embd": 32}
STARTER = {
    "perceptor": "tiny",
    "prior": {"network": NETWORK, "temperature": 0.9, "top_k": 20},
    "defaults": {"size": "32x32", "steps": 3, "cutouts": 2, "start": "prior", "candidates": 2},
    "starts": {"random": {"steps": 5}},
}


def half(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous() for name, tensor in tensors.items()
    }


@pytest.fixture
def starter(
    tmp_path: Path, vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP], prior: Prior
) -> Path:
    """A folder in the starter's layout, fp16, with a pruned vocabulary."""
    state = make_clip("resnet").state_dict()
    ids = torch.unique(clip_tokens("a red apple", "castle"))
    state |= {"token_embedding.weight": state["token_embedding.weight"][ids], "vocabulary": ids}
    safetensors.torch.save_file(half(state), tmp_path / "clip.safetensors")
    safetensors.torch.save_file(half(vqgan.state_dict()), tmp_path / "vqgan.safetensors")
    safetensors.torch.save_file(half(prior.network.state_dict()), tmp_path / "prior.safetensors")
    rows = torch.full((2, len(STYLES)), -1)
    rows[:, 0] = torch.arange(2)
    write(tmp_path / "drawings.safetensors", rows, [stored_sprite(number) for number in range(2)])
    OmegaConf.save(vqgan_config, tmp_path / "vqgan.yaml")
    OmegaConf.save(OmegaConf.create(STARTER), tmp_path / "starter.yaml")
    (tmp_path / "lexicon.json").write_text(json.dumps({"names": [["apple"], ["castle"]], "ignored": ["red"]}))
    return tmp_path


def test_a_starter_on_disk_dreams(starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    models = load_starter(starter, CPU)
    assert (models.name, models.device, models.perceptors[0].name) == ("starter", CPU, "tiny")
    assert (models.defaults, models.starts) == (STARTER["defaults"], STARTER["starts"])
    assert {parameter.dtype for parameter in models.vqgan.parameters()} == {torch.float32}
    request = GenerationRequest(prompt="a red apple")
    request = GenerationRequest(prompt="a red zebra", settings=request.settings.merged(models.defaults))
    dream = Dream(request, models)
    assert len(dream.warnings) == 1
    while not dream.finished:
        dream.step()
    assert Dream.resume(dream.snapshot(), load_starter(starter, CPU)).finished
    assert capsys.readouterr().out == ""
    assert models.files.keys() == {f"{name}.safetensors" for name in ("clip", "drawings", "prior", "vqgan")}
    assert torch.equal(torch.get_rng_state(), before)


SPOILT: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "foreign": lambda path: path.write_text("<html>[not found"),
}
WEIGHTS = [f"{name}.safetensors" for name in ("vqgan", "clip", "prior", "drawings")]
FILES = ["starter.yaml", "vqgan.yaml", "lexicon.json", *WEIGHTS]


@pytest.mark.parametrize("way", SPOILT)
@pytest.mark.parametrize("name", FILES)
def test_a_corrupt_file_is_named(starter: Path, name: str, way: str) -> None:
    SPOILT[way](starter / name)
    with pytest.raises(CheckpointError) as caught:
        load_starter(starter, CPU)
    assert str(starter / name) in str(caught.value)
    assert ("is missing" in str(caught.value)) == (way == "missing")


def test_weights_of_another_shape_are_refused_by_name(starter: Path, vqgan: VQGAN) -> None:
    tensors = vqgan.state_dict()
    tensors["quantize.embedding.weight"] = torch.zeros(7, 4)
    safetensors.torch.save_file(tensors, starter / "vqgan.safetensors")
    with pytest.raises(CheckpointError, match=r"vqgan\.safetensors does not fit its configuration"):
        load_starter(starter, CPU)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("defaults", {"steps": -1}),
        ("defaults", {"stepz": 1}),
        ("defaults", 3),
        ("starts", 3),
        ("starts", {"nowhere": {}}),
        ("starts", {"random": {"stepz": 3}}),
        ("prior", {}),
        ("prior", {"network": 1}),
    ],
)
def test_a_starter_with_nonsense_in_its_yaml_is_refused(starter: Path, key: str, value: object) -> None:
    OmegaConf.save(OmegaConf.create({**STARTER, key: value}), starter / "starter.yaml")
    with pytest.raises(CheckpointError):
        load_starter(starter, CPU)


def test_opened_checkpoints_become_models(
    vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP]
) -> None:
    states = {"one": half(make_clip("vit").state_dict()), "two": make_clip("resnet").state_dict()}
    perceptors = tuple((name, state, DEFAULT_CONFIG) for name, state in states.items())
    models = load_opened(OpenedSet("mine", vqgan_config, half(vqgan.state_dict()), perceptors), CPU)
    assert (models.name, models.prior) == ("mine", None)
    assert [perceptor.name for perceptor in models.perceptors] == ["one", "two"]
    settings = GenerationRequest(prompt="a castle").settings.merged({"size": "32x32", "steps": 1, "cutouts": 2})
    assert Dream(GenerationRequest(prompt="a castle", models="mine", settings=settings), models).step().step == 1


def test_a_fingerprint_differs_where_a_snapshot_would_mean_something_else(
    vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP]
) -> None:
    clips = make_clip("vit").state_dict(), make_clip("vit", 64).state_dict()
    moved = {**vqgan.state_dict(), "quantize.embedding.weight": vqgan.codebook + 1}
    sets = [(vqgan.state_dict(), clips[0]), (moved, clips[0]), (vqgan.state_dict(), clips[1])]
    opened = [OpenedSet("x", vqgan_config, first, (("y", second, DEFAULT_CONFIG),)) for first, second in sets]
    prints = [load_opened(each, CPU).fingerprint for each in opened]
    assert len(set(prints)) == 3
    assert load_opened(opened[0], CPU).fingerprint == prints[0]


def test_a_fingerprint_differs_where_codes_show_a_smaller_square(
    vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP]
) -> None:
    finer = copy.deepcopy(vqgan_config)
    finer.model.params.ddconfig.ch_mult = [1, 2, 2]
    prints = []
    for config in (vqgan_config, finer):
        weights = VQGAN(config).state_dict() | {"quantize.embedding.weight": vqgan.codebook}
        opened = OpenedSet("x", config, weights, (("y", make_clip("vit").state_dict(), DEFAULT_CONFIG),))
        prints.append(load_opened(opened, CPU).fingerprint)
    assert prints[0] != prints[1]


def test_an_unknown_model_set_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        load_models("no-such-set", "cpu")
