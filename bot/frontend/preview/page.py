"""What simcord's page lacks to be used while pictures grow in it: clicks that always count, and clocks that run.

Both reach into simcord's inner names, for want of public ones; simcord is pinned, and the tests that drive the page in
a browser go red where a name is gone. Event loop.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from simcord.preview import Preview

SCRIPT = Path(__file__).with_suffix(".js")
CARRIER = "/session.js"
"""The part of the page's own scripts to which ours is appended: it may run nothing that comes from elsewhere."""


def run_clocks(page: Preview) -> None:
    """Have the page run SCRIPT. To be called before the page is opened."""
    serve, script = page._server._static, SCRIPT.read_text("utf-8")

    async def with_script(request: web.Request) -> web.Response:
        response: web.Response = await serve(request)
        if request.path == CARRIER:
            response.text = f"{response.text}\n{script}"
        return response

    setattr(page._server, "_static", with_script)  # noqa: B010


def act_in_turn(page: Preview) -> asyncio.Lock:
    """Let what somebody does on the page count although the channel has changed since, as Discord does.

    simcord refuses it while something else is published, and when the page was drawn before the newest edit: while a
    picture grows that is every third click. Returns what is to be held while something is published.
    """
    act, turn = page._action, asyncio.Lock()

    async def in_turn(context: str, body: dict[str, object]) -> dict[str, object]:
        async with turn:
            if "published_revision" in body:
                body = body | {"published_revision": page._get_page(context).revision}
            return await act(context, body)

    setattr(page, "_action", in_turn)  # noqa: B010
    return turn
