"""Faults on demand: refusals, rate limits, slow answers, cut connections. The fake's event loop."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase

from aiohttp import web

from tests.discord_fake.calls import Call, json_answer

MULTIPART = "multipart/form-data"


class Cut(Enum):
    """Time at which a connection is cut."""

    BEFORE = auto()
    """Before anything of the body is read."""
    DURING = auto()
    """In the middle of the body."""
    AFTER = auto()
    """After the call took effect, before its answer."""


@dataclass(eq=False)
class Fault:
    """A fault for calls of `method` with a path that matches `path` (with * for anything), a number of times.

    `hits` counts its uses. Exactly one of `status` and `cut` is given, or only `delay_s` or `gate`.
    """

    method: str
    path: str
    status: int = 0
    code: int = 0
    message: str = "scripted"
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, object] = field(default_factory=dict)
    cut: Cut | None = None
    delay_s: float = 0.0
    gate: asyncio.Event | None = None
    """The call takes effect and is answered once it is set."""
    times: int | None = 1
    skip: int = 0
    """Matching calls that pass before it begins."""
    uploads: bool = False
    """Only calls that carry files."""
    hits: int = 0

    def takes(self, call: Call) -> bool:
        """True if it applies to this call; counts the call."""
        if self.method not in (call.method, "*") or not fnmatchcase(call.path, self.path):
            return False
        if self.uploads and call.content_type != MULTIPART:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    def answer(self) -> web.Response:
        """Build the refusal."""
        body = {"code": self.code, "message": self.message} | self.body
        return json_answer(body, status=self.status, headers=self.headers)


class Faults:
    """The faults of one fake; the first that matches a call applies."""

    def __init__(self) -> None:
        self._all: list[Fault] = []

    def refuse(
        self, method: str, path: str, status: int, code: int = 0, *, times: int | None = 1, skip: int = 0
    ) -> Fault:
        """Answer with an error of Discord's, without any effect; `times=None` lasts until `clear`."""
        return self._add(Fault(method, path, status=status, code=code, times=times, skip=skip))

    def limit(
        self,
        method: str,
        path: str,
        retry_after_s: float | None,
        *,
        everywhere: bool = False,
        by_proxy: bool = False,
        times: int | None = 1,
    ) -> Fault:
        """Answer 429. `everywhere` is the global limit; `by_proxy` as Cloudflare does, or without a time: no JSON."""
        headers = {} if by_proxy else {"Via": "1.1 fake", "X-RateLimit-Scope": "global" if everywhere else "user"}
        body: dict[str, object] = {"global": everywhere, "message": "You are being rate limited."}
        if retry_after_s is not None:
            headers["Retry-After"] = str(max(1, round(retry_after_s)))
            body["retry_after"] = retry_after_s
        if everywhere:
            headers["X-RateLimit-Global"] = "true"
        return self._add(Fault(method, path, status=429, headers=headers, body=body, times=times))

    def slow(self, method: str, path: str, delay_s: float, *, times: int | None = 1) -> Fault:
        """Answer late; the call takes effect after the delay."""
        return self._add(Fault(method, path, delay_s=delay_s, times=times))

    def hold(self, method: str, path: str, *, times: int | None = 1, uploads: bool = False) -> Fault:
        """Let calls wait until the `gate` of this fault is set; `uploads`: only calls that carry files."""
        return self._add(Fault(method, path, gate=asyncio.Event(), times=times, uploads=uploads))

    def cut(
        self, method: str, path: str, where: Cut, *, times: int | None = 1, skip: int = 0, uploads: bool = False
    ) -> Fault:
        """Cut the connection; `uploads`: only of calls that carry files."""
        return self._add(Fault(method, path, cut=where, times=times, skip=skip, uploads=uploads))

    def remove(self, fault: Fault) -> None:
        """End one fault."""
        if fault in self._all:
            self._all.remove(fault)

    def clear(self) -> None:
        """End all faults."""
        self._all.clear()

    def taking(self, call: Call) -> Fault | None:
        """Find the fault for a call."""
        return next((fault for fault in self._all if fault.takes(call)), None)

    def _add(self, fault: Fault) -> Fault:
        self._all.append(fault)
        return fault


def sever(request: web.Request) -> None:
    """Cut the connection of a request so that the other side sees a reset."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
