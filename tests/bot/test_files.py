"""The data folder: complete files or none, addressed by ids only."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import FilesError
from bot.files import DataFolder, Kind


@pytest.fixture
def files(tmp_path: Path) -> DataFolder:
    files = DataFolder(tmp_path / "deep" / "data")
    files.prepare()
    return files


def everything(files: DataFolder) -> list[str]:
    return sorted(str(path.relative_to(files.root)) for path in files.root.rglob("*") if path.is_file())


def test_a_file_is_read_as_written_and_written_again_in_place(files: DataFolder) -> None:
    files.write(Kind.PICTURE, 7, 1, b"one")
    files.write(Kind.PICTURE, 7, 1, b"two")
    assert files.read(Kind.PICTURE, 7, 1) == b"two"
    assert files.read(Kind.PICTURE, 7, 2) is None
    assert everything(files) == ["pictures/0/000000007-1.png"]


def test_a_job_goes_with_all_its_files_and_no_other_ones(files: DataFolder) -> None:
    for job_id in (7, 70, 1007):
        for kind in Kind:
            files.write(kind, job_id, 1, b"x")
    files.remove_job(7)
    files.remove_job(7)
    assert files.job_ids() == {70, 1007}
    files.remove(Kind.SNAPSHOT, 70, 1)
    files.remove(Kind.SNAPSHOT, 70, 1)
    assert files.read(Kind.SNAPSHOT, 70, 1) is None


def test_partial_files_are_removed_at_the_start(files: DataFolder) -> None:
    files.write(Kind.PICTURE, 7, 1, b"x")
    (files.root / "pictures" / "0" / ".000000007-1.png.ab.part").write_bytes(b"half")
    files.export_path().write_bytes(b"old")
    files.prepare()
    assert everything(files) == ["pictures/0/000000007-1.png"]


@pytest.mark.parametrize("number", [-1, 10, 99])
def test_numbers_that_are_none_are_refused(files: DataFolder, number: int) -> None:
    with pytest.raises(ValueError, match="number"):
        files.read(Kind.PICTURE, 1, number)


def test_a_path_cannot_come_in_as_an_id(files: DataFolder) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        files.read(Kind.PICTURE, "../../etc/passwd", 1)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(FilesError, match="data folder"):
        DataFolder(blocked / "data").prepare()
    files = DataFolder(tmp_path / "data")
    files.prepare()
    (files.root / "pictures").write_text("in the way")
    with pytest.raises(FilesError):
        files.write(Kind.PICTURE, 1, 1, b"x")


def test_a_full_disk_says_so_and_leaves_nothing_behind() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="space") as caught, full.open("wb", buffering=0) as file:
        file.write(b"x")
    from bot.files import _error

    assert _error(caught.value, full).sentence.key == "disk_full"


def test_exports_have_names_that_cannot_be_guessed(files: DataFolder) -> None:
    names = {files.export_path().name for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) > 20 for name in names)


def test_it_knows_how_much_it_takes_and_what_is_left(files: DataFolder) -> None:
    files.write(Kind.PICTURE, 1, 1, b"x" * 1000)
    assert files.used_bytes() == 1000
    assert files.free_bytes() > 0
