"""Configuration that a CLIP's weights do not contain: heads, activation and the scale of colours.

It comes from `FILE.yaml` beside a custom file, from the `config.json` and `preprocessor_config.json` of a folder of
transformers, or from the `open_clip_config.json` of a folder of OpenCLIP. A file's activation cannot be seen in it, and
is never guessed from names or shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.vqgan_config import read_yaml
from generator.models.clip import DEVIATION, MEAN, ClipConfig

_ACTIVATIONS = ("quick_gelu", "gelu")
_MAX_HEADS = 128
_KEYS = ("vision_heads", "text_heads", "activation", "mean", "deviation", "size")
_LEAST_DEVIATION = 0.01
_MAX_JSON_BYTES = 2**20
_OPEN_CLIP = "open_clip_config.json"
_GRAIN_PX, _MAX_SIZE_PX = 32, 1024
"""Pixels of a code of ConvNeXt's last stage, and the largest input."""

_VISION_WIDTHS = {"visual.class_embedding": (768, 1024), "visual.layer1.0.conv1.weight": (64, 80, 96, 128)}
"""Width of a head in all of OpenAI's ViTs and ResNets."""
_TEXT_WIDTHS = (512, 640, 768, 1024)


def config_beside(file: Path) -> Path:
    """Return the path of the optional yaml beside a CLIP's file."""
    return file.with_name(f"{file.name}.yaml")


def read_clip_config(path: Path) -> ClipConfig:
    """Read the yaml of a CLIP: heads, activation, mean, deviation and size, all optional (see ClipConfig).

    Raises:
        CheckpointError: if it is invalid, or has other keys.
    """
    with naming_file(path):
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise Fault("is no list of names with values, such as vision_heads: 16; correct it.")
        for key in content:
            if key not in _KEYS:
                raise Fault(f"has the key {str(key)[:40]!r}; known are {', '.join(_KEYS[:-1])} and {_KEYS[-1]}.")
        activation = content.get("activation", "quick_gelu")
        if activation not in _ACTIVATIONS:
            raise Fault(f"has activation: {str(activation)[:40]!r}, which has to be gelu or quick_gelu; correct it.")
        return ClipConfig(
            vision_heads=_heads(content, "vision_heads"),
            text_heads=_heads(content, "text_heads"),
            gelu=activation == "gelu",
            mean=_colour(content.get("mean", MEAN), "mean"),
            deviation=_colour(content.get("deviation", DEVIATION), "deviation", least=_LEAST_DEVIATION),
            size=_size(content),
        )


def _size(content: Mapping[str, object]) -> int | None:
    size = content.get("size")
    if size is None or (type(size) is int and size % _GRAIN_PX == 0 and _GRAIN_PX <= size <= _MAX_SIZE_PX):
        return size
    raise Fault(
        f"has size: {str(size)[:40]!r}, which has to be a multiple of {_GRAIN_PX} up to {_MAX_SIZE_PX}; correct it."
    )


def folder_config(file: Path) -> Path | None:
    """The `config.json` of transformers, if it is of a CLIP, or `open_clip_config.json` in the folder of a file."""
    path = file.with_name("config.json")
    if path.is_file():
        with naming_file(path):
            if _json(path).get("model_type") == "clip":
                return path
    path = file.with_name(_OPEN_CLIP)
    return path if path.is_file() else None


