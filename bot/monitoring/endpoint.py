"""Serve metrics at http://HOST:PORT/metrics for Prometheus, with discord.py's HTTP library. Event loop.

Everyone who can reach the address can read them, so it is local to this machine by default. It is read-only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.config import Metrics as MetricsConfig
from bot.errors import ConfigError, StoreError

LAG_S = 1.0
"""Interval between measurements of the event loop's lag."""


class Endpoint:
    """HTTP server, open inside `async with`; does nothing if the port is 0."""

    def __init__(
        self, config: MetricsConfig, exposition: Callable[[], Awaitable[bytes]], note_lag: Callable[[float], None]
    ) -> None:
        """Call `exposition` at each scrape, and `note_lag` with the seconds by which the event loop ran a task late."""
        self._config, self._exposition, self._lagged = config, exposition, note_lag
        self._runner: web.AppRunner | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Endpoint:
        """Start serving.

        Raises:
            ConfigError: if the address cannot be bound.
        """
        if not self._config.port:
            return self
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._config.host, self._config.port).start()
        except OSError as exc:
            await self._runner.cleanup()
            address = f"{self._config.host}:{self._config.port}"
            raise ConfigError("metrics_address", address=address, why=exc.strerror or str(exc)) from exc
        self._watch = asyncio.create_task(self._measure_lag(), name="loop lag")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            body = await self._exposition()
        except StoreError as exc:
            # Before the start, after the end, or while the database cannot be read.
            return web.Response(status=503, text=f"{exc}\n")
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _measure_lag(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(LAG_S)
            self._lagged(max(0.0, time.monotonic() - began - LAG_S))
