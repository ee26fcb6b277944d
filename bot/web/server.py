"""Web server of the galleries: http://HOST:PORT/SECRET/ for each server with a link. Event loop.

Read-only, without scripts, cookies and sessions. Every request asks anew whether its picture may be shown, and browsers
ask anew before they show a file that they have; so a picture that is deleted is gone at once.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol

from aiohttp import web
from yarl import URL

from bot.config import Config
from bot.errors import ConfigError, FilesError, StoreError
from bot.files import DataFolder
from bot.service import WebGallery, WebPicture
from bot.texts import say
from bot.web.files import TYPES, Form, WebFile, WebFiles, recipe_file
from bot.web.pages import (
    STYLE,
    STYLE_NAME,
    Files,
    Tile,
    chosen_language,
    list_page,
    message_page,
    picture_page,
)

PER_PAGE = 24
SEARCH_CHARACTERS = 100
MAX_FILM_PARTS = 9
AT_ONCE = 4
"""Pages and files that are made at once, for all visitors."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Server": "Reverie",
}
_AFTER = re.compile(r"([1-9][0-9]{0,17})-([1-9])", re.ASCII)
_log = logging.getLogger(__name__)


class Places(Protocol):
    """Servers and their channels as Discord says they are now."""

    def name(self, guild_id: int) -> str | None:
        """Name of a server; None if it is not known at the moment."""

    def open_channels(self, guild_id: int) -> frozenset[int]:
        """Channels of a server that everybody in it can see and that are not age-restricted."""


