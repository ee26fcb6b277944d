"""Conversion between rows and the values of jobs and pictures. Any thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache

from bot.jobs import Job, JobState, Layout, Origin, StoredPicture
from bot.store.connection import Row
from bot.texts import Sentence
from generator import Settings

JOB_COLUMNS = tuple(item.name for item in fields(Job))
PICTURE_COLUMNS = tuple(item.name for item in fields(StoredPicture))
SELECT_JOB = f"SELECT {', '.join(f'jobs.{name}' for name in JOB_COLUMNS)} FROM jobs"  # noqa: S608 - our own names
RETURNING_JOB = f"RETURNING {', '.join(JOB_COLUMNS)}"
SELECT_PICTURE = f"SELECT {', '.join(f'pictures.{name}' for name in PICTURE_COLUMNS)} FROM pictures"  # noqa: S608

_FLAGS = frozenset({"private", "timelapse", "age_restricted", "told", "ping_due", "by_token"})
_PICTURE_FLAGS = frozenset({"flagged", "checked", "has_timelapse"})


def job_of(row: Row) -> Job:
    """Job of a row that SELECT_JOB found."""
    values = {name: row[name] for name in JOB_COLUMNS}
    values |= {name: bool(values[name]) for name in _FLAGS}
    values["state"] = JobState(values["state"])
    values["origin"] = Origin(values["origin"])
    values["layout"] = Layout(values["layout"])
    values["settings"] = _settings_of(values["settings"])
    values["reason"] = None if values["reason"] is None else Sentence.from_json(values["reason"])
    return Job(**values)


@lru_cache(maxsize=2_000)
def _settings_of(text: str) -> Settings:
    """Settings of a row; the same job is read again and again, and the check of each setting takes longer than SQL."""
    return Settings().merged(json.loads(text))


def picture_of(row: Row, prefix: str = "") -> StoredPicture:
    """Picture of a row that SELECT_PICTURE found, or of columns with a prefix."""
    values = {name: row[prefix + name] for name in PICTURE_COLUMNS}
    values |= {name: bool(values[name]) for name in _PICTURE_FLAGS}
    values["warnings"] = tuple(map(Sentence.from_json, json.loads(values["warnings"])))
    return StoredPicture(**values)


def plain(value: object) -> object:
    """Convert a field of a job or picture to SQLite's type."""
    if isinstance(value, Settings):
        return json.dumps(value.as_dict())
    if isinstance(value, Sentence):
        return value.as_json()
    if isinstance(value, tuple):
        return json.dumps([plain(item) for item in value], ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def insertion(table: str, values: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """INSERT statement for named values; the names are ours, never a person's."""
    sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(f':{name}' for name in values)})"  # noqa: S608
    return sql, {name: plain(value) for name, value in values.items()}


def assignments(values: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """SET clause of an UPDATE; the names are ours, never a person's."""
    return ", ".join(f"{name} = :{name}" for name in values), {name: plain(value) for name, value in values.items()}
