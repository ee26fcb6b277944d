"""Reports of campaigns: rows of tables in Markdown, and plain values for JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tests.faults import kills, network
from tests.faults.ledger import Account

Rows = list[list[str]]
KILL_HEAD = [
    "killed while", "kills", "jobs queued", "being painted", "with a snapshot", "being posted",
    "in Discord, not yet noted", "half-written files",
]  # fmt: skip
ORDEAL_HEAD = ["what went wrong", "times", "calls it happened to", "longest without gateway, s"]
OUTCOME_HEAD = ["", "done", "cancelled", "failed", "deleted by their owner", "all"]
ENDS = ("done", "cancelled", "failed", "deleted")


def kill_rows(campaign: kills.Campaign) -> Rows:
    """One row for each moment, with the sums of unfinished work at the kills."""
    rows = []
    for moment, found in campaign.by_moment().items():
        states = [sum(kill.states.get(state, 0) for kill in found) for state in ("queued", "running", "posting")]
        sums = [*states[:2], sum(kill.snapshots for kill in found), states[2]]
        sums += [sum(kill.unnoted for kill in found), sum(kill.half_written for kill in found)]
        rows.append([moment.value, str(len(found)), *map(str, sums)])
    return rows


def ordeal_rows(campaign: network.Campaign) -> Rows:
    """One row for each kind of fault."""
    rows = []
    for ordeal in network.Ordeal:
        away_s = campaign.away_s.get(ordeal)
        calls = "–" if away_s else str(campaign.calls[ordeal])
        rows.append([ordeal.value, str(campaign.happened[ordeal]), calls, f"{max(away_s):.1f}" if away_s else "–"])
    return rows


def outcome_rows(account: Account) -> Rows:
    """Rows of the outcomes of jobs: those that were acknowledged, and those whose answer did not reach Discord."""
    sides = {"acknowledged": account.outcomes, "answer lost on the way": account.unacknowledged}
    return [[name, *(str(ends[end]) for end in ENDS), str(ends.total())] for name, ends in sides.items()]


def in_words(account: Account) -> list[str]:
    """Remaining figures of an account, in words."""
    lines = [
        f"{account.asked} orders: {account.acknowledged} acknowledged, {account.refused} refused with a sentence, "
        f"{account.unanswered} without an answer ({account.thinking} of them with a sign of thinking).",
        f"{account.pictures} pictures compared with undisturbed ones, {account.interrupted_pictures} of them of the "
        f"{account.interrupted} jobs that were interrupted while they were painted.",
    ]
    lines += [f"Failed {count}: {reason}" for reason, count in account.reasons.items()]
    return lines + ([f"BROKEN: {text}" for text in account.broken] or ["Every promise was kept."])


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of a campaign
    """A campaign for JSON; `asdict` cannot copy a Counter."""
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
