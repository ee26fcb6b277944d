"""The kind of workers in use: threads by default, without Ray; a cluster where config.yaml says so."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bot.config import Config, Painters
from bot.errors import ConfigError
from bot.worker.cluster.environment import MODE, TOKEN, TOKEN_PATH, prepare_environment
from bot.worker.kinds import RAY_VERSION, _devices, check_ray, open_engines

ROOT = Path(__file__).parents[3]
WITHOUT_RAY = """
import sys
import bot.wiring
from bot.config import Config
from bot.worker.kinds import open_workers
from tests.bot.fake_dream import FakeDreamer
pool = open_workers(Config(), {"local": FakeDreamer()})
assert [worker.name for worker in pool.workers()] == ["local"]
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"av", "jinja2", "numpy", "ray", "torch"}, loaded
"""


def test_the_default_is_one_thread_and_loads_nothing_that_only_some_bots_need() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_RAY], cwd=ROOT, check=True)


def test_several_threads_on_one_device_have_names_of_their_own() -> None:
    assert _devices(Config(device="cpu")) == {"cpu": "cpu"}
    assert _devices(Config(device="cuda:1", painters=Painters(count=2))) == {"cuda:1": "cuda:1", "cuda:1-2": "cuda:1"}


def test_ray_that_is_missing_or_another_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"ray=={RAY_VERSION}" in (ROOT / "requirements-ray.txt").read_text("utf-8")
    check_ray()
    monkeypatch.setattr(metadata, "version", lambda name: "2.40.0")
    with pytest.raises(ConfigError, match=r"2\.40\.0 is installed"):
        check_ray()

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ConfigError, match="make setup EXTRAS=ray"):
        open_engines(Config(painters=Painters(kind="ray")))


def test_the_bot_of_a_cluster_loads_no_models_and_knows_what_suits_them() -> None:
    engines, suggested = open_engines(Config(painters=Painters(kind="ray")))
    assert suggested.start == "prior"
    assert [engine.status().resident for engine in engines.values()] == [()]


def test_token_authentication_is_on_and_a_cluster_of_our_own_has_a_token(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    prepare_environment(environ, "local", tmp_path)
    assert environ[MODE] == "token" and len(environ[TOKEN]) == 64
    given = {TOKEN_PATH: "/run/secrets/ray_token"}
    prepare_environment(given, "local", tmp_path)
    assert TOKEN not in given
    elsewhere: dict[str, str] = {}
    prepare_environment(elsewhere, "10.0.0.1:6379", tmp_path)
    assert TOKEN not in elsewhere