class GalleryServer:
    """HTTP server, open inside `async with`; does nothing if the port is 0."""

    def __init__(self, config: Config, gallery: WebGallery, files: DataFolder, places: Places) -> None:
        self._config, self._gallery, self._places = config, gallery, places
        self._files = WebFiles(files)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> GalleryServer:
        """Start serving.

        Raises:
            ConfigError: if the address cannot be bound.
        """
        own = self._config.gallery
        if not own.port:
            return self
        app = web.Application(middlewares=[self._safely])
        app.router.add_get(f"/{STYLE_NAME}", self._style)
        app.router.add_get("/favicon.ico", self._nothing)
        app.router.add_get("/{secret}/", self._list)
        app.router.add_get(r"/{secret}/p/{job:[1-9]\d{0,17}}-{number:[1-9]}", self._picture)
        app.router.add_get("/{secret}/f/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, own.host, own.port).start()
        except OSError as exc:
            await self._runner.cleanup()
            address = f"{own.host}:{own.port}"
            raise ConfigError("gallery_address", address=address, why=exc.strerror or str(exc)) from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _safely(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer with the headers that hold for everything; errors are answered by a page that tells nothing."""
        response: web.StreamResponse
        try:
            async with self._turn:
                response = await handler(request)
        except web.HTTPException as exc:
            key = "web_not_here" if exc.status in (403, 404) else "web_wrong"
            response = self._message(request, exc.status, key)
        except (StoreError, FilesError) as exc:
            # Before the start, after the end, or while database or disk cannot be read.
            _log.info("a page of the web gallery could not be made: %s", exc)
            response = self._message(request, 503, "web_not_now")
        except Exception:  # Any error must have these headers too.
            _log.exception("a page of the web gallery could not be made")
            response = self._message(request, 500, "web_wrong")
        response.headers.update({name: value for name, value in HEADERS.items() if name not in response.headers})
        return response

    async def _style(self, request: web.Request) -> web.Response:
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=STYLE, content_type="text/css", charset="utf-8", headers=kept)

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.Response:
        guild_id, channels = await self._server(request)
        search = " ".join(request.query.get("q", "")[:SEARCH_CHARACTERS].split())
        found = _AFTER.fullmatch(request.query.get("after", ""))
        after = None if found is None else (int(found[1]), int(found[2]))
        page = await self._gallery.page(guild_id, channels, search, after=after, length=PER_PAGE)
        older: dict[str, str] = {}
        if page.more:
            last = page.pictures[-1]
            older = ({"q": search} if search else {}) | {"after": f"{last.job_id}-{last.number}"}
        locale = self._language(request)
        title = self._title(guild_id, locale)

        def compose() -> str:
            tiles = [self._tile(picture) for picture in page.pictures]
            return list_page(locale, title, tiles, search=search, older=older, first=after is None)

        return _page(await asyncio.to_thread(compose))

    async def _picture(self, request: web.Request) -> web.Response:
        guild_id, channels = await self._server(request)
        shown = await self._shown(guild_id, channels, int(request.match_info["job"]), int(request.match_info["number"]))
        details = await self._gallery.details(guild_id, channels, shown)
        if details is None:
            raise web.HTTPNotFound
        locale = self._language(request)
        title = self._title(guild_id, locale)

        def compose() -> str:
            return picture_page(locale, title, details, self._files_of(shown, details.recipe))

        return _page(await asyncio.to_thread(compose))

    async def _file(self, request: web.Request) -> web.Response:
        guild_id, channels = await self._server(request)
        file = WebFile.read(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        shown = await self._shown(guild_id, channels, file.job_id, 1 if file.form is Form.FILM else file.number)
        if file.form in (Form.SMALL, Form.FULL):
            data = await asyncio.to_thread(self._files.bytes_of, file)
        else:
            data = await self._restricted(guild_id, channels, shown, file)
        if data is None:
            raise web.HTTPNotFound
        return _answer(request, file, data)

    async def _restricted(
        self, guild_id: int, channels: frozenset[int], shown: WebPicture, file: WebFile
    ) -> bytes | None:
        """The bytes of a recipe, timelapse or film; None if it is not to be shown."""
        details = await self._gallery.details(guild_id, channels, shown)
        if details is None or details.recipe is None:
            return None
        if file.form is Form.RECIPE:
            same = recipe_file(file.job_id, file.number, details.recipe) == file
            return details.recipe.encode() if same else None
        return await asyncio.to_thread(self._files.bytes_of, file)

    async def _server(self, request: web.Request) -> tuple[int, frozenset[int]]:
        """The server of a request's link, and its channels that everybody can see.

        Raises:
            HTTPNotFound: if there is no such link.
        """
        guild_id = await self._gallery.guild_of(request.match_info["secret"])
        if guild_id is None:
            raise web.HTTPNotFound
        return guild_id, self._places.open_channels(guild_id)

    async def _shown(self, guild_id: int, channels: frozenset[int], job_id: int, number: int) -> WebPicture:
        """A picture that may be shown.

        Raises:
            HTTPNotFound: if it may not.
        """
        shown = await self._gallery.picture(guild_id, channels, job_id, number)
        if shown is None:
            raise web.HTTPNotFound
        return shown

    def _tile(self, picture: WebPicture) -> Tile:
        file = self._files.find(picture.job_id, picture.number, Form.SMALL)
        return Tile(picture, None if file is None else file.name)

    def _files_of(self, shown: WebPicture, recipe: str | None) -> Files:
        """Names of the files of a picture's page. Runs on a thread."""
        job_id, number = shown.job_id, shown.number
        full = self._files.find(job_id, number, Form.FULL)
        name = None if full is None else full.name
        if recipe is None:
            return Files(name)
        timelapse = self._files.find(job_id, number, Form.TIMELAPSE) if shown.has_timelapse else None
        films = list[str]()
        while shown.film_s and len(films) < MAX_FILM_PARTS:
            part = self._files.find(job_id, len(films) + 1, Form.FILM)
            if part is None:
                break
            films.append(part.name)
        return Files(
            name,
            None if timelapse is None else timelapse.name,
            tuple(films),
            recipe_file(job_id, number, recipe).name,
        )

    def _title(self, guild_id: int, locale: str) -> str:
        name = self._places.name(guild_id)
        return say("web_title_alone", locale) if name is None else say("web_title", locale, name=name)

    def _language(self, request: web.Request) -> str:
        return chosen_language(request.headers.get("Accept-Language", ""), self._config.language)

    def _message(self, request: web.Request, status: int, key: str) -> web.Response:
        locale = self._language(request)
        return _page(message_page(locale, say(key, locale), URL(self._config.gallery.public_address).path), status)


def _page(html: str, status: int = 200) -> web.Response:
    return web.Response(
        text=html, status=status, content_type="text/html", charset="utf-8", headers={"Vary": "Accept-Language"}
    )


def _answer(request: web.Request, file: WebFile, data: bytes) -> web.Response:
    """A file, or the part that the browser wants: the name says what all of it is."""
    headers = {"ETag": f'"{file.digest}"', "Accept-Ranges": "bytes"}
    if any(tag.value in (file.digest, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    if file.form is Form.RECIPE:
        headers["Content-Disposition"] = f'attachment; filename="reverie-{file.job_id}-{file.number}.json"'
    part = _part(request, len(data))
    if part is None:
        return web.Response(body=data, content_type=TYPES[file.ending], headers=headers)
    first, end = part
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}" if end > first else f"bytes */{len(data)}"
    if end <= first:
        return web.Response(status=416, headers=headers)
    return web.Response(status=206, body=data[first:end], content_type=TYPES[file.ending], headers=headers)


def _part(request: web.Request, length: int) -> tuple[int, int] | None:
    """First byte and end of the part that a request wants; None for all of it. An empty part cannot be served."""
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None and wanted.stop is None:
        return None
    first, end, _ = wanted.indices(length)
    return first, end
