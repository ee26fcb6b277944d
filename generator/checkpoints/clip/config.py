"""Configuration that a CLIP's weights do not contain: heads, activation, the scale of colours, the kind of text tower.

It comes from `FILE.yaml` beside a custom file, from the `config.json` and `preprocessor_config.json` of a folder of
transformers, or from the `open_clip_config.json` of a folder of OpenCLIP. A file's activation cannot be seen in it, and
is never guessed from names or shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.vqgan_config import read_yaml
from generator.models.clip import DEVIATION, MEAN, TEXT_TOWERS, ClipConfig
from generator.models.language.pieces import FILE_NAME
from generator.models.towers import bert, siglip

_ACTIVATIONS = ("quick_gelu", "gelu")
_MAX_HEADS = 128
_KEYS = ("vision_heads", "text_heads", "activation", "mean", "deviation", "size", "text", "pictures")
_CLIP, _SIGLIP, _ROBERTA, _BERT = TEXT_TOWERS
_LEAST_DEVIATION = 0.01
_MAX_JSON_BYTES = 2**20
_OPEN_CLIP = "open_clip_config.json"
_GRAIN_PX, _MAX_SIZE_PX = 32, 1024
"""Pixels of a code of ConvNeXt's last stage, and the largest input."""

_VISION_WIDTHS = {"visual.class_embedding": (768, 1024), "visual.layer1.0.conv1.weight": (64, 80, 96, 128)}
"""Width of a head in all of OpenAI's ViTs and ResNets."""
_TEXT_WIDTHS = (512, 640, 768, 1024)
_USUAL_HEADS, _TANH = 12, "gelu_pytorch_tanh"
"""Heads and activation of a SigLIP whose config.json does not name them, as transformers has them."""
_FAMILIES = {"xlm-roberta": _ROBERTA, "roberta": _ROBERTA, "bert": _BERT, "distilbert": _BERT}
"""Beginnings of the names of text towers on Hugging Face."""


def config_beside(file: Path) -> Path:
    """Return the path of the optional yaml beside a CLIP's file."""
    return file.with_name(f"{file.name}.yaml")


def read_clip_config(path: Path) -> ClipConfig:
    """Read the yaml of a CLIP: heads, activation, mean, deviation, size and text, all optional (see ClipConfig).

    Raises:
        CheckpointError: if it is invalid, or has other keys.
    """
    with naming_file(path):
        content = _yaml(path)
        activation, text = content.get("activation", "quick_gelu"), content.get("text", _CLIP)
        if activation not in _ACTIVATIONS:
            raise Fault(f"has activation: {str(activation)[:40]!r}, which has to be gelu or quick_gelu; correct it.")
        if text not in TEXT_TOWERS:
            known = f"{', '.join(TEXT_TOWERS[:-1])} or {TEXT_TOWERS[-1]}"
            raise Fault(f"has text: {str(text)[:40]!r}, which has to be {known}; correct it.")
        mean, deviation = (siglip.MEAN, siglip.DEVIATION) if text == _SIGLIP else (MEAN, DEVIATION)
        return _with_tokenizer(
            path,
            ClipConfig(
                vision_heads=_heads(content, "vision_heads"),
                text_heads=_heads(content, "text_heads"),
                gelu=activation == "gelu",
                mean=_colour(content.get("mean", mean), "mean"),
                deviation=_colour(content.get("deviation", deviation), "deviation", least=_LEAST_DEVIATION),
                size=_size(content),
                text=str(text),
            ),
        )


def read_pictures(path: Path) -> str | None:
    """Read from the yaml of a text tower alone which perceptor sees for it: a name or a file; None if not alone.

    Raises:
        CheckpointError: if it is invalid.
    """
    with naming_file(path):
        content = _yaml(path)
        pictures = content.get("pictures")
        if pictures is None:
            return None
        if not isinstance(pictures, str) or not pictures.strip():
            raise Fault(f"has pictures: {str(pictures)[:40]!r}, which has to be a perceptor, by name or file.")
        if content.get("text") not in (_ROBERTA, _BERT):
            raise Fault(f"has pictures, as only a text tower alone needs it; write text: {_ROBERTA} or {_BERT} there.")
        return pictures


