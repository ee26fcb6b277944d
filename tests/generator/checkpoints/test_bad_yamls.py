"""Yaml files that describe no VQGAN, or are malicious: each is rejected with an error that names it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from generator.checkpoints.vqgan_config import read_config
from generator.errors import CheckpointError
from generator.models.vqgan import VQGAN

GOOD = {"target": "taming.models.vqgan.VQModel", "params": {"embed_dim": 16, "n_embed": 32}}
NETWORK = {
    "double_z": False, "z_channels": 32, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
    "ch_mult": [1, 1, 1, 1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip


def _yaml(
    network: Mapping[str, object] | None = None, params: Mapping[str, object] | None = None, **model: object
) -> str:
    whole = {**GOOD, **model}
    whole["params"] = {**GOOD["params"], "ddconfig": {**NETWORK, **(network or {})}, **(params or {})}
    return OmegaConf.to_yaml({"model": whole})


BOMB = "a: &a [x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
YAMLS: dict[str, tuple[str, str]] = {
    "not yaml": ("model: [1, 2", "is no yaml"),
    "text": ("hello", "lacks the section 'model'"),
    "tabs": ("model:\n\t- 1", "is no yaml"),
    "another file": ("name: reverie\ntoken: x\n", "lacks the section 'model'"),
    "python": ("model: !!python/object/apply:os.mkdir ['made by the attack']", "is no yaml"),
    "a bomb": (BOMB + "model: *j\n", "refers to parts of itself"),
    "deep": ("[" * 5000, "is no yaml"),
    "a transformer": (_yaml(target="taming.models.cond_transformer.Net2NetTransformer"), "not a VQGAN"),
    "a diffusion model": (_yaml(target="ldm.models.autoencoder.AutoencoderKL"), "AutoencoderKL', not a VQGAN"),
    "no target": (_yaml(target=None), "describes None, not a VQGAN"),
    "double_z": (_yaml({"double_z": True}), "without a codebook"),
    "no network": (OmegaConf.to_yaml({"model": GOOD}), "lacks the section 'ddconfig'"),
    "no codes": (_yaml(params={"n_embed": 0}), "has n_embed: 0, which has to be a number from 2"),
    "endless codes": (_yaml(params={"n_embed": 10**12}), "has n_embed: 1000000000000"),
    "words": (_yaml(params={"embed_dim": "many"}), "has embed_dim: 'many'"),
    "an environment variable": (_yaml(params={"embed_dim": "${oc.env:HOME}"}), r"embed_dim: '\$\{oc.env:HOME\}'"),
    "grey pictures": (_yaml({"in_channels": 1}), "has in_channels: 1, which has to be 3"),
    "endless layers": (_yaml({"num_res_blocks": 10**9}), "has num_res_blocks"),
    "no layers": (_yaml({"ch_mult": []}), "no list of 1 to 8 numbers under ch_mult"),
    "odd channels": (_yaml({"ch": 33}), "multiples of 32 channels"),
    "truth": (_yaml({"ch": True}), "has ch: True"),
    "tanh": (_yaml({"tanh_out": True}), "has tanh_out: True, which Reverie cannot build"),
    "linear attention": (_yaml({"use_linear_attn": True}), "has use_linear_attn: True, which Reverie"),
    "other attention": (_yaml({"attn_type": "linear"}), "has attn_type: 'linear', which Reverie"),
    "a misspelt key": (_yaml({"atn_resolutions": [4]}), "has 'atn_resolutions' in ddconfig, which taming"),
    "a long key": (_yaml({"a" * 500: 1}), "in ddconfig, which taming-transformers does not know"),
    "a key that is no word": (_yaml({5: 1}), "has 5 in ddconfig, which taming"),
    "features": (_yaml({"give_pre_end": True}), "stops before the picture"),
    "resampling by a word": (_yaml({"resamp_with_conv": "no"}), "has resamp_with_conv: 'no', which has to be true"),
    "dropout": (_yaml({"dropout": "much"}), "has dropout: 'much', which has to be a number from 0 to 1"),
    "nested": (_yaml({"ch": [[1]]}), "has ch: a list"),
}


@pytest.mark.parametrize("name", YAMLS)
def test_a_bad_yaml_is_refused_with_a_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, words = YAMLS[name]
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_config(tmp_path / "bad.yaml")
    assert str(caught.value).startswith("bad.yaml ")
    assert len(str(caught.value)) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_good_yaml_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(_yaml())
    assert VQGAN(read_config(tmp_path / "good.yaml")).factor == 8


def test_all_arguments_of_taming_are_honoured(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(_yaml({"resamp_with_conv": False, "dropout": 0.1, "give_pre_end": False}))
    config = read_config(path)
    model = VQGAN(config)
    assert not any("sample.conv" in name for name, _ in model.named_parameters())
    path.write_text(_yaml({"ch": 32}).replace("      ch_mult:\n      - 1\n      - 1\n      - 1\n      - 1\n", ""))
    assert "ch_mult" not in path.read_text()
    assert list(read_config(path).model.params.ddconfig.ch_mult) == [1, 2, 4, 8]


def test_an_argument_that_changes_nothing_leaves_the_config_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(_yaml())
    plain = read_config(path)
    same = {"resamp_with_conv": True, "attn_type": "vanilla", "tanh_out": False, "use_linear_attn": False}
    path.write_text(_yaml({**same, "dropout": 0.2}))
    assert read_config(path) == plain


def test_a_network_without_attention_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(_yaml({"attn_type": "none", "attn_resolutions": [4]}))
    model = VQGAN(read_config(path))
    assert not [name for name in model.state_dict() if "attn" in name]
    path.write_text(_yaml())
    assert [name for name in VQGAN(read_config(path)).state_dict() if "attn" in name]


def test_weights_given_as_yaml_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(bytes(2**21))
    with pytest.raises(CheckpointError, match="perhaps it is the weights: swap the two files"):
        read_config(tmp_path / "bad.yaml")
    (tmp_path / "small.yaml").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(CheckpointError, match="is no yaml"):
        read_config(tmp_path / "small.yaml")
