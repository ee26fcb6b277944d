"""Files of films between bot and worker: in order, in messages of limited size, removed with their process."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bot.worker.cluster.films import MOST_BYTES, FilmCopy, FilmHere, remove_abandoned
from bot.worker.cluster.wire import SentError
from generator import GeneratorError, InvalidRequest

pytestmark = pytest.mark.waits


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_files_come_in_the_order_in_which_they_were_made_and_large_ones_in_several_messages(tmp_path: Path) -> None:
    copy, here = FilmCopy(7), FilmHere(tmp_path / "here")
    copy.put("shot-000.png", b"from the bot")
    here.have = 1
    for name in ("frame-00002.png", "frame-00000.png", "frame-00001.png"):
        (copy.folder / name).write_bytes(name.encode() * (MOST_BYTES // 20))
    (copy.folder / ".part").write_bytes(b"not whole")
    files, complete = copy.since(here.have)
    assert [name for name, _ in files] == ["frame-00002.png", "frame-00000.png"] and not complete
    here.keep(1, files)
    here.keep(1, files[:1])  # an answer that was given up comes late
    files, complete = copy.since(here.have)
    assert [name for name, _ in files] == ["frame-00001.png"] and complete
    here.keep(here.have, files)
    assert copy.since(here.have) == ((), True)
    assert sorted(path.name for path in here.folder.iterdir()) == [f"frame-0000{number}.png" for number in range(3)]


def test_files_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    theirs, ours = tmp_path / f"reverie-film-{ended.pid}-1", FilmCopy(1)
    theirs.mkdir()
    ours.put("film.json", b"{}")
    remove_abandoned()
    assert ours.folder.exists() and not theirs.exists()
    ours.remove()
    assert not ours.folder.exists()


def test_a_full_disk_of_a_worker_is_no_fault_of_the_job() -> None:
    full, wrong = GeneratorError("The folder cannot be used."), InvalidRequest("It is wrong.", "film")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert SentError.of(full).lost and not SentError.of(wrong).lost
