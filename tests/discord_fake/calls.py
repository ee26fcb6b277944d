"""Calls of the bot, with their bodies parsed, and answers as HTTP. The fake's event loop."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

PREFIX = "/api/v10"


@dataclass(frozen=True)
class UploadedFile:
    """One file of a multipart body, unchanged."""

    field: str
    filename: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(eq=False)
class Call:
    """One request of the bot. `status` is the answer's; 0 until there is one, -1 if the connection was cut."""

    method: str
    path: str
    query: dict[str, str]
    authorised: bool
    content_type: str = ""
    json: Any = None
    files: tuple[UploadedFile, ...] = ()
    at: float = field(default_factory=time.monotonic)
    status: int = 0

    def is_to(self, method: str, part: str) -> bool:
        """True for this method and a path that contains this part."""
        return self.method == method and part in self.path


def begin_call(request: web.Request, token: str) -> Call:
    """Create the call of a request before its body is read."""
    return Call(
        method=request.method,
        path=request.path.removeprefix(PREFIX),
        query=dict(request.query),
        authorised=request.headers.get("Authorization") == f"Bot {token}",
        content_type=request.content_type if request.body_exists else "",
    )


async def read_body(call: Call, request: web.Request) -> None:
    """Read the body of a request into its call.

    Raises:
        ValueError: for invalid JSON.
    """
    if call.content_type == "multipart/form-data":
        files = []
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise ValueError("a multipart body within a multipart body")
            data = bytes(await part.read())
            if part.name == "payload_json":
                call.json = json.loads(data)
            else:
                kind = part.headers.get("Content-Type", "application/octet-stream")
                files.append(UploadedFile(part.name or "", part.filename or "", kind, data))
        call.files = tuple(files)
    elif request.body_exists:
        text = await request.text()
        call.json = json.loads(text) if text else None


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:  # noqa: ANN401
    """Answer in JSON; Discord names no character set, and discord.py depends on it."""
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json")