def _yaml(path: Path) -> dict[str, object]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise Fault("is no list of names with values, such as vision_heads: 16; correct it.")
    for key in content:
        if key not in _KEYS:
            raise Fault(f"has the key {str(key)[:40]!r}; known are {', '.join(_KEYS[:-1])} and {_KEYS[-1]}.")
    return content


def _with_tokenizer(beside: Path, config: ClipConfig) -> ClipConfig:
    return config if config.text == _CLIP else replace(config, tokenizer=beside.with_name(FILE_NAME))


def _size(content: Mapping[str, object]) -> int | None:
    size = content.get("size")
    if size is None or (type(size) is int and size % _GRAIN_PX == 0 and _GRAIN_PX <= size <= _MAX_SIZE_PX):
        return size
    raise Fault(
        f"has size: {str(size)[:40]!r}, which has to be a multiple of {_GRAIN_PX} up to {_MAX_SIZE_PX}; correct it."
    )


def folder_config(file: Path) -> Path | None:
    """The `config.json` of transformers, if it is of a CLIP or SigLIP, or the `open_clip_config.json` beside a file.

    Raises:
        CheckpointError: if it is of a kind that Reverie cannot run, or no JSON.
    """
    path = file.with_name("config.json")
    if path.is_file():
        with naming_file(path):
            kind = _json(path).get("model_type")
            if kind == "siglip2":
                raise Fault(
                    "is of a SigLIP 2 for pictures of any size (NaFlex), which Reverie cannot run; get one of a fixed "
                    "size, such as siglip2-base-patch16-256."
                )
            if kind in ("clip", "siglip"):
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
        config = _siglip(towers) if content.get("model_type") == "siglip" else _clip(towers)
    beside = path.with_name("preprocessor_config.json")
    colours: dict[str, object] = {}
    if beside.is_file():
        with naming_file(beside):
            colours = _json(beside)
    with naming_file(beside if colours else path):
        coloured = replace(
            config,
            mean=_colour(colours.get("image_mean", config.mean), "image_mean"),
            deviation=_colour(colours.get("image_std", config.deviation), "image_std", least=_LEAST_DEVIATION),
        )
    return _with_tokenizer(path, coloured)


def _clip(towers: Sequence[Mapping[str, object]]) -> ClipConfig:
    acts = {str(tower.get("hidden_act", "quick_gelu")) for tower in towers}
    if len(acts) > 1 or not acts <= set(_ACTIVATIONS):
        raise Fault(f"has hidden_act {', '.join(sorted(acts))[:60]!r}; both towers need gelu, or both quick_gelu.")
    heads = [_heads(tower, "num_attention_heads") for tower in towers]
    return ClipConfig(vision_heads=heads[0], text_heads=heads[1], gelu=acts == {"gelu"})


def _siglip(towers: Sequence[Mapping[str, object]]) -> ClipConfig:
    acts = {str(tower.get("hidden_act", _TANH)) for tower in towers}
    if acts != {_TANH}:
        raise Fault(f"has hidden_act {', '.join(sorted(acts))[:60]!r}; a SigLIP has {_TANH}: get it again.")
    heads = [_heads(tower, "num_attention_heads") or _USUAL_HEADS for tower in towers]
    return ClipConfig(
        vision_heads=heads[0],
        text_heads=heads[1],
        mean=siglip.MEAN,
        deviation=siglip.DEVIATION,
        text=_SIGLIP,
    )


