"""Text as Discord's clients read it: the characters shown, and the parts with an effect. Any thread.

The rules are those of the clients in their order: an escape takes precedence, and the rest of a text is read from the
end of the last part. The inside of an effect is not read again: one is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
_BEGINNINGS = re.compile(r"#{1,3}\s|-#\s|>\s|>>>\s|[-*+]\s|\d+\.\s")
_EFFECTS = {
    "masked link": re.compile(r"\[(?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*\]\(\s*<?[^\s]*?>?\s*\)"),
    "mention": re.compile(r"<@[!&]?\d+>|@(?:everyone|here)\b"),
    "channel": re.compile(r"<#\d+>|<id:\w+>"),
    "command": re.compile(r"</[^>\n]+:\d+>"),
    "emoji": re.compile(r"<a?:\w+:\d+>|:[\w+-]+:"),
    "timestamp": re.compile(r"<t:-?\d+(?::\w)?>"),
    "link": re.compile(r"<?(?:https?|steam|discord)://[^\s<]+|<[^\s<>]+@[^\s<>]+>|<(?:tel|sms|mailto):[^>]+>"),
    "code": re.compile(r"(`+)[\s\S]*?[^`]\1(?!`)"),
    "spoiler": re.compile(r"\|\|[\s\S]+?\|\|"),
    "strike": re.compile(r"~~[\s\S]+?~~"),
    "emphasis": re.compile(r"(\*{1,3}|_{1,3})(?=\S)[\s\S]+?\1"),
}


@dataclass(frozen=True)
class Effect:
    """A part of a text that is not shown as it is."""

    kind: str
    source: str


def read(text: str) -> tuple[str, list[Effect]]:
    """Return the characters shown without an effect, and the parts with one."""
    shown, effects, at = "", list[Effect](), 0
    while at < len(text):
        begins = at == 0 or text[at - 1] == "\n"
        if (escaped := _ESCAPE.match(text, at)) is not None:
            shown, at = shown + escaped[1], escaped.end()
            continue
        found = next(((kind, hit) for kind, rule in _EFFECTS.items() if (hit := rule.match(text, at))), None)
        if found is None and begins and (hit := _BEGINNINGS.match(text, at)) is not None:
            found = "beginning", hit
        if found is None:
            shown, at = shown + text[at], at + 1
        else:
            effects.append(Effect(found[0], found[1][0]))
            at = found[1].end()
    return shown, effects
