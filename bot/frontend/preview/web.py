"""The preview's web server: the page, a stream of changes, and the person's actions. Event loop.

Only this machine's browser may use it: requests with another host name are refused (DNS rebinding), and so are actions
from other sites' pages.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from simcord.backend.cdn import CDN_BASE

from bot.frontend.preview.actions import Actions, File, Place, number
from bot.frontend.preview.views import Feed, commands, newest, server
from bot.frontend.preview.world import TURN_S, Scene

STATIC = Path(__file__).with_name("static")
HOSTS = ("127.0.0.1", "localhost", "::1")
MAX_BYTES = 64 * 2**20
KEEP_ALIVE_S = 20.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FILE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=86400, immutable",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The page of one scene at one port.

    Attributes:
        url: its address, once it is open.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene, self._actions = scene, Actions(scene.world)
        self._hidden: dict[int, set[int]] = {key: set() for key in scene.people}
        self._read: dict[int, dict[int, int]] = {key: {} for key in scene.people}
        self._ready = asyncio.Event()
        self._runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        self.url = ""

    async def open(self, listener: socket.socket) -> None:
        """Serve the page at a socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def begin(self) -> None:
        """Answer requests from now on: the scene is complete, and nobody has missed its first messages."""
        for person_id, read in self._read.items():
            read |= {key: newest(self._scene, key, person_id) for key in self._scene.channels_of(person_id)}
        self._ready.set()

    async def close(self) -> None:
        """Stop listening, and end the streams."""
        await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[_guarded, self._complete], client_max_size=MAX_BYTES)
        app.router.add_get("/", self._index)
        app.router.add_get("/telephone", self._telephone)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/files/{path:.+}", self._file)
        app.router.add_get("/events", self._events)
        app.router.add_get("/commands", self._commands)
        app.router.add_post("/act", self._act)
        app.router.add_post("/dismiss", self._dismiss)
        return app

    @web.middleware
    async def _complete(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._ready.wait()
        return await handler(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return _static_file("index.html")

    async def _telephone(self, request: web.Request) -> web.StreamResponse:
        return _static_file("telephone.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return _static_file(request.match_info["name"])

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """A file of a message, from the simulated CDN."""
        path = request.match_info["path"]
        data = self._scene.world.backend.cdn.get(f"{CDN_BASE}/{path}")
        if data is None:
            raise web.HTTPNotFound
        name = path.rsplit("/", 1)[-1]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return web.Response(body=data, content_type=kind, headers=FILE_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The channel as server-sent events: first everything, then each change."""
        place = self._place(request.query)
        viewer_id = place.person.actor.id
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        feed, loop = Feed(place, self._hidden[viewer_id]), asyncio.get_running_loop()
        shown = self._seen(place)
        first = {"server": shown, "channel": str(place.channel.id)}
        await _send(response, first | (feed.news() or {"messages": [], "gone": []}))
        sent_at, revision = loop.time(), -1
        while True:
            await asyncio.sleep(TURN_S)
            news: dict[str, Any] = {}
            if revision != self._scene.world.revision:
                revision, news, now = self._scene.world.revision, feed.news() or {}, self._seen(place)
                if now != shown:
                    shown = news["server"] = now
            if news:
                await _send(response, news)
                sent_at = loop.time()
            elif loop.time() - sent_at > KEEP_ALIVE_S:
                await response.write(b": still here\n\n")
                sent_at = loop.time()

    def _seen(self, place: Place) -> dict[str, Any]:
        """The server as a person sees it who is in a channel and has read everything in it."""
        viewer_id, channel_id = place.person.actor.id, place.channel.id
        read = self._read[viewer_id]
        read[channel_id] = newest(self._scene, channel_id, viewer_id)
        return server(self._scene, viewer_id, read)

    async def _commands(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(commands(self._place(request.query)), headers=HEADERS)

    async def _act(self, request: web.Request) -> web.StreamResponse:
        """An action: JSON, or a form whose part `action` is the JSON and whose other parts are files."""
        files: dict[str, list[File]] = {}
        if request.content_type == "application/json":
            body = await request.json()
        else:
            body = {}
            form = await request.post()
            for name, part in form.items():
                if isinstance(part, web.FileField):
                    files.setdefault(name, []).append((part.filename, part.file.read()))
                elif name == "action":
                    body = json.loads(str(part))
        return web.json_response(await self._actions.run(self._place(body), body, files), headers=HEADERS)

    async def _dismiss(self, request: web.Request) -> web.StreamResponse:
        """Hide a private answer from the person."""
        body = await request.json()
        self._hidden[self._place(body).person.actor.id].add(number(body["message"]))
        self._scene.world.revision += 1
        return web.json_response({}, headers=HEADERS)

    def _place(self, given: Any) -> Place:  # noqa: ANN401 - a query or JSON
        """The person and the channel of a request; the first ones if it names none that the person sees."""
        scene = self._scene
        person = scene.people.get(_id(given.get("as"))) or next(iter(scene.people.values()))
        seen = scene.channels_of(person.actor.id)
        return Place(scene, person, seen.get(_id(given.get("channel"))) or next(iter(seen.values())))


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests by another host name, and actions from another site's page."""
    origin = request.headers.get("Origin")
    if urlsplit(f"//{request.host}").hostname not in HOSTS:
        raise web.HTTPForbidden
    if request.method == "POST" and (origin is None or urlsplit(origin).netloc != request.host):
        raise web.HTTPForbidden
    return await handler(request)


def _static_file(name: str) -> web.Response:
    path = STATIC / name
    if path.parent != STATIC or not path.is_file():
        raise web.HTTPNotFound
    kind = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}[path.suffix]
    return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8", headers=HEADERS)


async def _send(response: web.StreamResponse, data: object) -> None:
    await response.write(f"data: {json.dumps(data)}\n\n".encode())


def _id(given: object) -> int:
    """An id from the browser; 0, which nobody has, if it is none."""
    text = str(given or "")
    return int(text) if text.isascii() and text.isdecimal() else 0
