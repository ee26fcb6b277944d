"""The yaml that describes a VQGAN in taming's form: read as data, reduced to what builds the model and checked.

taming's files also name data sets, losses and classes; none of that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # ships no types
from omegaconf import DictConfig, OmegaConf

from generator.checkpoints.faults import Fault, naming_file

MAX_YAML_BYTES = 2**20
_MODELS = ("VQModel", "GumbelVQ", "VQNoDiscModel", "EMAVQ", "VQModelInterface")
# For each number, the smallest and largest value of any VQGAN of this family, with a margin.
_RANGES = {
    "z_channels": (1, 4096),
    "resolution": (8, 4096),
    "in_channels": (3, 3),
    "out_ch": (3, 3),
    "ch": (32, 1024),
    "num_res_blocks": (0, 8),
}
# Arguments of taming's that do not change the picture, or are checked separately.
_OTHERS = ("ch_mult", "attn_resolutions", "dropout", "resamp_with_conv", "double_z", "give_pre_end")
_FOREIGN: Mapping[str, tuple[object, ...]] = {
    "attn_type": ("vanilla", "none"),
    "tanh_out": (False,),
    "use_linear_attn": (False,),
}
"""Arguments of latent-diffusion's networks that taming's lack, with the values that Reverie can build."""
_CH_MULT = [1, 2, 4, 8]
"""taming's defaults."""


def read_config(path: Path) -> DictConfig:
    """Read the config of a VQGAN, `model.target` and `model.params.{embed_dim, n_embed, ddconfig}` and no more.

    The yaml of a transformer gives that of the VQGAN inside it (`first_stage_config`).

    Raises:
        CheckpointError: if it is invalid, or describes a model that Reverie cannot run.
    """
    with naming_file(path):
        return _checked(_section(read_yaml(path), "model"))


def read_yaml(path: Path) -> object:
    """Read the content of a small yaml, as plain data.

    Raises:
        Fault: if it is not yaml, or refers to itself.
    """
    if path.stat().st_size > MAX_YAML_BYTES:
        raise Fault("is too long for the yaml of a model; perhaps it is the weights: swap the two files.")
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise Fault("refers to parts of itself (*name), which can grow without end; write them out.")
        content: object = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise Fault("is no yaml; give the configuration that was published with the weights.") from exc
    return content


def _checked(model: Mapping[str, Any]) -> DictConfig:
    params = _section(model, "params")
    if "first_stage_config" in params:
        return _checked(_section(params, "first_stage_config"))
    target = model.get("target")
    if not isinstance(target, str) or target.rpartition(".")[2] not in _MODELS:
        raise Fault(
            f"describes {_shown(target)}, not a VQGAN of taming-transformers; use one whose target is VQModel or "
            "GumbelVQ."
        )
    network = _network(_section(params, "ddconfig"))
    reduced = {
        "embed_dim": _number(params, "embed_dim", 1, 4096),
        "n_embed": _number(params, "n_embed", 2, 2**20),
        "ddconfig": network,
    }
    return OmegaConf.create({"model": {"target": target[:200].replace("$", ""), "params": reduced}})


def _network(given: Mapping[str, Any]) -> dict[str, Any]:
    """Select the arguments of taming's Encoder and Decoder, which would ignore others silently."""
    if given.get("double_z", True) is not False:
        raise Fault("describes an autoencoder without a codebook (double_z is not false); use that of a VQGAN.")
    for key, value in given.items():
        if key in _FOREIGN:
            if value not in _FOREIGN[key]:
                raise Fault(f"has {key}: {_shown(value)}, which Reverie cannot build; use another model.")
        elif key not in _RANGES and key not in _OTHERS:
            raise Fault(
                f"has {_shown(key)} in ddconfig, which taming-transformers does not know; correct or remove it."
            )
    if given.get("give_pre_end", False) is not False:
        raise Fault("describes a decoder that stops before the picture (give_pre_end is not false); correct it.")
    dropout = given.get("dropout", 0.0)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise Fault(f"has dropout: {_shown(dropout)}, which has to be a number from 0 to 1; correct it.")
    network: dict[str, Any] = {key: _number(given, key, low, high) for key, (low, high) in _RANGES.items()}
    network["ch_mult"] = _numbers({"ch_mult": _CH_MULT, **given}, "ch_mult", 1, 16)
    network["attn_resolutions"] = _numbers(given, "attn_resolutions", 1, 4096, least=0)
    if any(network["ch"] * times % 32 for times in network["ch_mult"]):
        raise Fault(f"has ch: {network['ch']}, but its layers need multiples of 32 channels; correct it.")
    resamples = given.get("resamp_with_conv", True)
    if not isinstance(resamples, bool):
        raise Fault(f"has resamp_with_conv: {_shown(resamples)}, which has to be true or false; correct it.")
    if not resamples:
        network["resamp_with_conv"] = False
    if given.get("attn_type") == "none":
        network["attn_type"] = "none"
    return {**network, "double_z": False, "dropout": 0.0}


def _section(content: object, key: str) -> Mapping[str, Any]:
    section = content.get(key) if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise Fault(f"lacks the section {key!r} that the yaml of a VQGAN has; use the one published with the weights.")
    return section


def _number(section: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = section.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        allowed = f"{low}" if low == high else f"a number from {low} to {high}"
        raise Fault(f"has {key}: {_shown(value)}, which has to be {allowed}; correct it.")
    return value


def _numbers(section: Mapping[str, Any], key: str, low: int, high: int, least: int = 1) -> list[int]:
    values = section.get(key)
    if not isinstance(values, list) or not least <= len(values) <= 8:
        raise Fault(f"has no list of {least} to 8 numbers under {key}; correct it.")
    return [_number({key: value}, key, low, high) for value in values]


def _shown(value: object) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
