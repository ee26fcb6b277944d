"""The doctor: its findings about real faults, and that it changes nothing."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.config import Config, ModelSets
from bot.doctor import State, examine, table
from bot.doctor.belongings import check_config, check_database, check_disk, check_login, check_models, check_token
from bot.doctor.finding import Finding
from bot.store import Store
from bot.store.connection import APPLICATION_ID, migrations
from tests.discord_fake import TOKEN as FAKE_TOKEN
from tests.discord_fake import FakeDiscord, pointed_at

ROOT = Path(__file__).parents[3]
TOKEN = base64.b64encode(b"123456789012345678").decode().rstrip("=") + ".AAAAAA." + "b" * 27


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a database."""
    folder = tmp_path / "data"
    folder.mkdir()
    asyncio.run(made(folder / "reverie.db"))
    return folder


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A folder in which this user cannot make files; for root, only the kernel's own folder refuses."""
    if os.geteuid() == 0:
        return Path("/proc/self")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    return folder


async def made(path: Path) -> None:
    store = Store(path)
    await store.open()
    await store.figures.put_note("colour", "red")
    await store.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def changed(path: Path, sql: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute(sql)
    db.close()


def test_a_valid_config_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("device: cpu", "utf-8")
    finding, config = check_config(path)
    assert finding.state is State.OK and config.device == "cpu"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("limits: {steps: 0}", "limits.steps in the config file must be a whole number from 1 to 5000."),
        ("colour: red", "Unknown key colour"),
        ("models: [", "not valid YAML: line 1"),
        ("- models", "must contain keys and values"),
        ("\0\1\2", "not valid YAML"),
        (None, "does not exist"),
    ],
)
def test_a_config_file_that_cannot_be_used_is_named_with_its_fault(
    tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content, "utf-8")
    finding, config = check_config(path)
    assert finding.state is State.FAIL and says in finding.found and finding.advice
    assert config == Config()


def test_a_config_file_that_is_a_folder_is_a_finding(tmp_path: Path) -> None:
    assert check_config(tmp_path)[0].state is State.FAIL


def test_a_whole_database_is_found_with_its_version_and_left_as_it_is(data: Path) -> None:
    before = contents(data)
    finding = check_database(data)
    assert finding.state is State.OK and f"version {len(migrations())}" in finding.found
    assert contents(data) == before


def test_no_database_is_no_fault_and_none_is_made(tmp_path: Path) -> None:
    assert check_database(tmp_path / "data").state is State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_in_use_can_be_looked_at(data: Path) -> None:
    async def look() -> Finding:
        store = Store(data / "reverie.db")
        await store.open()
        try:
            return await asyncio.to_thread(check_database, data)
        finally:
            await store.close()

    assert asyncio.run(look()).state is State.OK


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = os.urandom(4096)
    path.write_bytes(content)


def replace_by_text(path: Path) -> None:
    path.write_text("this is no database at all, but a letter to somebody else\n" * 200, "utf-8")


def replace_by_a_foreign_one(path: Path) -> None:
    path.unlink()
    changed(path, "CREATE TABLE sheep (wool INTEGER)")


def make_it_newer(path: Path) -> None:
    changed(path, f"PRAGMA user_version = {len(migrations()) + 1}")


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (cut_in_half, "is damaged"),
        (overwrite_a_page, "is damaged"),
        (replace_by_text, "is damaged"),
        (replace_by_a_foreign_one, "another program"),
        (make_it_newer, "newer version of Reverie"),
        (replace_by_a_folder, "cannot be used"),
    ],
)
def test_a_harmed_database_is_a_failure_with_advice(data: Path, harm: object, says: str) -> None:
    path = data / "reverie.db"
    harm(path)  # type: ignore[operator]
    finding = check_database(data)
    assert finding.state is State.FAIL and says in finding.found and finding.advice


def test_a_database_of_an_older_version_is_a_warning(tmp_path: Path) -> None:
    changed(tmp_path / "reverie.db", f"PRAGMA application_id = {APPLICATION_ID}")
    finding = check_database(tmp_path)
    assert finding.state is State.WARN and "version 0 of" in finding.found
    assert finding.advice.startswith("Nothing")


def test_a_data_folder_that_can_be_written_to_is_left_empty(tmp_path: Path) -> None:
    assert check_disk(tmp_path).state is State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    finding = check_disk(tmp_path / "deep" / "data")
    assert finding.state is State.OK and "first start" in finding.found
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_cannot_be_written_to_is_a_failure(locked: Path) -> None:
    for folder in (locked, locked / "data"):
        finding = check_disk(folder)
        assert finding.state is State.FAIL and str(locked) in finding.found and "REVERIE_DATA" in finding.advice


def test_a_data_folder_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", "utf-8")
    assert check_disk(tmp_path / "data").state is State.FAIL
    assert check_disk(tmp_path / "data" / "below").state is State.FAIL


def test_the_shipped_models_are_whole() -> None:
    [finding] = check_models(Config())
    assert finding.state is State.OK


def test_every_offered_set_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    findings = check_models(Config(models=ModelSets(offered=["faceshq"])))
    assert [finding.state for finding in findings] == [State.OK, State.FAIL]
    assert "models fetch faceshq" in findings[1].advice


