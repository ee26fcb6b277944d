"""`python -m training` runs all commands in order, and goes on where it stopped."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import COMMANDS, arguments_of, main


def test_a_failed_command_stops_the_run_and_the_next_run_begins_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        started.append(command[2].removeprefix("training."))
        return subprocess.CompletedProcess(command, int(started.count("halve") == 1 and started[-1] == "halve"))

    monkeypatch.setattr("training.__main__.subprocess.run", run)
    monkeypatch.setattr(sys, "argv", ["training", "--work", str(tmp_path / "new"), "--skip", "fetch"])
    with pytest.raises(SystemExit, match=r"training\.halve failed"):
        main()
    assert started == ["sprites", "compose", "vqgan", "perceptor", "decoder", "halve"]
    main()
    assert started[6:] == ["halve", "prior", "export", "prototypes"]
    main()
    assert len(started) == 10


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_knows_its_arguments(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = argparse.Namespace(work=tmp_path, device="cpu", threads=1, steps=1, pictures=2, out=tmp_path)
    read: list[argparse.Namespace] = []
    parse = argparse.ArgumentParser.parse_args

    def stop_after(parser: argparse.ArgumentParser, given: list[str]) -> None:
        read.append(parse(parser, given))
        raise KeyboardInterrupt

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda self: stop_after(self, sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", [name, *arguments_of(name, options)])
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module(f"training.{name}").main()
    assert read[0].work == tmp_path
