"""Run a command of the bot as its systemd service runs: its user, environment, token, data folder and restrictions.

    sudo python3 /opt/reverie/deploy/as_service.py doctor --online

All of that is read from the installed unit with its drop-ins, so that the doctor sees what the service will see. Runs
with the system's own Python, and needs nothing else but systemd.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

UNIT, TRANSIENT = "reverie.service", "reverie-command.service"
OWN = ("Type", "Exec", "Restart", "KillMode", "Timeout")
"""Beginnings of settings that concern the service as a process that stays."""


def main(words: Sequence[str]) -> int:
    """Return the exit status of the command, or 1 after a sentence that says what is missing."""
    if shutil.which("systemd-run") is None or os.geteuid() != 0:
        sys.stderr.write("This needs systemd and root's rights: sudo python3 deploy/as_service.py doctor\n")
        return 1
    command = ["systemctl", "cat", UNIT]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if shown.returncode:
        sys.stderr.write(f"{UNIT} is not installed; docs/hosting.md says how.\n")
        return 1
    return subprocess.run(line(shown.stdout, words), check=False).returncode  # noqa: S603 - the unit's own settings


def line(unit: str, words: Sequence[str]) -> list[str]:
    """Return the command line of systemd-run for the text of a unit and its drop-ins."""
    found = list(settings(unit))
    start = shlex.split(next(value for name, value in reversed(found) if name == "ExecStart"))
    kept = [f"{name}={value.replace(UNIT, TRANSIENT)}" for name, value in found if not name.startswith(OWN)]
    given = [word for each in kept for word in ("--property", each)]
    return [
        "systemd-run",
        "--quiet",
        "--wait",
        "--collect",
        "--pipe",
        "--unit",
        TRANSIENT,
        *given,
        "--",
        *start,
        *words,
    ]


def settings(unit: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each setting of the section Service, in order."""
    section = ""
    for text in unit.splitlines():
        if text.startswith("["):
            section = text.strip()
        elif section == "[Service]" and "=" in text and not text.startswith(("#", ";")):
            name, _, value = text.partition("=")
            yield name, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
