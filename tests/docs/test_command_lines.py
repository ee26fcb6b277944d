"""Command lines: every flag is documented, and every command line shown is valid for our programs."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields

import pytest

from bot import __main__ as bot_program
from generator import GeneratorError, Settings
from generator.cli import arguments
from generator.cli import models as models_cli
from tests.docs.conftest import DOCUMENTS, ROOT, Document

RUNS = re.compile(r"python3? -m (bot|generator|docs\.\w+|training\.\w+|benchmarks\.\w+|deploy\.\w+)(?![\w.])(.*)")
SHELL = ("sh", "", "bash")
ENDS = {"&&", "||", ";", "|", ">", "&"}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def all_parsers() -> list[argparse.ArgumentParser]:
    ours = (arguments.imagine_parser(), arguments.film_parser(), arguments.again_parser(), models_cli._parser())
    roots = (bot_program._parser(), *ours)
    return [each for root in roots for each in parsers(root)]


def shell_lines(document: Document) -> Iterator[str]:
    """Return the lines of a document's shell blocks, continued ones joined, and command lines in backticks."""
    for block in document.blocks(*SHELL):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from document.spans()


def command_lines() -> list[tuple[str, str, str]]:
    """Return file, module and arguments of every Reverie command line in the documents."""
    found = []
    for document in DOCUMENTS:
        for line in shell_lines(document):
            for part in line.split("&&"):
                if match := RUNS.search(part):
                    found.append((document.path.name, match[1], match[2]))
                elif match := re.search(r"(?:docker compose run --rm bot|deploy/as_service\.py) (.+)", part):
                    found.append((document.path.name, "bot", match[1]))
                elif match := re.search(r"docker compose run .*--entrypoint python bot -m generator (.+)", part):
                    found.append((document.path.name, "generator", match[1]))
    return found


def words_of(text: str) -> list[str]:
    """Return the arguments of a shell line, up to the end of the command."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&;|<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    end = next((number for number, word in enumerate(words) if word in ENDS), len(words))
    return [word for word in words[:end] if word not in ("…", "...")]


def commands() -> set[str]:
    """The commands of the bot's program."""
    (action,) = [each for each in bot_program._parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return set(action.choices)


def accepts(module: str, words: list[str]) -> bool:
    """True if the program accepts these arguments."""
    if module == "bot":
        parser = bot_program._parser()
    elif words[:1] == ["again"]:
        parser, words = arguments.again_parser(), words[1:]
    elif words[:1] == ["film"]:
        parser, words = arguments.film_parser(), words[1:]
    elif words[:1] == ["models"]:
        parser, words = models_cli._parser(), words[1:]
    else:
        parser = arguments.imagine_parser()
    try:
        parser.parse_args(words)
    except SystemExit as exc:
        return exc.code == 0
    except GeneratorError:
        return False
    return True


def test_every_flag_is_documented() -> None:
    texts = "\n".join(item.text for item in DOCUMENTS)
    flags = {flag for parser in all_parsers() for action in parser._actions for flag in action.option_strings}
    settings = {f"--{item.name.replace('_', '-')}" for item in fields(Settings)}
    assert "Every setting of [configuration.md](configuration.md#generator) is a flag" in texts
    assert len(flags - settings) > 15
    assert {flag for flag in flags - settings if not re.search(rf"{flag}(?![\w-])", texts)} == set()


def test_every_command_of_our_programs_is_documented(document: dict[str, Document]) -> None:
    spans = {span.split()[0] for span in document["command-line.md"].spans()}
    assert commands() <= spans


def test_every_command_line_that_is_shown_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [line for line in command_lines() if line[1] in ("bot", "generator")]
    assert len(shown) > 20
    # A command mentioned in prose may lack its arguments.
    spoken_of = {*commands(), "again"}
    shown = [line for line in shown if line[2].strip() not in spoken_of]
    refused = [f"{name}: {module}{text}" for name, module, text in shown if not accepts(module, words_of(text))]
    capsys.readouterr()
    assert refused == []


def test_command_lines_that_make_no_sense_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert accepts("bot", words_of(" doctor --online  # a comment"))
    assert not accepts("bot", words_of(" doctor --offline"))
    assert not accepts("bot", words_of(" dance"))
    assert not accepts("generator", words_of(' "a cat" --wings 2'))
    assert not accepts("generator", words_of(" models steal x"))
    capsys.readouterr()


def test_every_other_module_that_is_shown_is_there() -> None:
    modules = {module for _, module, _ in command_lines() if "." in module}
    places = {name: ROOT / name.replace(".", "/") for name in modules}
    programs = {name: (place.with_suffix(".py"), place / "__main__.py") for name, place in places.items()}
    assert [name for name, files in programs.items() if not any(file.is_file() for file in files)] == []


def test_every_make_target_that_is_shown_is_there() -> None:
    make = shutil.which("make")
    assert make is not None
    listed = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  (\w+) ", listed, re.MULTILINE))
    shown = {
        name
        for document in DOCUMENTS
        for line in shell_lines(document)
        for name in re.findall(r"^(?:.*&& )?make ([a-z]+)\b", line)
    }
    assert len(shown) > 3
    assert shown - targets == set()


def test_arguments_from_make_are_accepted_by_the_bot(capsys: pytest.CaptureFixture[str]) -> None:
    given = [
        match[1].strip('"')
        for document in DOCUMENTS
        for line in shell_lines(document)
        for match in re.finditer(r"make run ARGS=(\"[^\"]*\"|\S+)", line)
    ]
    assert len(given) > 2
    assert [text for text in given if "…" not in text and not accepts("bot", words_of(text))] == []
    capsys.readouterr()
