"""The command line: backup, invitation, health, and an error message for every fault."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.files import DataFolder, Kind
from bot.monitoring.heartbeat import Heartbeat
from bot.store import Store

ROOT = Path(__file__).parents[2]
TOKEN = base64.b64encode(b"123456789012345678").decode().rstrip("=") + ".AAAAAA." + "b" * 27


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with an empty config.yaml, and its data folder."""
    (tmp_path / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path / "data"))
    for name in ("DISCORD_TOKEN", "DISCORD_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    yield tmp_path / "data"
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


async def make_database(folder: Path) -> None:
    folder.mkdir(parents=True)
    store = Store(folder / "reverie.db")
    await store.open()
    await store.figures.put_note("colour", "red")
    await store.close()


def test_backup_copies_the_database(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(make_database(folder))
    target = folder / "copy.db"
    assert main(["backup", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    with sqlite3.connect(target) as copy:
        found = copy.execute("SELECT value FROM notes").fetchall()
    copy.close()
    assert found == [("red",)]


@pytest.mark.parametrize("pictures", [(), ("--pictures",)])
def test_a_backup_is_readable_only_by_the_user_who_made_it(folder: Path, pictures: tuple[str, ...]) -> None:
    asyncio.run(make_database(folder))
    target = folder.parent / "copy"
    assert main(["backup", *pictures, str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["", "preview"])
def test_no_models_are_loaded_if_another_process_uses_the_data(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "config.yaml").write_text("models: imagenet-16384", "utf-8")  # they are not there
    if not place:
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    asyncio.run(make_database(folder / place))
    with sqlite3.connect(folder / place / "reverie.lock", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert main(["--port", "0"]) == 1
    other.close()
    assert "is in use by another Reverie" in capsys.readouterr().err


def test_a_backup_with_pictures_is_a_data_folder_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(make_database(folder))
    files = DataFolder(folder)
    for kind in Kind:
        files.write(kind, 3, 1, kind.name.encode())
    (folder / "exports").mkdir()
    (folder / "exports" / "somebodys.zip").write_bytes(b"private")
    target = folder.parent / "copy.zip"
    assert main(["backup", str(target), "--pictures"]) == 0
    assert "unpack the file into an empty data folder" in capsys.readouterr().out
    assert not list(folder.parent.glob(".copy*"))
    again = DataFolder(folder.parent / "again")
    with zipfile.ZipFile(target) as archive:
        archive.extractall(again.root)
    assert {path.name for path in again.root.iterdir()} == {"reverie.db", *(kind.value[0] for kind in Kind)}
    assert [again.read(kind, 3, 1) for kind in Kind] == [kind.name.encode() for kind in Kind]
    with sqlite3.connect(again.database) as copy:
        assert copy.execute("SELECT value FROM notes").fetchall() == [("red",)]
    copy.close()


def test_a_backup_with_pictures_to_nowhere_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(make_database(folder))
    assert main(["backup", str(folder / "nowhere" / "copy.zip"), "--pictures"]) == 1
    assert "copy.zip" in capsys.readouterr().err


def test_the_preview_is_backed_up_if_it_ran_alone_or_is_asked_for(folder: Path) -> None:
    asyncio.run(make_database(folder / "preview"))
    target = folder.parent / "copy.db"
    assert main(["backup", str(target)]) == 0
    assert target.is_file()
    asyncio.run(make_database(folder.parent / "other"))
    (folder.parent / "other" / "reverie.db").rename(folder / "reverie.db")
    with sqlite3.connect(folder / "preview" / "reverie.db") as database:
        database.execute("UPDATE notes SET value = 'of the preview'")
    database.close()
    for arguments, expected in ((["--preview", "backup"], "of the preview"), (["backup"], "red")):
        assert main([*arguments, str(target)]) == 0
        with sqlite3.connect(target) as copy:
            assert copy.execute("SELECT value FROM notes").fetchall() == [(expected,)]
        copy.close()


def test_a_backup_of_nothing_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "copy.db"]) == 1
    assert "There is no database to back up" in capsys.readouterr().err
    assert not folder.exists()


def test_invite_prints_the_address_by_id_or_by_token(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["invite", "--application", "77"]) == 0
    out = capsys.readouterr().out
    assert "client_id=77" in out and "applications.commands" in out
    assert "integration_type" not in out
    (folder.parent / "everybody.yaml").write_text("install: everybody\n", "utf-8")
    assert main(["--config", str(folder.parent / "everybody.yaml"), "invite", "--application", "77"]) == 0
    servers, people = capsys.readouterr().out.splitlines()
    assert servers == out.strip()
    assert people.endswith("client_id=77&scope=applications.commands&integration_type=1")
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert main(["invite"]) == 0
    assert "client_id=123456789012345678" in capsys.readouterr().out
    monkeypatch.delenv("DISCORD_TOKEN")
    assert main(["invite"]) == 1
    assert "--application ID" in capsys.readouterr().err


def test_health_distinguishes_a_running_bot_from_a_dead_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health"]) == 1
    assert "No bot is running" in capsys.readouterr().err
    folder.mkdir()
    Heartbeat(folder).write(True)
    assert main(["health"]) == 0
    Heartbeat(folder).write(False)
    assert main(["health"]) == 1
    assert "not connected" in capsys.readouterr().err
    (folder / "pulse.json").write_text(json.dumps({"at": time.time() - 300, "ready": True}), "utf-8")
    assert main(["health"]) == 1
    assert "not responded for 300 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("limits: {steps: 0}", "limits.steps in the config file must be a whole number from 1 to 5000."),
        ("colour: red", "Unknown key colour in the config file"),
        ("discord: {token: abc}", "the token does not belong in the config file"),
    ],
)
def test_a_broken_config_file_stops_it_with_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    (folder.parent / "config.yaml").write_text(text, "utf-8")
    assert main([]) == 1
    assert sentence in capsys.readouterr().err


def test_a_token_that_can_be_none_is_refused_without_being_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "not a token!")
    assert main([]) == 1
    err = capsys.readouterr().err
    assert "cannot be a bot token" in err and "not a token!" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--port", "99999"), "Argument --port: '99999' is not a port; give a number from 0 to 65535"),
        (("--port", "-1"), "Argument --port: '-1' is not a port"),
        (("--port", "web"), "Argument --port: 'web' is not a port"),
        (("invite", "--application", "abc"), "Argument --application: 'abc' is not the ID of an application"),
        (("invite", "--application", "-5"), "Argument --application: '-5' is not the ID of an application"),
        (("paint",), "Argument {backup,doctor,health,invite}: invalid choice: 'paint'"),
    ],
)
def test_wrong_arguments_get_one_message(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    said = capsys.readouterr()
    assert (caught.value.code, said.out) == (2, "")
    assert said.err.startswith(sentence) and said.err.count("\n") == 1
    assert ("https://discord.com/developers/applications" in said.err) is (arguments[0] == "invite")


def test_a_port_in_use_is_reported_before_models_are_loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "config.yaml").write_text("models: imagenet-16384", "utf-8")  # they are not there
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"The preview cannot open port {port}" in said and "choose another port" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("token", [False, True])
def test_an_unwritable_data_folder_is_reported_before_models_are_loaded(
    token: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "config.yaml").write_text("models: imagenet-16384", "utf-8")  # they are not there
    if token:
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    folder.write_text("a file", "utf-8")
    assert main(["--port", "0"]) == 1
    said = capsys.readouterr().err
    assert "cannot be used (" in said and "REVERIE_DATA" in said


