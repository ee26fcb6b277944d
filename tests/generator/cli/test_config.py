"""config.yaml's settings, and the precedence of defaults."""

from pathlib import Path

import pytest

from generator.cli.config import HostDefaults, read_host_defaults, resolve_settings
from generator.errors import InvalidRequest
from generator.settings import Settings

ROOT = Path(__file__).parents[3]


def read(tmp_path: Path, text: str) -> HostDefaults:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    return read_host_defaults(path)


def test_the_last_one_wins() -> None:
    settings = resolve_settings({"steps": 2, "noise": 0.2, "flip": 0.2}, {"steps": 3, "noise": 0.3}, {"steps": 4})
    assert settings == Settings(steps=4, noise=0.3, flip=0.2)


@pytest.mark.parametrize(
    ("host", "person", "steps"),
    [
        ({}, {}, 16),
        ({}, {"start": "random"}, 80),
        ({"start": "random"}, {}, 80),
        ({"start": "random"}, {"start": "prior"}, 16),
        ({"steps": 9}, {"start": "random"}, 9),
        ({}, {"start": "random", "steps": 5}, 5),
    ],
)
def test_each_start_has_its_own_defaults(host: dict[str, object], person: dict[str, object], steps: int) -> None:
    starts = {"random": {"steps": 80}}
    assert resolve_settings({"start": "prior", "steps": 16}, host, person, starts).steps == steps


def test_the_sections_that_shape_a_picture_are_read(tmp_path: Path) -> None:
    text = "models: faceshq\ndevice: cpu\ngenerator:\n  size: 96x64\n  steps: 7\nlimits: {steps: 5}\n"
    assert read(tmp_path, text) == HostDefaults({"size": "96x64", "steps": 7}, "faceshq", "cpu")
    assert read(tmp_path, "generator:\n") == HostDefaults({}, None, None)


def test_the_shipped_config_is_read() -> None:
    assert read_host_defaults(ROOT / "config.yaml").models == "starter"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("generator: {stepz: 1}", "under generator: There is no setting 'stepz'"),
        ("generator: {steps: 0}", "under generator: steps must be a whole number from 1 to 5000, not 0"),
        ("generator: {1: 2}", "under generator: There is no setting '1'"),
        ("generator: [steps]", "the key generator must hold settings by name"),
        ("models: 5", "the key models must be text"),
        ("device: [cpu]", "the key device must be text"),
        ("- a list", "holds no keys"),
        ("a: [", "is not valid YAML"),
        ("a: ${nothing}", "is not valid YAML"),
        ("", None),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, text: str, sentence: str | None) -> None:
    if sentence is None:
        assert read(tmp_path, text) == HostDefaults({}, None, None)
        return
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        read(tmp_path, text)
    assert "config.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.yaml", "binary.yaml", "."):
        with pytest.raises(InvalidRequest, match=r"cannot be read|is not valid YAML"):
            read_host_defaults(tmp_path / name)
