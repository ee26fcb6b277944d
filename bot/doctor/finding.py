"""The result of one check, and the table of all results. Pure; any thread."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

from bot.texts import say

WIDTHS = (14, 5, 44, 51)
"""Widths of the columns check, state, found and advice in characters; 120 with the spaces between them."""


class State(Enum):
    """Result of a check."""

    OK = "ok"
    WARN = "warn"
    """The bot works, but the host may want to change this."""
    FAIL = "fail"
    """The bot does not start or cannot generate."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: key of the check in bot/texts, without `check_`.
        state: result of the check.
        found: the facts found.
        advice: how to fix it; empty if there is nothing to do.
    """

    check: str
    state: State
    found: str
    advice: str = ""


def table(findings: Sequence[Finding], language: str = "en") -> str:
    """Format all findings as a table of four columns, followed by a summary."""
    head = [say(f"doctor_{name}", language) for name in ("check", "state", "found", "advice")]
    rows = [_row(head), "-" * (sum(WIDTHS) + 2 * (len(WIDTHS) - 1))]
    for item in findings:
        state = say(f"doctor_{item.state.value}", language)
        rows.append(_row([say(f"check_{item.check}", language), state, item.found, item.advice]))
    failed = sum(item.state is State.FAIL for item in findings)
    end = say("doctor_bad", language, count=failed) if failed else say("doctor_good", language)
    return "\n".join([*rows, "", end])


def _row(cells: Sequence[str]) -> str:
    """Format a row of cells, each wrapped to as many lines as it needs."""
    columns = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(cells, WIDTHS, strict=True)
    ]
    lines = zip_longest(*columns, fillvalue="")
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, WIDTHS, strict=True)).rstrip() for line in lines
    )