@pytest.mark.parametrize(
    "arguments", [["--port", "0"], ["backup", "copy.db"], ["backup", "copy.zip", "--pictures"], ["health"], ["doctor"]]
)
def test_a_data_folder_that_cannot_be_searched_is_reported_by_every_command(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root may search every folder; a name that is too long is refused to everybody.
    monkeypatch.setenv("REVERIE_DATA", str(folder.with_name("x" * 300)))
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "cannot be used (" in said.out + said.err


def test_blanks_around_a_token_do_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", f"  {TOKEN}\n")
    assert main(["invite"]) == 0
    assert "client_id=123456789012345678" in capsys.readouterr().out


@pytest.mark.parametrize("token", [TOKEN.replace(".", " ", 1), f'"{TOKEN}"'])
def test_a_malformed_token_is_reported_with_the_page_for_a_new_one(
    token: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", token)
    assert main(["invite"]) == 1
    said = capsys.readouterr().err
    assert "https://discord.com/developers/applications" in said and TOKEN not in said


def test_a_clock_far_in_the_past_is_reported_at_the_start(folder: Path, tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    shift.write_text(str(-20 * 365 * 86_400))
    code = "import sys; from pathlib import Path; from tests.faults.launch_shifted import shift; "
    code += f"shift(Path({str(shift)!r})); from bot.__main__ import main; sys.exit(main(['--port', sys.argv[1]]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with socket.create_server(("127.0.0.1", 0)) as other:  # At its port the start ends, before models are loaded.
        command = [sys.executable, "-c", code, str(other.getsockname()[1])]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the clock of this machine says 20" in done.stderr and "timedatectl" in done.stderr
    assert "Traceback" not in done.stderr
