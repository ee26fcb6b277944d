"""One download over HTTPS into a partial file, resumed after an earlier interruption. Blocking; any thread.

urllib makes the requests; this module adds the allowed hosts of redirects, the check that the rest of a file still
belongs to its beginning (If-Range), and the refusal of a web page in place of a model.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from generator.checkpoints.catalogue import TRUSTED_HOSTS
from generator.checkpoints.digests import write_beside
from generator.checkpoints.faults import Fault

CHUNK_BYTES = 2**20
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")
_LOOPBACK = ("127.0.0.1", "::1")


class Unavailable(Fault):
    """This address does not provide the file; another may."""


class Interrupted(Fault):
    """The download was interrupted; the same address may continue it."""


@dataclass(frozen=True)
class Rules:
    """Rules of downloads.

    Attributes:
        hosts: allowed hosts of downloads and redirects; a leading dot means every host below.
        loopback: allow plain HTTP to this very machine, for tests with their own server.
        timeout_s: seconds without a byte after which a try fails.
        tries: at each address.
        pause_s: between two tries.
    """

    hosts: tuple[str, ...] = TRUSTED_HOSTS
    loopback: bool = False
    timeout_s: float = 30.0
    tries: int = 4
    pause_s: float = 2.0

    def check(self, url: str) -> None:
        """Refuse an address that is not HTTPS at a known host.

        Raises:
            Unavailable: naming the host.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise Unavailable("leads to an address that makes no sense") from exc
        if self.loopback and parts.scheme == "http" and host in _LOOPBACK:
            return
        known = any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.hosts)
        if parts.scheme != "https" or port not in (None, 443) or parts.username is not None or not known:
            raise Unavailable(f"leads to {parts.scheme}://{host[:80]}, where Reverie does not fetch from")


@dataclass(frozen=True)
class Partial:
    """Facts about a partial file: its address, the server's name for this version, its final size."""

    url: str
    validator: str | None
    total: int | None


def transfer(url: str, part: Path, limit: int, rules: Rules, progress: Callable[[int, int | None], None]) -> None:
    """Complete `part` from `url`, up to `limit` bytes; `progress` is called with bytes done and in all.

    Raises:
        Unavailable: if this address does not provide the file.
        Interrupted: if the connection broke; the bytes so far stay for the next try.
        Fault: if it cannot be written.
    """
    rules.check(url)
    before = _read_partial(part)
    have = part.stat().st_size if part.exists() else 0
    if before is None or before.url != url or before.validator is None:
        have = 0
    elif before.total == have:
        return
    with _opened(url, have, before, rules, part) as response:
        begin = _begin(response, have, part)
        total = _total(response, begin, limit)
        if begin == 0:
            # Empty the file before recording this version: otherwise a crash in between would mix two files.
            part.write_bytes(b"")
        write_beside(_partial_of(part), json.dumps(asdict(Partial(url, _validator(response.headers), total))).encode())
        done = _receive(response, part, begin, total, limit, progress)
    if total is not None and done < total:
        raise Interrupted(f"broke off after {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def discard(part: Path) -> None:
    """Remove a partial file and the facts about it."""
    part.unlink(missing_ok=True)
    _partial_of(part).unlink(missing_ok=True)


class _KnownHosts(HTTPRedirectHandler):
    """Redirect handler that follows only redirects allowed by the rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            self._rules.check(newurl)
        except Unavailable:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str, have: int, before: Partial | None, rules: Rules, part: Path) -> Any:  # noqa: ANN401
    """Return the open response, which has several types in urllib."""
    opener = OpenerDirector()
    proxies = ProxyHandler({}) if rules.loopback else ProxyHandler()
    handlers = HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _KnownHosts(rules)
    for handler in (proxies, *handlers):
        opener.add_handler(handler)
    headers = {"User-Agent": "reverie", "Accept-Encoding": "identity"}
    if have and before is not None and before.validator is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": before.validator}
    try:
        # The rules have checked the scheme.
        return opener.open(Request(url, headers=headers), timeout=rules.timeout_s)  # noqa: S310
    except HTTPError as exc:
        exc.close()
        if exc.code == 416:
            discard(part)
            raise Interrupted("no longer has the file that was begun") from exc
        kind = Interrupted if exc.code in _PASSING else Unavailable
        raise kind(f"answered {exc.code} {_reason(exc)}") from exc
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise Interrupted(f"could not be reached ({_reason(exc)})") from exc


def _begin(response: Any, have: int, part: Path) -> int:  # noqa: ANN401
    """Return the first byte of the answer: the one requested, or 0 if the file has changed."""
    content_type = str(response.headers.get("Content-Type", "")).lower()
    if content_type.startswith("text/html"):
        raise Unavailable("answered with a web page instead of the file")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unavailable("answered with a compressed file, which was not asked for")
    if response.status == 200:
        return 0
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not have or match is None or int(match[1]) != have:
        discard(part)
        raise Interrupted("answered with another part of the file than was asked for")
    return have


def _total(response: Any, begin: int, limit: int) -> int | None:  # noqa: ANN401
    length = response.headers.get("Content-Length", "")
    total = begin + int(length) if length.isdecimal() else None
    if total is not None and total > limit:
        raise Unavailable(f"offers {total / 1e6:.0f} MB, far more than the file has")
    return total


def _receive(
    response: Any,  # noqa: ANN401
    part: Path,
    begin: int,
    total: int | None,
    limit: int,
    progress: Callable[[int, int | None], None],
) -> int:
    """Write the response; return the number of bytes then present."""
    done = begin
    with part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        file.truncate()
        while chunk := _chunk(response):
            if done == 0 and chunk.lstrip()[:20].lower().startswith(_PAGE):
                raise Unavailable("answered with a web page instead of the file")
            done += len(chunk)
            if done > limit:
                raise Unavailable(f"sends more than {limit / 1e6:.0f} MB, far more than the file has")
            file.write(chunk)
            progress(done, total)
    return done


def _chunk(response: Any) -> bytes:  # noqa: ANN401
    try:
        return bytes(response.read(CHUNK_BYTES))
    except (OSError, http.client.HTTPException) as exc:
        raise Interrupted(f"broke off ({_reason(exc)})") from exc


def _validator(headers: Message) -> str | None:
    """Return the name of this version of the file: a strong ETag, else the date of its last change."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _partial_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_partial(part: Path) -> Partial | None:
    try:
        return Partial(**json.loads(_partial_of(part).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _reason(exc: BaseException) -> str:
    """Describe the failure, short and without control characters for a terminal."""
    reason = getattr(exc, "reason", exc)
    text = " ".join((str(reason) or type(reason).__name__).split())
    return "".join(letter for letter in text if letter.isprintable())[:80]