def read_folder_config(path: Path) -> ClipConfig:
    """Read a `folder_config` and, if it is there, the `preprocessor_config.json` beside that of transformers.

    Raises:
        CheckpointError: if one is invalid, or the two towers have different activations.
    """
    if path.name == _OPEN_CLIP:
        return _open_clip_config(path)
    with naming_file(path):
        content = _json(path)
        towers = [_table(content.get(name, {}), name) for name in ("vision_config", "text_config")]
        acts = {str(tower.get("hidden_act", "quick_gelu")) for tower in towers}
        if len(acts) > 1 or not acts <= set(_ACTIVATIONS):
            raise Fault(f"has hidden_act {', '.join(sorted(acts))[:60]!r}; both towers need gelu, or both quick_gelu.")
        heads = [_heads(tower, "num_attention_heads") for tower in towers]
    beside = path.with_name("preprocessor_config.json")
    colours: dict[str, object] = {}
    if beside.is_file():
        with naming_file(beside):
            colours = _json(beside)
    with naming_file(beside if colours else path):
        return ClipConfig(
            vision_heads=heads[0],
            text_heads=heads[1],
            gelu=acts == {"gelu"},
            mean=_colour(colours.get("image_mean", MEAN), "image_mean"),
            deviation=_colour(colours.get("image_std", DEVIATION), "image_std", least=_LEAST_DEVIATION),
        )


def _open_clip_config(path: Path) -> ClipConfig:
    with naming_file(path):
        content = _json(path)
        model, colours = (_table(content.get(name, {}), name) for name in ("model_cfg", "preprocess_cfg"))
        vision, text = (_table(model.get(name, {}), name) for name in ("vision_cfg", "text_cfg"))
        width, of_head = vision.get("width"), vision.get("head_width", 64)
        known = type(width) is int and type(of_head) is int and of_head > 0
        heads: Mapping[str, object] = {"heads": int(str(width)) // int(str(of_head))} if known else {}
        return ClipConfig(
            vision_heads=_heads(heads, "heads"),
            text_heads=_heads(text, "heads"),
            gelu=model.get("quick_gelu", False) is False,
            mean=_colour(colours.get("mean", MEAN), "mean"),
            deviation=_colour(colours.get("std", DEVIATION), "std", least=_LEAST_DEVIATION),
            size=_size({"size": vision.get("image_size")}) if "timm_model_name" in vision else None,
        )


def _json(path: Path) -> dict[str, object]:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise Fault("is too large for a configuration; get it again.")
    try:
        return _table(json.loads(path.read_text(encoding="utf-8")), "the file")
    except (ValueError, RecursionError) as exc:
        raise Fault("is no JSON; get it again.") from exc


def _table(value: object, name: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise Fault(f"has a {name} that is no list of names with values; get it again.")


def _colour(value: object, key: str, least: float = 0.0) -> tuple[float, float, float]:
    if isinstance(value, Sequence) and len(value) == 3:
        parts = [float(part) for part in value if isinstance(part, int | float) and least <= part <= 1]
        if len(parts) == 3:
            return parts[0], parts[1], parts[2]
    raise Fault(f"has {key}: {str(value)[:40]!r}, which has to be three numbers from {least:g} to 1; correct it.")


def check_heads(tensors: Mapping[str, Tensor], config: ClipConfig) -> None:
    """Check that the number of heads is known: 64 wide in OpenAI's CLIPs, given only by the config in others.

    Raises:
        Fault: if it is not.
    """
    for name, known in _VISION_WIDTHS.items():
        if name in tensors and tensors[name].dim() > 0:
            _check(len(tensors[name]), known, config.vision_heads, "vision")
    if "ln_final.weight" in tensors:
        _check(len(tensors["ln_final.weight"]), _TEXT_WIDTHS, config.text_heads, "text")


def _check(width: int, known: tuple[int, ...], heads: int | None, side: str) -> None:
    if heads is None and width not in known:
        raise Fault(
            f"has a {side} width of {width}, which no CLIP of OpenAI's has, so that its heads cannot be counted; write "
            f"{side}_heads into FILE.yaml beside it (docs/checkpoints.md)."
        )


def _heads(content: Mapping[str, object], key: str) -> int | None:
    heads = content.get(key)
    if heads is None or (isinstance(heads, int) and not isinstance(heads, bool) and 1 <= heads <= _MAX_HEADS):
        return heads
    raise Fault(f"has {key}: {str(heads)[:40]!r}, which has to be a number from 1 to {_MAX_HEADS}; correct it.")
