r"""Prompt syntax: `a castle:1 | fog:-0.5 ^ the next scene`. No torch; any thread.

The grammar, from the outside in:

- `^` separates the scenes of a story, `|` the prompts of a scene, `:` a prompt's text from its weight and its stop.
- Of the segments after a colon only the last ones count, and only if they are numbers: "Star Wars: a new hope" is one
  prompt, "a castle:2" has the weight 2, "a castle:2:0.4" also stops attracting at the distance 0.4.
- Keyframes in braces are a weight that changes during the dream: "a castle:{0: 1, 50%: 0.2}".
- A clock time at the end is text: "a clock that shows 10:30" is one prompt. To weight it, append the weight: "10:30:2".
  Every other number after a colon is a weight, so "4:3" is the prompt "4" with the weight 3.
- A backslash escapes `^`, `|` and `:`, as in "a ratio of 4\:3" or "a cat \^_\^"; before anything else it is an ordinary
  character.
- Line breaks and repeated spaces become one space, invisible control characters are removed, and a code block is
  replaced by its content. Emoji, their joiners and right-to-left text are kept.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeGuard

from generator.errors import InvalidRequest
from generator.messages import Message, MessageValue
from generator.notation.keyframes import Keyframes, read_keyframes

MAX_PROMPT_CHARACTERS = 2000
MAX_SCENES = 32
MAX_PROMPTS = 32
MAX_WEIGHT = 100.0
MAX_STOP = 5.0
"""Largest stop: the distance between two unit vectors is at most pi**2 / 2, a little under 5."""

_CLOCK = re.compile(r"(?<![\w:.,])([01]?\d|2[0-3])(:[0-5]\d){1,2}$")
_NUMBER = re.compile(r"[+-]?(\d{1,30}([.,]\d{0,30})?|[.,]\d{1,30})(e[+-]?\d{1,3})?|[+-]?(nan|inf|infinity)", re.I)
_KEYFRAMES = re.compile(r"(?<!\\):\s*\{\s*(\d[^{}]*:[^{}]*)\}$")
_ESCAPED = re.compile(r"\\([|^:])")
_FENCED = re.compile(r"```(?:[\w+.-]*\n)?(.*?)```|`([^`]*)`", re.DOTALL)
_HIDDEN_CODES = (0xAD, 0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
_HIDDEN = frozenset(map(chr, _HIDDEN_CODES))
"""Invisible format characters; the joiners U+200C and U+200D are not among them."""


class TextPrompt(NamedTuple):
    """Text that attracts (weight > 0) or repels (weight < 0).

    `stop` is a distance as the loss measures it, 2·arcsin(‖u - v‖/2)²: if that distance times the weight's sign is
    below it, the prompt has no effect. Minus infinity, the default, never stops. `weights` is a weight that changes
    during the dream; `weight` is then the value farthest from 0.
    """

    text: str
    weight: float = 1.0
    stop: float = -math.inf
    weights: Keyframes | None = None


class Scene(NamedTuple):
    """Prompts in effect at the same time. A text without `^` is one scene."""

    prompts: tuple[TextPrompt, ...]


def parse_story(text: str, *, beside_pictures: bool = False) -> tuple[Scene, ...]:
    """Parse a typed prompt.

    With `beside_pictures` (image prompts attract as well), no text or only negative text is allowed; the result is then
    empty or holds only negative weights.

    Raises:
        InvalidRequest: with `field` "prompt" and a message that says what to change.
    """
    if not isinstance(text, str):
        raise _invalid("The prompt must be text.")
    return _read_story(text, beside_pictures)


@lru_cache(maxsize=1_000)
def _read_story(text: str, beside_pictures: bool) -> tuple[Scene, ...]:
    """As `parse_story`; a request has its prompt read half a dozen times until it is queued."""
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise _invalid(
            "The prompt has {count} characters; at most {most} are allowed.",
            count=len(text),
            most=MAX_PROMPT_CHARACTERS,
        )
    clean = _without_hidden(_without_fences(text))
    if not clean.strip(" |^"):
        if beside_pictures and not clean.strip():
            return ()
        raise _invalid("The prompt is empty; write what the picture should show.")
    parts = list(_split(clean, "^"))
    if len(parts) > MAX_SCENES:
        raise _invalid("The story has {count} scenes; at most {most} are allowed.", count=len(parts), most=MAX_SCENES)
    where = [
        Message(" in scene {number}", number=number) if len(parts) > 1 else "" for number in range(1, len(parts) + 1)
    ]
    return tuple(_scene(part, place, beside_pictures) for part, place in zip(parts, where, strict=True))


def explain_story(scenes: Sequence[Scene]) -> str:
    """Describe how the weights were read, one line per scene; shares are of all weights of the scene."""
    lines = [_explain_scene(scene) for scene in scenes]
    if len(lines) > 1:
        lines = [f"Scene {number}: {line}" for number, line in enumerate(lines, 1)]
    return "\n".join(lines)


def wanted_words(scenes: Sequence[Scene]) -> str:
    """The positively weighted words of the first scene, which start 'prior' needs; empty without any."""
    return " ".join(prompt.text for scene in scenes[:1] for prompt in scene.prompts if prompt.weight > 0)


def is_plain(scenes: Sequence[Scene]) -> bool:
    """True if there is nothing to explain: in each scene one prompt without an explicit weight or stop."""
    return all([prompt[1:] for prompt in scene.prompts] == [TextPrompt("")[1:]] for scene in scenes)


def check_pull(weight: object, stop: object, what: str, field: str) -> None:
    """Reject weights and stops that make the loss meaningless; `what` names the prompt in the message.

    Raises:
        InvalidRequest: unless `weight` is a number from -MAX_WEIGHT to MAX_WEIGHT, and `stop` is minus infinity or a
            number up to MAX_STOP with the sign of the weight (with the other sign it would hold always or never).
    """
    if not _is_number_within(weight, MAX_WEIGHT):
        text = "The weight of {what} must be a number from {low} to {high}, not {given}."
        most = f"{MAX_WEIGHT:g}"
        raise InvalidRequest(Message(text, what=what, low=f"-{most}", high=most, given=str(weight)[:30]), field)
    if stop == -math.inf:
        return
    if not _is_number_within(stop, MAX_STOP):
        raise InvalidRequest(_outside(what, stop), field)
    if stop * weight < 0:
        text = "The stop of {what} must have the sign of its weight: {right}, not {given}."
        raise InvalidRequest(Message(text, what=what, right=f"{-stop:g}", given=f"{stop:g}"), field)


def _is_number_within(value: object, most: float) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most


def _scene(part: str, place: str, beside_pictures: bool) -> Scene:
    pieces = list(_split(part, "|"))
    if len(pieces) > MAX_PROMPTS:
        raise _invalid(
            "There are {count} prompts{place}; at most {most} are allowed.",
            count=len(pieces),
            place=place,
            most=MAX_PROMPTS,
        )
    if not part.strip(" |"):
        raise _invalid("There is nothing{place}; write text before and behind each ^.", place=place)
    prompts = tuple(_prompt(piece, place) for piece in pieces)
    if not beside_pictures:
        _check_direction(prompts, place)
    return Scene(prompts)


def _check_direction(prompts: tuple[TextPrompt, ...], place: str) -> None:
    if all(prompt.weight == 0 for prompt in prompts):
        raise _invalid(
            "Every weight{place} is 0, so nothing would be painted; give one prompt a positive weight.", place=place
        )
    if all(prompt.weight <= 0 for prompt in prompts):
        raise _invalid(
            "Every weight{place} is negative; say also what the picture should show, as in 'a castle | fog:-0.5'.",
            place=place,
        )


def _prompt(piece: str, place: str) -> TextPrompt:
    piece, weights = _split_weights(piece.strip())
    text, numbers = (piece, [weights.largest]) if weights is not None else _split_numbers(piece)
    text = " ".join(_ESCAPED.sub(r"\1", text).split())
    if not text:
        if numbers:
            raise _invalid(
                "The weight {weight}{place} has no text; write text before the colon.",
                weight=repr(piece.strip()[:30]),
                place=place,
            )
        raise _invalid("There is an empty prompt{place}; write text before and behind each |.", place=place)
    weight, stop = (*numbers, *(1.0, -math.inf)[len(numbers) :])
    prompt = TextPrompt(text, weight, stop, weights)
    if len(numbers) == 2 and not math.isfinite(prompt.stop):
        raise InvalidRequest(_outside(repr(text[:60]), prompt.stop), "prompt")
    for weight in [frame.value for frame in weights] if weights else [prompt.weight]:
        check_pull(weight, prompt.stop, repr(text[:60]), "prompt")
    return prompt


def _split_weights(piece: str) -> tuple[str, Keyframes | None]:
    """Take keyframes in braces from the end."""
    match = _KEYFRAMES.search(piece)
    if match is None:
        return piece, None
    return piece[: match.start()].rstrip(), read_keyframes(match[1], "prompt")


def _split_numbers(text: str) -> tuple[str, list[float]]:
    """Take at most two numbers after colons from the end; a clock time is not a number."""
    numbers: list[float] = []
    while len(numbers) < 2 and not _CLOCK.search(text):
        head, colon, tail = text.rpartition(":")
        tail = tail.strip().replace("\u2212", "-")
        if not colon or head.endswith("\\") or not _NUMBER.fullmatch(tail):
            break
        numbers.insert(0, float(tail.replace(",", ".")))
        text = head.rstrip()
    return text, numbers


def _split(text: str, mark: str) -> Iterator[str]:
    """Split at every `mark` that is not escaped by a backslash."""
    yield from re.split(rf"(?<!\\){re.escape(mark)}", text)


def _without_fences(text: str) -> str:
    """Content of a code block, if the whole text is one, as chat programs write it."""
    match = _FENCED.fullmatch(text.strip())
    return text if match is None else match[1] if match[1] is not None else match[2]


def _without_hidden(text: str) -> str:
    """Replace every kind of whitespace by spaces; remove control characters, lone surrogates and direction marks."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    return "".join(char for char in spaced if unicodedata.category(char) not in ("Cc", "Cs") and char not in _HIDDEN)


def _explain_scene(scene: Scene) -> str:
    total = math.fsum(abs(prompt.weight) for prompt in scene.prompts)
    return ", ".join(_explain_prompt(prompt, total, alone=len(scene.prompts) == 1) for prompt in scene.prompts)


def _explain_prompt(prompt: TextPrompt, total: float, *, alone: bool) -> str:
    direction = "towards" if prompt.weight > 0 else "away from" if prompt.weight < 0 else "without regard to"
    share = "" if alone or not total else f", {abs(prompt.weight) / total:.0%} of the pull"
    stop = "" if prompt.stop == -math.inf else f", until the distance is {abs(prompt.stop):g}"
    return f"{direction} “{prompt.text}” (weight {prompt.weight:g}{share}{stop})"


def _outside(what: str, stop: object) -> Message:
    text = "The stop of {what} must be a number from {low} to {high}, not {given}."
    return Message(text, what=what, low=f"{-MAX_STOP:g}", high=f"{MAX_STOP:g}", given=str(stop)[:30])


def _invalid(template: str, /, **values: MessageValue) -> InvalidRequest:
    return InvalidRequest(Message(template, **values), "prompt")