def test_models_that_were_not_fetched_are_named_with_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    [finding] = check_models(Config(models=ModelSets(default="imagenet-1024")))
    assert finding.state is State.FAIL
    assert "vqgan_imagenet_f16_1024.ckpt" in finding.found and "ViT-B-32.pt" in finding.found
    assert "models fetch imagenet-1024" in finding.advice and str(tmp_path / "models") in finding.advice


def test_a_model_file_that_is_not_what_was_published_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vqgan_imagenet_f16_1024.ckpt").touch()
    (tmp_path / "models" / "ViT-B-32.pt").write_bytes(b"<html>not found</html>")
    [finding] = check_models(Config(models=ModelSets(default="imagenet-1024")))
    assert finding.state is State.FAIL
    assert "ckpt is empty" in finding.found and "ViT-B-32.pt is not the file that was published" in finding.found


def test_ones_own_files_are_looked_at_in_place_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    (tmp_path / "my.ckpt").write_bytes(b"not empty")
    (tmp_path / "my.yaml").write_text("model: {}", "utf-8")
    named = {"vqgan": str(tmp_path / "my.ckpt"), "vqgan_config": str(tmp_path / "my.yaml")}
    [finding] = check_models(Config(**named, perceptors=["RN50"]))
    assert finding.state is State.FAIL and finding.found == "own-my: missing files: RN50.pt"
    [finding] = check_models(Config(vqgan=str(tmp_path / "other.ckpt"), vqgan_config=named["vqgan_config"]))
    assert finding.state is State.FAIL and "other.ckpt' is no file" in finding.found


def test_models_that_nobody_knows_are_a_failure() -> None:
    [finding] = check_models(Config(models=ModelSets(default="nonsense")))
    assert finding.state is State.FAIL and "imagenet-16384" in finding.found


def test_a_token_is_found_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", "utf-8")
    for environ in ({"DISCORD_TOKEN": TOKEN}, {"DISCORD_TOKEN_FILE": str(file)}):
        finding, token = check_token(environ)
        assert finding.state is State.OK and token == TOKEN
        assert TOKEN not in f"{finding}" and TOKEN[:24] not in f"{finding}"


def test_no_token_is_a_warning() -> None:
    finding, token = check_token({})
    assert finding.state is State.WARN and token is None and "preview" in finding.advice


@pytest.mark.parametrize("kind", ["missing", "empty", "folder", "binary", "words"])
def test_a_token_file_that_cannot_be_used_is_a_failure(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "token"
    contents = {"empty": b" \n", "binary": b"\xff\xfe\0", "words": b"the token is secret"}
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        file.write_bytes(contents[kind])
    finding, token = check_token({"DISCORD_TOKEN_FILE": str(file)})
    assert finding.state is State.FAIL and token is None and "DISCORD_TOKEN_FILE" in finding.found
    assert "secret" not in finding.found


async def test_a_login_returns_the_bots_name() -> None:
    async with FakeDiscord() as fake:
        with pointed_at(fake.url):
            finding = await asyncio.to_thread(check_login, FAKE_TOKEN, True)
    assert finding.state is State.OK and "the bot is" in finding.found


async def test_a_token_that_discord_does_not_take_is_a_failure() -> None:
    async with FakeDiscord() as fake:
        with pointed_at(fake.url):
            finding = await asyncio.to_thread(check_login, TOKEN, True)
    assert finding.state is State.FAIL and "rejected the token" in finding.found
    assert TOKEN not in f"{finding}" and finding.advice


async def test_no_network_is_a_failure_with_a_sentence() -> None:
    async with FakeDiscord() as fake:
        address = fake.url
    with pointed_at(address):
        finding = await asyncio.to_thread(check_login, TOKEN, True)
    assert finding.state is State.FAIL and "Cannot reach Discord" in finding.found


def test_the_login_is_tested_only_on_request() -> None:
    with pointed_at("http://127.0.0.1:9"):
        assert check_login(TOKEN, False).state is State.OK
        assert check_login(None, True).state is State.OK


def test_everything_broken_at_once_still_ends_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("limits: {steps: many}", "utf-8")
    (tmp_path / "data").mkdir()
    replace_by_text(tmp_path / "data" / "reverie.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(tmp_path / "nowhere"))
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "3 problems keep the bot from working." in out
    for part in ("limits.steps", "damaged", "DISCORD_TOKEN_FILE", "torch", "memory"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 120


def test_a_healthy_machine_ends_with_zero(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REVERIE_DATA", str(data))
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert main(["--config", str(ROOT / "config.yaml"), "doctor"]) == 0
    out = capsys.readouterr().out
    assert "Everything the bot needs is in place." in out and TOKEN not in out


def test_a_missing_file_of_the_starter_is_named(tmp_path: Path) -> None:
    for name in ("bot", "generator"):
        # Others may be writing compiled files, under such names first.
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    (tmp_path / "generator" / "starter" / "clip.safetensors").unlink()
    shutil.copy(ROOT / "config.yaml", tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DISCORD", "REVERIE"))}
    done = subprocess.run(
        [sys.executable, "-m", "bot", "doctor"], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "clip.safetensors" in done.stdout.replace("\n", "") and "One problem keeps the bot" in done.stdout


def test_the_table_is_there_in_german_too() -> None:
    findings = examine(ROOT / "config.yaml", {"REVERIE_DATA": str(ROOT / "nowhere")})
    assert {item.check for item in findings} >= {"python", "torch", "driver", "gpu", "models", "login"}
    assert "was zu tun ist" in table(findings, "de")
