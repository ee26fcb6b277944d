"""config.yaml, the token and the data folder: valid values, and the messages for invalid ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Caps, Config, Limits, ModelSets, Painters, values_of
from bot.environment import data_folder, load_config, read_config, read_token
from bot.errors import ConfigError
from generator import InvalidRequest

ROOT = Path(__file__).parents[2]
TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"  # noqa: S105 - made up


def refused(values: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(values)
    return str(caught.value)


def test_an_empty_config_has_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# nothing\n")
    assert load_config(path) == Config()


def test_the_config_of_the_repository_is_valid_and_shows_every_key_with_its_default() -> None:
    config = load_config(ROOT / "config.yaml")
    shown = dict((key, value) for key, _, value in values_of(config))
    defaults = {key: value for key, _, value in values_of(Config())}
    assert {key for key in defaults if shown[key] != defaults[key]} == {"styles"}
    text = (ROOT / "config.yaml").read_text("utf-8")
    missing = [key for key in defaults if not re.search(rf"^\s*{key.rpartition('.')[2]}:", text, re.M)]
    assert missing == []


def test_one_word_in_place_of_a_section_is_its_main_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("models: faceshq\npainters: local\n")
    assert load_config(path) == Config(models=ModelSets(default="faceshq"), painters=Painters(kind="local"))
    path.write_text("models: 007\n")
    assert load_config(path).models.default == "007", "a name is taken as it is written"
    path.write_text("models:\n  offered: [faceshq, starter]\n")
    assert load_config(path).model_names == ("starter", "faceshq")


def test_every_key_is_explained() -> None:
    assert [key for key, item, _ in values_of(Config()) if len(item.metadata.get("help", "")) < 10] == []


@pytest.mark.parametrize(
    ("values", "key", "said"),
    [
        ({"colour": 1}, "colour", "models"),
        ({"limits": {"stepz": 3}}, "limits.stepz", "steps"),
        ({"limits": {"steps": "many"}}, "limits.steps", "from 1 to 5000"),
        ({"limits": {"steps": 0}}, "limits.steps", "from 1 to 5000"),
        ({"limits": {"steps": 5001}}, "limits.steps", "from 1 to 5000"),
        ({"limits": {"steps": 1.5}}, "limits.steps", "whole number"),
        ({"limits": {"steps": None}}, "limits.steps", "whole number"),
        ({"limits": {"steps": 3000}}, "limits.steps", "cap"),
        ({"limits": {"daily": 0}, "caps": {"daily": 5}}, "limits.daily", "cap"),
        ({"limits": 3}, "limits", "section"),
        ({"timing": {"preview_s": float("nan")}}, "timing.preview_s", "from 0.05"),
        ({"device": "tpu"}, "device", "cuda"),
        ({"safety": {"mode": "on"}}, "safety.mode", "spoiler"),
        ({"discord": {"owners": ["ann"]}}, "discord.owners", "ids"),
        ({"discord": {"owners": [-4]}}, "discord.owners", "ids"),
        ({"discord": {"token": TOKEN}}, "discord.token", "DISCORD_TOKEN"),
        ({"token": TOKEN}, "token", "DISCORD_TOKEN"),
        ({"generator": {"stepz": 4}}, "generator.stepz", "steps"),
        ({"generator": {"steps": 0}}, "generator.steps", "from 1"),
        ({"generator": {"size": "huge"}}, "generator.size", "256x192"),
        ({"generator": {"start": "init"}}, "generator.start", "picture"),
        ({"generator": 7}, "generator", "section"),
        ({"styles": {"": "x"}}, "styles.", "1 to"),
        ({"styles": {"ink": " "}}, "styles.ink", "1 to"),
        ({"blocklist": ["good", "**"]}, "blocklist[1]", "word"),
        ({"blocklist": "bad"}, "blocklist", "section"),
        ({"models": {"a": 1}}, "models.a", "default, offered"),
        ({"models": {"default": {"a": 1}}}, "models.default", "text"),
        ({"models": {"offered": ["faceshq", "nonsense"]}}, "models.offered", "imagenet-16384"),
        ({"painters": "elsewhere"}, "painters.kind", "local"),
        ({"gallery": {"address": "pictures.example.org"}}, "gallery.address", "https://"),
        ({"gallery": {"address": "https://example.org/?a"}}, "gallery.address", "https://"),
        ({"gallery": {"host": " "}}, "gallery.host", "127.0.0.1"),
        ({"painters": {"count": 65}}, "painters.count", "from 0 to 64"),
    ],
)
def test_an_invalid_value_is_refused_with_its_key_and_the_allowed_ones(
    values: dict[str, object], key: str, said: str
) -> None:
    sentence = refused(values)
    assert key in sentence
    assert said in sentence
    assert TOKEN not in sentence


@given(st.sampled_from([key for key, _, _ in values_of(Config())]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
))  # fmt: skip
def test_any_value_of_a_key_is_accepted_or_refused_with_a_message(key: str, value: object) -> None:
    section, _, name = key.rpartition(".")
    values: dict[str, object] = {section: {name: value}} if section else {name: value}
    try:
        assert isinstance(read_config(values), Config)
    except ConfigError as exc:
        assert str(exc)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "not valid YAML"),
        (b"- a\n- b\n", "keys and values"),
        (b"just text", "Unknown key"),
        (b"a: 1\na: 2\n", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"models: ${nothing}", "models"),
        (b"models: !!python/object/apply:os.system [ls]", "not valid YAML"),
        (b"#" * (2**20 + 1), "keys and values"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(path)


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_own_models_have_a_name_of_their_own_and_their_files_are_looked_for(tmp_path: Path) -> None:
    assert Config().own_models is None
    assert Config(models=ModelSets(default="faceshq")).model_name == "faceshq"
    files = {"vqgan": str(tmp_path / "my castles.ckpt"), "vqgan_config": str(tmp_path / "castles.yaml")}
    config = read_config({**files, "perceptors": ["RN50"], "digests": {"a.ckpt": "0" * 64}})
    assert config.model_name == "own-my-castles"
    with pytest.raises(InvalidRequest, match="is no file"):
        _ = config.own_models
    for name in files.values():
        Path(name).touch()
    assert config.own_models is not None
    assert config.own_models.perceptors == ("RN50",)


def test_limits_and_caps_name_the_same_things() -> None:
    assert set(vars(Caps())) - {"queue_bot"} <= set(vars(Limits()))


def test_the_token_comes_from_the_environment_or_from_the_file_it_names(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert read_token({}) is None
    assert read_token({"DISCORD_TOKEN": "  "}) is None
    assert read_token({"DISCORD_TOKEN": TOKEN}) == TOKEN
    assert read_token({"DISCORD_TOKEN_FILE": str(path)}) == TOKEN


def test_a_token_that_cannot_be_is_refused_without_being_shown(tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.touch()
    for environ in (
        {"DISCORD_TOKEN_FILE": str(tmp_path / "nowhere")},
        {"DISCORD_TOKEN_FILE": str(empty)},
        {"DISCORD_TOKEN": f'"{TOKEN}"'},
        {"DISCORD_TOKEN": "Bot secret"},
    ):
        with pytest.raises(ConfigError) as caught:
            read_token(environ)
        assert TOKEN not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_the_data_folder_is_the_variables_else_the_configs_else_data() -> None:
    assert data_folder(Config(data="there"), {"REVERIE_DATA": "/here"}) == Path("/here")
    assert data_folder(Config(data="there"), {}) == Path("there")
    assert data_folder(Config(data=" "), {}) == Path("data")


def test_one_of_several_gpus_is_named_by_its_number() -> None:
    assert Config(device="cuda:1").device == "cuda:1"
    for device in ("cuda:", "cuda:x", "cuda:01", "cuda:100", "gpu"):
        with pytest.raises(ConfigError, match="auto, cpu, cuda, cuda:N"):
            Config(device=device)


@pytest.mark.parametrize(
    "word", ["no", "off", "1:30", "007", "1e3", "0x1f", "2026-11-27", "true", "null", "~", ".5", "1_0"]
)
def test_words_are_taken_as_they_are_written(tmp_path: Path, word: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"blocklist: [{word}]\nstyles:\n  a: {word}\nperceptors: [{word}]\nvqgan: {word}\n", "utf-8")
    config = load_config(path)
    assert config.blocklist == config.perceptors == [word]
    assert config.styles == {"a": word}
    assert config.vqgan == word


def test_names_of_styles_are_taken_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("styles: {1920: film, no: x, off: y, 007: z}\nsafety: {mode: off}\nretention_days: 007\n", "utf-8")
    config = load_config(path)
    assert config.styles == {"1920": "film", "no": "x", "off": "y", "007": "z"}
    assert (config.safety.mode, config.retention_days) == ("off", 7)


def test_words_that_other_places_lend_are_found(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("styles: &all\n  a: &word no\n  b: *word\nblocklist: [*word]\n", "utf-8")
    config = load_config(path)
    assert (config.styles, config.blocklist) == ({"a": "no", "b": "no"}, ["no"])


@pytest.mark.parametrize(
    "content", ["styles: {a: }", "blocklist: [a, ]\nmodels:", "blocklist: [[a]]", "styles: {a: [b]}"]
)
def test_a_missing_text_is_shown_as_its_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=r"styles|models|blocklist"):
        load_config(path)
