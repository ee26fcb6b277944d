"""Patches for simcord's page to be usable during jobs: clicks that always count, and running clocks.

Both use simcord's private names, for lack of public ones; simcord is pinned, and the tests that drive the page in a
browser fail if a name is gone. Event loop.
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
"""The page's script to which ours is appended: the page may not run scripts from elsewhere."""


def run_clocks(page: Preview) -> None:
    """Make the page run SCRIPT. Call it before the page is opened."""
    serve, script = page._server._static, SCRIPT.read_text("utf-8")

    async def with_script(request: web.Request) -> web.Response:
        response: web.Response = await serve(request)
        if request.path == CARRIER:
            response.text = f"{response.text}\n{script}"
        return response

    setattr(page._server, "_static", with_script)  # noqa: B010


def act_in_turn(page: Preview) -> asyncio.Lock:
    """Accept an action on the page although the channel has changed since, as Discord does.

    simcord refuses it during another publication, and if the page was drawn before the newest edit: every third click
    while a job runs. Returns the lock to hold during a publication.
    """
    act, turn = page._action, asyncio.Lock()

    async def in_turn(context: str, body: dict[str, object]) -> dict[str, object]:
        async with turn:
            if "published_revision" in body:
                body = body | {"published_revision": page._get_page(context).revision}
            return await act(context, body)

    setattr(page, "_action", in_turn)  # noqa: B010
    return turn
