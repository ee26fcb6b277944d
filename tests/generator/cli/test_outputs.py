"""File names: short, safe, not taken, and rejected before anything is generated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.cli.outputs import MAX_NAME_BYTES, free, name_for, plan_outputs
from generator.errors import GeneratorError, InvalidRequest


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("a red apple", "a-red-apple"),
        ("A Castle:1 | fog:-0.5 ^ next", "a-castle-1-fog-0-5-next"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\con", "c-con"),
        ("CON", "con-picture"),
        ("lpt1", "lpt1-picture"),
        ("🍎🍎", "picture"),
        ("", "picture"),
        ("ünïcödé", "ünïcödé"),
        ("تفاحة", "تفاحة"),
        ("x" * 500, "x" * 40),
        ("@everyone `rm -rf` $HOME\n\0", "everyone-rm-rf-home"),
    ],
)
def test_a_prompt_names_its_file(title: str, name: str) -> None:
    assert name_for(title) == name


@given(st.text(max_size=100))
def test_every_name_is_safe(title: str) -> None:
    name = name_for(title)
    assert 0 < len(f"{name}-timelapse.webp".encode("utf-8", "surrogatepass")) < MAX_NAME_BYTES
    assert not set('/\\:*?"<>|.\0\n ') & set(name)


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert free(path) == path
    path.touch()
    (tmp_path / "a-2.png").touch()
    assert free(path) == tmp_path / "a-3.png"


@pytest.mark.parametrize(
    ("output", "file_format", "expected"),
    [
        ("a.png", None, ("a.png", "png")),
        ("a.JPG", None, ("a.JPG", "jpeg")),
        ("a.jpeg", "jpeg", ("a.jpeg", "jpeg")),
        ("a", None, ("a.png", "png")),
        ("a", "jpeg", ("a.jpg", "jpeg")),
        ("a.picture", "webp", ("a.picture", "webp")),
        (None, "webp", ("a-red-apple.webp", "webp")),
    ],
)
def test_names_and_formats_are_settled(
    output: str | None,
    file_format: str | None,
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = plan_outputs(output and Path(output), file_format, None, "5", "a red apple")  # type: ignore[arg-type]
    assert (outputs.picture, outputs.file_format) == (Path(expected[0]), expected[1])
    assert (outputs.timelapse, outputs.preview_every) == (None, 5)


def test_a_timelapse_is_named_after_its_picture(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    assert plan_outputs(picture, None, "", "0", "a").timelapse == tmp_path / "a-timelapse.webp"
    assert plan_outputs(picture, None, str(tmp_path / "b.MP4"), "0", "a").timelapse == tmp_path / "b.MP4"
    assert plan_outputs(picture, None, None, "0", "a").snapshot == tmp_path / "a.dream"


def test_a_folder_as_a_name_gets_a_picture_named_by_the_prompt(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / ".", tmp_path / ".."):
        assert plan_outputs(name, None, None, "0", "a").picture == name / "a.png"


def test_a_name_of_dots_is_refused() -> None:
    for name in ("...", "....."):
        with pytest.raises(InvalidRequest, match="is no name of a file"):
            plan_outputs(Path(name), None, None, "0", "a")


def test_refusals_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError):
        plan_outputs(tmp_path / "none" / "a.png", None, None, "0", "a")
