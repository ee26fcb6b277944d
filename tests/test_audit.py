"""The look-up of known vulnerabilities: its output, its failures, and no success without a look-up."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent.parent / ".ci" / "audit.py"
_spec = importlib.util.spec_from_file_location("audit", PATH)
assert _spec is not None and _spec.loader is not None
audit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(audit)


def package(name: str, *vulns: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(vulns)}


def vulnerability(number: int, *mended: str) -> dict[str, Any]:
    return {"id": f"PYSEC-{number}", "aliases": [f"CVE-{number}"], "fix_versions": list(mended)}


def test_a_vulnerability_with_a_mended_version_fails_and_names_both() -> None:
    lines, failed = audit.report([package("a"), package("b", vulnerability(7, "1.1"))], {})
    assert failed
    assert lines[0] == "b 1.0: CVE-7 PYSEC-7 (mended in 1.1)"
    assert lines[-1] == "Known vulnerabilities: 1 in 2 requirements."


def test_a_vulnerability_without_a_fix_is_printed_and_does_not_fail() -> None:
    lines, failed = audit.report([package("b", vulnerability(7))], {})
    assert not failed
    assert "no version mends it yet" in lines[0]


def test_ignored_findings_are_printed_with_their_reason() -> None:
    lines, failed = audit.report([package("b", vulnerability(7, "1.1"))], {"CVE-7": "we never call it"})
    assert not failed
    assert "ignored: we never call it" in lines[0]


def test_a_run_without_checks_says_so() -> None:
    for found in ([], [{"name": "a", "skip_reason": "not found"}]):
        lines, failed = audit.report(found, {})
        assert not failed
        assert "NOTHING WAS CHECKED" in lines[0]


def test_omitted_parts_are_named() -> None:
    lines, _ = audit.report([package("a"), {"name": "torch", "skip_reason": "not found"}], {})
    assert lines[-1] == "Not checked: torch."


def test_every_ignored_vulnerability_has_a_reason() -> None:
    assert all(len(reason) > 10 for reason in audit.IGNORED.values())
    assert all((PATH.parent.parent / name).exists() for name in audit.FILES)
