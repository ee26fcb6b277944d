"""Components of messages: their tree, and Discord's rules for those of version 2. Plain values; any thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

V2 = 1 << 15
"""The flag of a message with components of version 2; it is never taken off."""
SUPPRESS_EMBEDS = 1 << 2
ACTION_ROW, TEXT = 1, 10
VERSION_2 = range(9, 18)
"""Types of components that only a message with the flag may hold."""
MOST, MOST_ROWS, CHARACTERS = 40, 5, 4_000
Payload = dict[str, Any]


def walk(components: list[Payload]) -> Iterator[Payload]:
    """All components in order, those in rows, sections, containers and labels too."""
    for item in components:
        yield item
        inside = [*item.get("components", []), item.get("accessory"), item.get("component")]
        yield from walk([one for one in inside if one is not None])


def texts(components: list[Payload]) -> list[str]:
    """The texts of components, in order."""
    return [item["content"] for item in walk(components) if item["type"] == TEXT]


def media(components: list[Payload]) -> list[str]:
    """The addresses of pictures, films and files that components show, in order."""
    found = []
    for item in walk(components):
        shown = [item.get("media"), item.get("file"), *(one["media"] for one in item.get("items", []))]
        found += [one["url"] for one in shown if one is not None]
    return found


def broken_rules(
    flags: int, content: str, embeds: list[Payload], components: list[Payload], files: list[str]
) -> Iterator[str]:
    """The rules that a message breaks; `files` are the names of its files."""
    every = list(walk(components))
    if flags & V2:
        if content or embeds:
            yield "content and embeds are refused beside the flag of Components V2"
        if not components:
            yield "a message with the flag of Components V2 holds no component"
    else:
        if any(item["type"] in VERSION_2 for item in every):
            yield "components of version 2 without the flag"
        if len(components) > MOST_ROWS:
            yield f"more than {MOST_ROWS} rows"
    if len(every) > MOST:
        yield f"more than {MOST} components"
    if sum(map(len, texts(components))) > CHARACTERS:
        yield f"texts of more than {CHARACTERS} characters"
    for name in ("custom_id", "id"):
        ids = [item[name] for item in every if item.get(name)]
        if len(ids) != len(set(ids)):
            yield f"{'a custom' if name == 'custom_id' else 'an'} id twice: {sorted(ids)}"
    missing = {url.removeprefix("attachment://") for url in media(components) if url.startswith("attachment://")}
    if missing - set(files):
        yield f"no file has these names: {sorted(missing - set(files))}"
