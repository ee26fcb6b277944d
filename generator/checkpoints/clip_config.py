"""Configuration that a CLIP's weights do not contain: heads and activation, from `FILE.yaml` beside a custom file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.vqgan_config import read_yaml
from generator.models.clip import ClipConfig

_ACTIVATIONS = ("quick_gelu", "gelu")
_MAX_HEADS = 128

_VISION_WIDTHS = {"visual.class_embedding": (768, 1024), "visual.layer1.0.conv1.weight": (64, 80, 96, 128)}
"""Width of a head in all of OpenAI's ViTs and ResNets."""
_TEXT_WIDTHS = (512, 640, 768, 1024)


def config_beside(file: Path) -> Path:
    """Return the path of the optional yaml beside a CLIP's file."""
    return file.with_name(f"{file.name}.yaml")


def read_clip_config(path: Path) -> ClipConfig:
    """Read the yaml of a CLIP: `vision_heads`, `text_heads` and `activation`, all optional.

    Raises:
        CheckpointError: if it is invalid, or has other keys.
    """
    with naming_file(path):
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise Fault("is no list of names with values, such as vision_heads: 16; correct it.")
        for key in content:
            if key not in ("vision_heads", "text_heads", "activation"):
                raise Fault(f"has the key {str(key)[:40]!r}; known are vision_heads, text_heads and activation.")
        activation = content.get("activation", "quick_gelu")
        if activation not in _ACTIVATIONS:
            raise Fault(f"has activation: {str(activation)[:40]!r}, which has to be gelu or quick_gelu; correct it.")
        return ClipConfig(
            vision_heads=_heads(content, "vision_heads"),
            text_heads=_heads(content, "text_heads"),
            gelu=activation == "gelu",
        )


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
