"""Figures of the campaigns: every moment and every ordeal has a row, and all of them can be written as JSON."""

from __future__ import annotations

import json
from collections import Counter

from tests.faults import kills, network, report
from tests.faults.ledger import Account


def test_kills_are_summed_by_moment() -> None:
    kill = kills.Kill(
        moment=kills.Moment.GENERATING, states={"running": 1, "queued": 2}, snapshots=1, unnoted=0, half_written=3,
        unanswered=0,
    )  # fmt: skip
    campaign = kills.Campaign(kills=[kill, kill])
    rows = {row[0]: row[1:] for row in report.kill_rows(campaign)}
    assert len(rows) == len(kills.Moment)
    assert rows["painting"] == ["2", "4", "2", "2", "0", "0", "6"]
    assert json.loads(json.dumps(report.plain(campaign)))["kills"][1]["states"] == {"running": 1, "queued": 2}


def test_faults_of_the_network_are_counted_by_kind() -> None:
    campaign = network.Campaign(
        happened=Counter({network.Ordeal.DNS: 2}), away_s={network.Ordeal.DNS: [1.0, 3.0]}, account=Account(asked=3)
    )
    rows = {row[0]: row[1:] for row in report.ordeal_rows(campaign)}
    assert len(rows) == len(network.Ordeal)
    assert rows[network.Ordeal.DNS.value] == ["2", "–", "3.0"]
    figures = json.loads(json.dumps(report.plain(campaign)))
    assert figures["happened"] == {"DNS fails, all connections cut": 2} and figures["account"]["asked"] == 3


def test_a_broken_promise_is_reported() -> None:
    assert report.in_words(Account())[-1] == "Every promise was kept."
    assert report.in_words(Account(broken=["job 1 never ended"]))[-1] == "BROKEN: job 1 never ended"
    ends = report.outcome_rows(Account(outcomes=Counter(done=2, failed=1)))
    assert ends[0] == ["acknowledged", "2", "0", "1", "0", "3"]
