"""The systemd unit: understood by systemd where it is there, hardened, and not so hard that the GPU is hidden."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bot.__main__ import _parser
from bot.environment import DATA, TOKEN_FILE
from deploy.as_service import line

UNIT = Path(__file__).parents[2] / "deploy" / "reverie.service"
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectKernelModules": "yes",
    "RestrictSUIDSGID": "yes",
    "CapabilityBoundingSet": "",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
}
HIDES_THE_GPU = {"PrivateDevices", "DeviceAllow", "DevicePolicy", "ProtectClock", "MemoryDenyWriteExecute"}


def directives(section: str) -> list[tuple[str, str]]:
    """Name and value of each line of a section, in order; a name may come more than once."""
    found: list[tuple[str, str]] = []
    current = ""
    for row in UNIT.read_text("utf-8").splitlines():
        if head := re.fullmatch(r"\[(\w+)\]", row):
            current = head[1]
        elif row and not row.startswith("#"):
            name, sign, value = row.partition("=")
            assert sign and re.fullmatch(r"[A-Z]\w+", name), row
            if current == section:
                found.append((name, value))
    return found


def values(name: str) -> list[str]:
    return [value for found, value in directives("Service") if found == name]


@pytest.mark.parametrize(("name", "value"), HARDENED.items())
def test_the_service_is_hardened(name: str, value: str) -> None:
    assert values(name) == [value]


def test_nothing_hides_the_gpu_or_keeps_torch_from_working() -> None:
    assert HIDES_THE_GPU & {name for name, _ in directives("Service")} == set()


def test_it_runs_the_bot_with_arguments_that_the_bot_takes() -> None:
    (command,) = values("ExecStart")
    python, *arguments = command.split()
    assert python == f"{values('WorkingDirectory')[0]}/.venv/bin/python" and arguments[:2] == ["-m", "bot"]
    assert str(_parser().parse_args(arguments[2:]).config) == "/etc/reverie/config.yaml"


def test_the_token_comes_as_a_credential_and_the_data_have_a_folder() -> None:
    name, _, source = values("LoadCredential")[0].partition(":")
    environment = dict(value.split("=", 1) for value in values("Environment"))
    assert source.startswith("/etc/reverie/")
    # %d, systemd's own name for this folder, is younger than the systemd of Ubuntu 22.04.
    assert environment[TOKEN_FILE] == f"/run/credentials/{UNIT.name}/{name}"
    assert environment[DATA] == f"/var/lib/{values('StateDirectory')[0]}"
    assert not any("TOKEN=" in value for value in values("Environment"))


def test_a_command_runs_with_all_settings_of_the_service_but_those_of_a_process_that_stays() -> None:
    unit = UNIT.read_text("utf-8") + "\n# a drop-in\n[Service]\nEnvironment=HTTPS_PROXY=http://proxy\n"
    command = line(unit, ["doctor", "--online"])
    given = [after for before, after in pairwise(command) if before == "--property"]
    left_out = {"Type", "ExecStartPre", "ExecStart", "Restart", "RestartSec", "KillMode", "TimeoutStopSec"}
    assert {each.partition("=")[0] for each in given} == {name for name, _ in directives("Service")} - left_out
    assert "User=reverie" in given and "Environment=HTTPS_PROXY=http://proxy" in given
    assert command[command.index("--") + 1 :] == [*values("ExecStart")[0].split(), "doctor", "--online"]


def test_a_command_finds_the_token_among_its_own_credentials() -> None:
    command = line(UNIT.read_text("utf-8"), ["doctor"])
    assert f"Environment={TOKEN_FILE}=/run/credentials/{command[command.index('--unit') + 1]}/discord_token" in command


def test_it_starts_again_after_a_crash_for_as_long_as_it_takes_and_has_time_to_stop() -> None:
    assert values("Restart") == ["on-failure"] and ("StartLimitIntervalSec", "0") in directives("Unit")
    assert int(values("TimeoutStopSec")[0]) >= 60 and values("KillMode") == ["mixed"]


def test_systemd_understands_it(tmp_path: Path) -> None:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("there is no systemd here")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/reverie", str(tmp_path)), "utf-8")
    done = subprocess.run([command, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (
        0,
        "",
        [],
    )
    broken = tmp_path / "broken.service"
    broken.write_text(unit.read_text("utf-8").replace("ProtectSystem=strict", "ProtectSystem=maybe"), "utf-8")
    done = subprocess.run([command, "verify", str(broken)], capture_output=True, text=True, check=False)
    assert "Failed to parse protect system value" in done.stderr


def test_systemd_finds_it_little_exposed() -> None:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("there is no systemd here")
    arguments = ["security", "--offline=true", "--threshold=25", "--no-pager", str(UNIT)]
    assert subprocess.run([command, *arguments], capture_output=True, check=False).returncode == 0
