"""Buttons pressed from a browser reach a real kernel while it is at work."""

import os
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

ROOT = Path(__file__).parents[2]
SECONDS = 200
BEGIN = """
import sys
sys.path.insert(0, ".")
import warnings
warnings.filterwarnings("ignore", "pkg_resources is deprecated")
from notebooks.studio import Studio
studio = Studio("starter", "cpu")
studio.form.fill(prompt="a red apple", size="64x64", coarse=0, steps=5000, candidates=1, cutouts=2)
names = {name: button.model_id for name, button in studio.buttons.items()}
"""


def ask(client: Any, expression: str) -> str:  # noqa: ANN401 - jupyter_client has no types
    """The value of an expression in the kernel, as its repr."""
    reply = client.execute("", user_expressions={"it": expression}, reply=True, timeout=SECONDS)
    result = reply["content"]["user_expressions"]["it"]
    assert result["status"] == "ok", result
    return str(result["data"]["text/plain"]).strip("'")


def press(client: Any, comm_id: str) -> None:  # noqa: ANN401
    """Send the message that a browser sends when a button is pressed."""
    data = {"method": "custom", "content": {"event": "click"}}
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": comm_id, "data": data}))


@pytest.mark.slow
def test_stop_reaches_a_busy_kernel() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    manager, client = start_new_kernel(startup_timeout=SECONDS, cwd=str(ROOT), env=environment)
    assert isinstance(manager, KernelManager)
    try:
        reply = client.execute(BEGIN, reply=True, timeout=SECONDS)
        assert reply["content"]["status"] == "ok", reply["content"]
        paint, stop = (ask(client, f"names[{name!r}]") for name in ("Paint", "Stop"))
        press(client, paint)
        while ask(client, "(studio.canvas.dream is not None and studio.canvas.dream.progress.step) > 2") != "True":
            pass
        press(client, stop)
        words = ""
        for _ in range(50):
            words = ask(client, "studio.words.value")
            if words.startswith("Stopped after step"):
                break
        assert words.startswith("Stopped after step")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
