"""`python .ci/audit.py`: are the pinned requirements free of known vulnerabilities that a newer version mends?

pip-audit looks each of them up. Findings are printed. The exit status is 1 where a finding has a mended version and
is not named in IGNORED. Where the database cannot be reached, nothing was checked: that is said, and is no failure,
since everything else here works without a network too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("", "-preview", "-film", "-safety", "-dev", "-train", "-ray", "-notebook", "-setup")
FILES = tuple(f"requirements{part}.txt" for part in PARTS)
IGNORED: Mapping[str, str] = {}
"""Ids of vulnerabilities that do not concern us, each with the reason."""
PATIENCE_S, SOCKET_S = 120, 10


def main() -> int:
    """Look the requirements up, print what was found, and say whether something must be done."""
    found = look_up(FILES)
    lines, failed = report(found, IGNORED)
    sys.stdout.write("\n".join(lines) + "\n")
    return int(failed)


def look_up(files: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return pip-audit's entry for each requirement; the list is empty if it cannot reach the database."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "--desc", "off", "--timeout", str(SOCKET_S)]
    command += [part for name in files for part in ("--requirement", name)]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return list(json.loads(done.stdout)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []


def report(found: Sequence[Mapping[str, Any]], ignored: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return the lines to print, and true if a vulnerability must be fixed."""
    names = {item["name"] for item in found}
    checked = {item["name"] for item in found if "vulns" in item}
    if not checked:
        return ["Known vulnerabilities: NOTHING WAS CHECKED, the database of vulnerabilities cannot be reached."], False
    lines, failed, seen = [], False, set[tuple[str, str]]()
    for item in found:
        for one in item.get("vulns", []):
            ids = {one["id"], *one.get("aliases", [])}
            if (item["name"], one["id"]) in seen:
                continue
            seen.add((item["name"], one["id"]))
            reason = next((ignored[name] for name in sorted(ids) if name in ignored), None)
            mended = ", ".join(one.get("fix_versions", []))
            what = f"ignored: {reason}" if reason else f"mended in {mended}" if mended else "no version mends it yet"
            lines.append(f"{item['name']} {item['version']}: {' '.join(sorted(ids))} ({what})")
            failed = failed or bool(mended and not reason)
    lines.append(f"Known vulnerabilities: {len(seen)} in {len(checked)} requirements.")
    if names - checked:
        lines.append(f"Not checked: {', '.join(sorted(names - checked))}.")
    return lines, failed


if __name__ == "__main__":
    sys.exit(main())
