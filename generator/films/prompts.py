"""Prompts on the way from one scene of a film to the next."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from generator.prompts import MAX_PROMPT_CHARACTERS, MAX_PROMPTS, Scene, TextPrompt

_MARKS = re.compile(r"([|^:])")
_LEAST = 1e-4
NAMELESS = "a picture"
"""Prompt of a picture without words."""


def blended_prompt(first: Scene, second: Scene, share: float, others: float = 1.0) -> str:
    """The prompt of a moment: each weight on its way from one scene to the next, `share` of it gone.

    Weights of all prompts but the first one of a scene are multiplied by `others`.
    """
    weights: dict[tuple[str, float], float] = {}
    for scene, part in ((first, 1 - share), (second, share)):
        for number, prompt in enumerate(scene.prompts):
            key = (prompt.text, prompt.stop)
            weights[key] = weights.get(key, 0.0) + part * prompt.weight * (others if number else 1.0)
    blended = [TextPrompt(text, weight, stop) for (text, stop), weight in weights.items() if abs(weight) >= _LEAST]
    text = " | ".join(map(_written, blended))
    if len(blended) <= MAX_PROMPTS and len(text) <= MAX_PROMPT_CHARACTERS and any(item.weight > 0 for item in blended):
        return text
    return " | ".join(map(_written, (first if share < 0.5 else second).prompts))


def story_through(prompts: Sequence[Sequence[Scene]]) -> str:
    """The prompt of a film through pictures with these scenes: the last scene of each."""
    last = [scenes[-1] if scenes else Scene((TextPrompt(NAMELESS),)) for scenes in prompts]
    return " ^ ".join(blended_prompt(scene, scene, 0.0) for scene in last)


def _written(prompt: TextPrompt) -> str:
    text = _MARKS.sub(r"\\\1", prompt.text)
    if prompt.weight == 1 and prompt.stop == -math.inf:
        # A weight that is written out keeps a number at the end of the text from being read as one.
        return text if not text[-1:].isdigit() else f"{text}:1"
    stop = "" if prompt.stop == -math.inf else f":{prompt.stop:.6g}"
    return f"{text}:{prompt.weight:.6g}{stop}"
