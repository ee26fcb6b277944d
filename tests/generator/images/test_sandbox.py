"""Hostile pictures, read in a separate process."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from generator import InvalidRequest, Message, normalise, normalise_apart
from generator.images.sandbox import environment


def saved(size: tuple[int, int], file_format: str) -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, file_format)
    return out.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_it_is_the_same_picture(file_format: str) -> None:
    data = saved((1500, 900), file_format)
    assert normalise_apart(data) == normalise(data)


@pytest.mark.parametrize("data", [b"", b"no picture", saved((8, 8), "PNG")[:-30], bytes(20 * 2**20 + 1)])
def test_refusals_have_the_same_message(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as here:
        normalise(data)
    with pytest.raises(InvalidRequest) as apart:
        normalise_apart(data)
    assert apart.value.message == here.value.message
    assert isinstance(apart.value.message, Message)
    assert apart.value.message.template == getattr(here.value.message, "template", None)


def test_it_knows_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a-secret-token")
    assert "a-secret-token" not in environment().values()
    assert not [name for name in environment() if "DISCORD" in name or "TOKEN" in name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no memory in this way")
def test_a_decoder_cannot_fill_the_memory() -> None:
    show = "from generator.images import sandbox; sandbox.bounded(20); print(len(bytearray(5 * 2**30)))"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("MemoryError\n")
