"""Documented command lines run, if they need no network and no large models."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bot import __main__ as bot_program
from generator import read_recipe
from generator.cli import main as cli
from tests.docs.conftest import ROOT
from tests.docs.test_command_lines import command_lines, words_of

QUICK = ("--steps", "4", "--candidates", "1", "--cutouts", "4")
SMALL = ("--size", "64")
"""Options added to a line to make it quick; a size only where it names none."""


def lines(document: str, module: str) -> list[list[str]]:
    return [words_of(text) for name, its, text in command_lines() if (name, its) == (document, module)]


@pytest.mark.slow
def test_the_examples_for_pictures_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (80, 60), "teal").save("cat.jpg")
    examples = [words for words in lines("command-line.md", "generator") if words[0] not in ("models", "again", "film")]
    assert len(examples) >= 5
    stop_after_a_step(examples[0])
    for words in examples:
        assert cli.main([*words, *quick(words)]) == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
    assert read_recipe(Path("apple.png").read_bytes()).request.prompt == "a red apple"
    assert cli.main(["again", "apple.png", "--output", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("apple.png").read_bytes()


def quick(words: list[str]) -> tuple[str, ...]:
    if "--resume" in words:
        return ()
    return QUICK if "--size" in words else QUICK + SMALL


def stop_after_a_step(words: list[str]) -> None:
    """Begin a picture from the command line and press Ctrl-C: the dream can be resumed."""
    command = [sys.executable, "-m", "generator", *words, *quick(words), "--json", "--preview-every", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130


@pytest.mark.parametrize("words", [["--help"], ["models"], ["models", "list"]])
def test_informational_commands_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert words in lines("README.md", "generator") + lines("command-line.md", "generator")
    try:
        status: object = cli.main(words)
    except SystemExit as exc:
        status = exc.code
    assert status == 0
    assert capsys.readouterr().out


def test_the_invitation_of_hosting_md_is_a_link(capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = [words for words in lines("hosting.md", "bot") if "--application" in words]
    assert bot_program.main(words) == 0
    assert f"client_id={words[-1]}" in capsys.readouterr().out
