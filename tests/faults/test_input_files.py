"""Corrupt files in the bot's own folder: configuration, snapshots, databases of other versions."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import Config, values_of
from bot.environment import load_config, read_config
from bot.errors import ConfigError, StoreError
from bot.files import Kind
from bot.jobs import JobState
from bot.store import Store
from bot.store.connection import APPLICATION_ID, migrations, statements
from generator.errors import CheckpointError
from generator.optimisation.snapshot import Snapshot, pack, unpack
from tests.bot.real_service import RealService, until

SHIPPED = Path(__file__).parent.parent.parent / "config.yaml"

# Configuration


def test_every_key_may_be_missing_and_then_has_its_default() -> None:
    keys = list(values_of(Config()))
    for group in range(12):
        changed = yaml.safe_load(SHIPPED.read_text("utf-8"))
        gone = keys[group::12]
        for key, _, _ in gone:
            section, _, name = key.rpartition(".")
            (changed[section] if section else changed).pop(name, None)
        found = {key: given for key, _, given in values_of(read_config(changed))}
        assert [key for key, _, value in gone if found[key] != value] == []


def bomb(depth: int) -> bytes:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines).encode()


SPOILT: dict[str, bytes] = {
    "bomb": bomb(40), "small bomb": bomb(4), "an alias of itself": b"a: &a [*a]", "tabs": b"limits:\n\tsteps: 5\n",
    "binary": bytes(range(256)), "zeros": bytes(5_000), "utf-16": "limits: {steps: 5}".encode("utf-16"),
    "twice": b"limits: {steps: 5}\nlimits: {steps: 6}\n", "two documents": b"a: 1\n---\nb: 2\n",
    "deep": b"[" * 50_000, "deep mapping": b"{a: " * 20_000, "deep list": b"- " * 500_000,
    "a program": b"a: !!python/object/new:os.system [id]",
    "a tag": b"limits: !include /etc/passwd", "long": b"a: " + b"x" * 2**20, "merge": b"<<: &a {<<: *a}",
    "environment": b"language: ${oc.env:DISCORD_TOKEN}",
    "a long number": b"limits: {steps: " + b"9" * 6_000 + b"}",
    "a key that is none": b"? [a, b]\n: 1\n", "a null key": b"~: 1\n", "not a number": b"timing: {preview_s: .nan}",
    "endless": b"timing: {preview_s: .inf}", "a date": b"limits: {steps: 2026-01-01}",
    "an octal": b"limits: {steps: 0o7777777}",
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_an_invalid_configuration_is_refused_with_a_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a-secret-that-nobody-may-read")
    path = tmp_path / "config.yaml"
    path.write_bytes(SPOILT[name])
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert 20 < len(str(refused.value)) < 1_500
    assert "a-secret" not in str(refused.value)


@given(st.binary(max_size=300), st.integers(0, 4_000), st.integers(0, 60))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_configuration_with_anything_in_it_is_read_or_refused(tmp_path: Path, junk: bytes, at: int, cut: int) -> None:
    whole, path = SHIPPED.read_bytes(), tmp_path / "config.yaml"
    path.write_bytes(whole[:at] + junk + whole[at + cut :])
    try:
        assert isinstance(load_config(path), Config)
    except ConfigError as refused:
        assert str(refused)


# Snapshots


def small_snapshot() -> bytes:
    tensors = {"latent": torch.arange(12.0).reshape(1, 3, 2, 2), "losses": torch.zeros(3)}
    return pack(Snapshot('{"reverie_recipe":1}', {"step": 1}, tensors))


def with_header(header: dict[str, object]) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


LATENT = {"dtype": "F32", "shape": [1, 3, 2, 2], "data_offsets": [0, 48]}
MARK = {"format": "reverie.dream", "version": "1"}
CLAIMS: dict[str, bytes] = {
    "a header of terabytes": (2**42).to_bytes(8, "little") + b"{}",
    "a header without end": b"\xff" * 8 + b"{}",
    "a tensor of terabytes": with_header(
        {"__metadata__": MARK, "latent": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}
    ),
    "a shape that overflows": with_header({"__metadata__": MARK, "latent": LATENT | {"shape": [2**62, 2**62]}}),
    "a negative shape": with_header({"__metadata__": MARK, "latent": LATENT | {"shape": [-1, -12]}}),
    "offsets that cross": with_header({"__metadata__": MARK, "a": LATENT, "b": LATENT}) + bytes(48),
    "an unknown type": with_header({"__metadata__": MARK, "latent": LATENT | {"dtype": "os.system"}}) + bytes(48),
    "an older version": with_header({"__metadata__": MARK | {"version": "0"}, "latent": LATENT}) + bytes(48),
    "a newer version": with_header({"__metadata__": MARK | {"version": "9"}, "latent": LATENT}) + bytes(48),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_snapshot_that_claims_what_it_is_not_is_refused_at_once(name: str) -> None:
    with pytest.raises(CheckpointError) as refused:
        unpack(CLAIMS[name])
    assert "snapshot" in str(refused.value)


def test_no_flipped_bit_of_a_snapshot_goes_unnoticed_and_no_cut() -> None:
    whole = small_snapshot()
    for at in range(0, len(whole) * 8):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        try:
            found = unpack(bytes(changed))
        except CheckpointError:
            continue
        # A bit in the header's padding, or the case of an unused letter, may change nothing.
        assert pack(found) == whole, f"bit {at} was changed and not noticed"
    for end in range(len(whole)):
        with pytest.raises(CheckpointError):
            unpack(whole[:end])


async def test_a_job_with_a_corrupt_snapshot_starts_again(bench: RealService) -> None:
    bench.engine.step_s = 0.01
    bench.engine.hold(30)
    job = await bench.imagine(steps=200)

    async def kept() -> bytes | None:
        return await asyncio.to_thread(bench.files.read, Kind.SNAPSHOT, job.id, 1)

    await until(kept)
    await bench.crash()
    bench.files.write(Kind.SNAPSHOT, job.id, 1, os.urandom(500))
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.POSTING)


# Databases


def older(path: Path, version: int) -> None:
    """A database of an earlier version, with a row in every table."""
    with sqlite3.connect(path) as db:
        for script in migrations()[:version]:
            for statement in statements(script):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ]
        for table in sorted(tables, key=lambda name: name != "jobs"):
            columns = db.execute(f"PRAGMA table_info({table})").fetchall()
            row = {name: filler(name, kind) for _, name, kind, needed, *_ in columns if needed or name == "id"}
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))  # noqa: S608 - names of the schema
    db.close()


def filler(name: str, kind: str) -> object:
    """A value for a column."""
    given = {
        "state": "done",
        "origin": "imagine",
        "settings": "{}",
        "warnings": "[]",
        "locale": "en",
        "layout": "classic",
        "day": "2026-01-01",
    }
    return given.get(name, {"INTEGER": 1, "REAL": 1.0, "TEXT": "a"}[kind])


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        tables = [
            row[0]
            for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ]
        found = {name: [dict(row) for row in db.execute(f"SELECT * FROM {name}")] for name in tables}  # noqa: S608
    db.close()
    return found


@pytest.mark.parametrize("version", range(1, len(migrations()) + 1))
async def test_a_database_of_each_earlier_version_is_brought_up_to_date_with_all_its_rows(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "reverie.db"
    older(path, version)
    before = contents(path)
    assert all(before.values())
    store = Store(path)
    await store.open()
    job = await store.jobs.get(1)
    assert job is not None and job.state is JobState.DONE
    await store.close()
    after = contents(path)
    pictures = {row["id"]: row for row in after["reported_pictures"]}
    # A report names its picture by number since version 4.
    after["reports"] = [
        row | {name: pictures[row["picture_id"]][name] for name in ("job_id", "number")} for row in after["reports"]
    ]
    for table, rows in before.items():
        for old, new in zip(rows, after[table], strict=True):
            assert old == {name: new[name] for name in old}


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "reverie.db"
    older(path, len(migrations()))
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE jobs ADD COLUMN of_tomorrow TEXT")
        db.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    db.close()
    before = contents(path)
    with pytest.raises(StoreError, match="newer"):
        await Store(path).open()
    assert contents(path) == before


async def test_a_database_with_bits_flipped_anywhere_is_opened_or_refused_with_a_sentence(tmp_path: Path) -> None:
    path, chance, refused = tmp_path / "reverie.db", random.Random(1), 0
    older(path, len(migrations()))
    whole = path.read_bytes()
    for _ in range(40):
        spoilt = bytearray(whole)
        for _ in range(chance.choice((1, 8, 200))):
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(spoilt))
        store = Store(path)
        try:
            await store.open()
            await store.close()
        except StoreError as exc:
            assert str(exc).endswith(".")
            refused += 1
        for beside in tmp_path.glob("reverie.db-*"):
            beside.unlink()
    assert refused > 5