def _open_clip_config(path: Path) -> ClipConfig:
    with naming_file(path):
        content = _json(path)
        model, colours = (_table(content.get(name, {}), name) for name in ("model_cfg", "preprocess_cfg"))
        vision, text = (_table(model.get(name, {}), name) for name in ("vision_cfg", "text_cfg"))
        kind = _open_clip_text(vision, text)
        mean, deviation = (siglip.MEAN, siglip.DEVIATION) if kind == _SIGLIP else (MEAN, DEVIATION)
        width, of_head = vision.get("width"), vision.get("head_width", 64)
        known = type(width) is int and type(of_head) is int and of_head > 0
        heads: Mapping[str, object] = {"heads": int(str(width)) // int(str(of_head))} if known else {}
        of_timm = "timm_model_name" in vision and kind != _SIGLIP
        config = ClipConfig(
            vision_heads=_heads(heads, "heads"),
            text_heads=_heads(text, "heads"),
            gelu=model.get("quick_gelu", False) is False,
            mean=_colour(colours.get("mean", mean), "mean"),
            deviation=_colour(colours.get("std", deviation), "std", least=_LEAST_DEVIATION),
            size=_size({"size": vision.get("image_size")}) if of_timm else None,
            text=kind,
        )
    return _with_tokenizer(path, config)


def _open_clip_text(vision: Mapping[str, object], text: Mapping[str, object]) -> str:
    """Kind of text tower of a model of OpenCLIP."""
    if "hf_model_name" not in text:
        return _SIGLIP if vision.get("timm_pool") == "map" and text.get("no_causal_mask") is True else _CLIP
    name = str(text["hf_model_name"]).rpartition("/")[2]
    family = next((family for start, family in _FAMILIES.items() if name.startswith(start)), None)
    if family is None:
        raise Fault(f"has the text tower {name[:60]!r}, which Reverie cannot run; known are RoBERTa and BERT.")
    if text.get("hf_pooler_type", "mean_pooler") != "mean_pooler":
        raise Fault(f"has {str(text['hf_pooler_type'])[:40]!r}, and Reverie can only take the mean; use another model.")
    return family


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
    if config.text == _SIGLIP:
        _check_siglip(tensors, config)
        return
    if config.text != _CLIP and "text.token_embedding.weight" in tensors:
        width = tensors["text.token_embedding.weight"].shape[-1]
        _check(width, bert.USUAL_WIDTHS, config.text_heads, "text", "usual text tower")
    for name, known in _VISION_WIDTHS.items():
        if name in tensors and tensors[name].dim() > 0:
            _check(len(tensors[name]), known, config.vision_heads, "vision")
    if "ln_final.weight" in tensors:
        _check(len(tensors["ln_final.weight"]), _TEXT_WIDTHS, config.text_heads, "text")


def _check_siglip(tensors: Mapping[str, Tensor], config: ClipConfig) -> None:
    sides = {"text.ln_final.weight": config.text_heads, "visual.ln_post.weight": config.vision_heads}
    for name, heads in sides.items():
        if name in tensors and tensors[name].dim() > 0:
            side = "vision" if name.startswith("visual") else "text"
            _check(len(tensors[name]), tuple(siglip.USUAL_HEADS), heads, side, "published SigLIP")


def _check(width: int, known: tuple[int, ...], heads: int | None, side: str, kind: str = "CLIP of OpenAI's") -> None:
    if heads is None and width not in known:
        raise Fault(
            f"has a {side} width of {width}, which no {kind} has, so that its heads cannot be counted; write "
            f"{side}_heads into FILE.yaml beside it (docs/checkpoints.md)."
        )


def _heads(content: Mapping[str, object], key: str) -> int | None:
    heads = content.get(key)
    if heads is None or (isinstance(heads, int) and not isinstance(heads, bool) and 1 <= heads <= _MAX_HEADS):
        return heads
    raise Fault(f"has {key}: {str(heads)[:40]!r}, which has to be a number from 1 to {_MAX_HEADS}; correct it.")
