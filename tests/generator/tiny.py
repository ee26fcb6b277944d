"""Small models that are none of OpenAI's."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor


def describe_clip(path: Path, vision_heads: int = 1) -> Path:
    """Path of a tiny CLIP, with a yaml next to it that has its number of heads."""
    path.with_name(f"{path.name}.yaml").write_text(f"vision_heads: {vision_heads}\ntext_heads: 1\n")
    return path


def clip_tokens(*texts: str) -> Tensor:
    """Tokens of texts by the package clip itself, imported late: it takes longer to import than torch."""
    from clip import tokenize

    return tokenize(list(texts))
