"""Expansion of one prompt into many: `{red, blue} cat` and lists of a server such as `__animals__`. Pure; any thread.

A group in braces needs a comma; a backslash before a brace or a comma makes it an ordinary character. `__animals__`
stands for every entry of the list, `__animals:2__` for two drawn at random; where there are no lists, both are text.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from bot.errors import InvalidJobSpec, NotFound, OverLimit

LIST_NAME = re.compile(r"[A-Za-z0-9]+(?:[-_]?[A-Za-z0-9]+)*")
_PART = re.compile(
    rf"(?<!\\)\{{(?P<group>(?:\\.|[^{{}}\\])*)\}}"
    rf"|(?<![\w\\])__(?P<name>{LIST_NAME.pattern})(?::(?P<draws>[0-9]{{1,3}}))?__(?!\w)"
)
_COMMA = re.compile(r"(?<!\\),")
_ESCAPED = re.compile(r"\\([{},])")


@dataclass(frozen=True)
class Expansion:
    """The prompts of a prompt, and the alternatives of each of its groups."""

    prompts: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def axes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels for the columns and rows of a sheet of the pictures; empty unless there are one or two groups."""
        if len(self.prompts) != math.prod(map(len, self.groups)):
            return (), ()
        if len(self.groups) == 1:
            return self.groups[0], ()
        return (self.groups[1], self.groups[0]) if len(self.groups) == 2 else ((), ())


def expanded(prompt: str, lists: Mapping[str, Sequence[str]], most: int) -> Expansion:
    """Expand a prompt; the last group changes fastest. A prompt without groups stays as it is.

    Raises:
        NotFound: if there is no such list.
        InvalidJobSpec: for a draw of none or of more than there are.
        OverLimit: if there are more than `most` prompts; nothing of that size is built.
    """
    texts, groups, at = list[str](), list[tuple[str, ...]](), 0
    for match in _PART.finditer(prompt):
        if match["group"] is not None:
            group = _alternatives(match["group"])
        else:
            group = _of_list(match, lists) if lists else None
        if group is None:
            continue
        texts.append(_plain(prompt[at : match.start()]))
        groups.append(group)
        at = match.end()
    if not groups:
        return Expansion((_plain(prompt),))
    count = math.prod(map(len, groups))
    if count > most:
        raise OverLimit("over_batch", count=count, most=most)
    found = []
    for chosen in product(*groups):
        parts = (part for pair in zip(texts, chosen, strict=True) for part in pair)
        found.append(re.sub(" {2,}", " ", "".join(parts) + _plain(prompt[at:])).strip())
    return Expansion(tuple(dict.fromkeys(found)), tuple(groups))


def _alternatives(group: str) -> tuple[str, ...] | None:
    """The alternatives of a group; None if it has no comma."""
    found = tuple(_plain(part.strip()) for part in _COMMA.split(group))
    return found if len(found) > 1 else None


def _of_list(match: re.Match[str], lists: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    known = {name.casefold(): entries for name, entries in lists.items()}
    entries = known.get(match["name"].casefold())
    if entries is None:
        names = ", ".join(f"__{name}__" for name in sorted(lists)) or "–"
        raise NotFound("wildcard_unknown", name=f"__{match['name'][:40]}__", known=names)
    if match["draws"] is None:
        return tuple(entries)
    draws = int(match["draws"])
    if not 1 <= draws <= len(entries):
        raise InvalidJobSpec("wildcard_draws", field="prompt", name=match["name"], high=len(entries))
    return tuple(random.SystemRandom().sample(list(entries), draws))


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
