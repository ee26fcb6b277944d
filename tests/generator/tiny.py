"""Small models that are none of OpenAI's."""

from __future__ import annotations

from pathlib import Path


def describe_clip(path: Path, vision_heads: int = 1) -> Path:
    """Path of a tiny CLIP, with a yaml next to it that has its number of heads."""
    path.with_name(f"{path.name}.yaml").write_text(f"vision_heads: {vision_heads}\ntext_heads: 1\n")
    return path
