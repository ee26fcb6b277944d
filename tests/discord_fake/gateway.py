"""The gateway of the fake: sessions are identified, resumed, dropped and invalidated. The fake's event loop."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.discord_fake.faults import sever
from tests.discord_fake.ids import new_id
from tests.discord_fake.world import World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
BAD_TOKEN = 4004


class NotConnected(AssertionError):
    """The bot never identified, or its session was ended."""


@dataclass(eq=False)
class Session:
    """One session; `log` holds the dispatched events, to be sent again after a resume."""

    shard: int
    shards: int
    id: str = field(default_factory=lambda: f"session{new_id()}")
    sequence: int = 0
    log: list[tuple[int, str]] = field(default_factory=list)
    link: Link | None = None
    valid: bool = True


class Link:
    """One connection to the gateway."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket, self.request = socket, request
        compressed = request.query.get("compress")
        if compressed not in (None, "zlib-stream"):
            raise web.HTTPBadRequest(text=f"the fake does not speak {compressed}")
        self._zlib = zlib.compressobj() if compressed else None

    async def send(self, op: int, data: Any = None) -> None:  # noqa: ANN401 - JSON
        """Send a payload that is no event."""
        await self.send_text(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def send_text(self, text: str) -> None:
        """Send a payload, compressed on the bot's request; to a dead connection nothing is sent."""
        try:
            if self._zlib is None:
                await self.socket.send_str(text)
            else:
                packed = self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(packed)
        except (ConnectionError, RuntimeError):
            return


class Gateway:
    """All sessions of the bot.

    Attributes:
        identifies, resumes: number of requests of each kind.
        intents: the kinds of events that the bot asked for last.
        ready: set as soon as a session was told READY and of all its servers; cleared by `forget`.
        heartbeats: the times (`time.monotonic`) of the heartbeats.
        pings_s: seconds until the bot answered each `ping`.
        silent: while it is True, heartbeats are not acknowledged.
        hidden: servers that an outage hides from new sessions.
    """

    def __init__(self, world: World, token: str, url: Callable[[], str], heartbeat_s: float = 40.0) -> None:
        self._world, self._token, self._url, self._heartbeat_s = world, token, url, heartbeat_s
        self.sessions: dict[str, Session] = {}
        self.identifies = self.resumes = self.intents = 0
        self.ready = asyncio.Event()
        self.heartbeats: list[float] = []
        self.pings_s: list[float] = []
        self.silent = False
        self.hidden = set[int]()
        self._pinged_at: float | None = None
        self._ponged = asyncio.Event()

    # Actions of the bot

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(max_msg_size=0)
        link = Link(socket, request)
        await socket.prepare(request)
        await link.send(HELLO, {"heartbeat_interval": round(1_000 * self._heartbeat_s)})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._receive(link, json.loads(message.data))
        return socket

    async def _receive(self, link: Link, payload: dict[str, Any]) -> None:
        op, data = payload["op"], payload.get("d")
        if op == HEARTBEAT:
            await self._beat(link)
        elif op in (IDENTIFY, RESUME) and data["token"] != self._token:
            await link.socket.close(code=BAD_TOKEN, message=b"Authentication failed.")
        elif op == IDENTIFY:
            await self._identify(link, data)
        elif op == RESUME:
            await self._resume(link, data)

    async def _beat(self, link: Link) -> None:
        now = time.monotonic()
        self.heartbeats.append(now)
        if self._pinged_at is not None:
            self.pings_s.append(now - self._pinged_at)
            self._pinged_at = None
            self._ponged.set()
        if not self.silent:
            await link.send(ACK)

    async def _identify(self, link: Link, data: dict[str, Any]) -> None:
        self.identifies += 1
        self.intents = int(data["intents"])
        shard, shards = data.get("shard", (0, 1))
        session = Session(shard, shards, link=link)
        self.sessions[session.id] = session
        guilds = [guild for guild in self._world.guilds.values() if (guild.id >> 22) % shards == shard]
        ready = {
            "v": 10, "user": self._world.bot, "session_id": session.id, "resume_gateway_url": self._url(),
            "shard": [shard, shards], "application": {"id": str(self._world.application_id), "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
        }  # fmt: skip
        await self._send_event(session, "READY", ready)
        for guild in guilds:
            if guild.id not in self.hidden:
                await self._send_event(session, "GUILD_CREATE", guild.payload(self._world.bot))
        self.ready.set()

    async def _resume(self, link: Link, data: dict[str, Any]) -> None:
        self.resumes += 1
        session = self.sessions.get(data["session_id"])
        if session is None or not session.valid:
            await link.send(INVALID, False)
            return
        session.link = link
        for sequence, text in list(session.log):
            if sequence > (data["seq"] or 0):
                await link.send_text(text)
        await self._send_event(session, "RESUMED", {})
        self.ready.set()

    # Actions of Discord

    async def dispatch(self, event: str, data: dict[str, Any], guild_id: int) -> None:
        """Send the bot an event of a server; with its connection cut, after its next resume.

        Raises:
            NotConnected: if the bot never identified, or its session was invalidated.
        """
        for session in reversed(self.sessions.values()):
            if session.valid and (guild_id >> 22) % session.shards == session.shard:
                await self._send_event(session, event, data)
                return
        raise NotConnected("the bot is not connected")

    async def _send_event(self, session: Session, event: str, data: dict[str, Any]) -> None:
        session.sequence += 1
        text = json.dumps({"op": DISPATCH, "s": session.sequence, "t": event, "d": data})
        session.log.append((session.sequence, text))
        if session.link is not None:
            await session.link.send_text(text)

    def refuse_resumes(self) -> None:
        """Cut all connections; the bot may not resume, and learns so when it tries."""
        for session in self.sessions.values():
            session.valid = False
        self.drop()

    def drop(self) -> None:
        """Cut all connections; the bot may resume."""
        self.forget()
        for session in self.sessions.values():
            if session.link is not None:
                sever(session.link.request)
                session.link = None

    async def ask_to_reconnect(self) -> None:
        """Ask the bot to reconnect and resume, as Discord does every few hours."""
        await self._send_all(RECONNECT, None)

    async def invalidate(self, *, resumable: bool = False) -> None:
        """End all sessions; the bot must identify again, or may resume."""
        links = [session.link for session in self.sessions.values() if session.link is not None]
        if not resumable:
            for session in self.sessions.values():
                session.valid, session.link = False, None
        self.forget()
        for link in links:
            await link.send(INVALID, resumable)

    async def revoke(self) -> None:
        """Invalidate the token, as a reset in the developer portal does."""
        self._token = ""
        for session in self.sessions.values():
            if session.link is not None:
                await session.link.socket.close(code=BAD_TOKEN, message=b"Authentication failed.")

    async def ping(self) -> float:
        """Ask for a heartbeat; return the seconds until it came."""
        self._pinged_at = time.monotonic()
        self._ponged.clear()
        await self._send_all(HEARTBEAT, None)
        await self._ponged.wait()
        return self.pings_s[-1]

    def forget(self) -> None:
        """Wait for the next READY or RESUMED from now on."""
        self.ready.clear()

    async def close(self) -> None:
        """Close all connections."""
        for session in self.sessions.values():
            if session.link is not None:
                await session.link.socket.close(code=1001)

    async def _send_all(self, op: int, data: Any) -> None:  # noqa: ANN401 - JSON
        if op == RECONNECT:
            self.forget()
        for session in self.sessions.values():
            if session.link is not None:
                await session.link.send(op, data)
