"""A package index on loopback that serves a folder of wheels in the form of PEP 503, with the metadata of PEP 658.

An installation is measured and tested against it: its downloads take no time, and it needs no network.
"""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote


@contextmanager
def serve_wheels(folder: Path) -> Iterator[str]:
    """Serve a folder of wheels while the block runs; yield the address of the index."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


class _Page(SimpleHTTPRequestHandler):
    """`/simple/NAME/` lists the wheels of a package, `/FILE` is one of them, `/FILE.metadata` its METADATA."""

    def do_GET(self) -> None:
        folder, path = Path(self.directory), unquote(self.path)
        if path.startswith("/simple/"):
            name = path.removeprefix("/simple/").strip("/")
            self._send("text/html", self._links(folder, name).encode() if name else b"")
        elif path.endswith(".metadata") and (wheel := folder / path[1:].removesuffix(".metadata")).is_file():
            with zipfile.ZipFile(wheel) as packed:
                (entry,) = [name for name in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
                self._send("text/plain", packed.read(entry))
        else:
            super().do_GET()

    def _links(self, folder: Path, name: str) -> str:
        wheels = [path.name for path in sorted(folder.glob("*.whl")) if _normal(path.name.partition("-")[0]) == name]
        link = '<a href="/{0}" data-dist-info-metadata="true" data-core-metadata="true">{0}</a>'
        return "<!DOCTYPE html>" + "".join(link.format(html.escape(wheel)) for wheel in wheels)

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet."""


def _normal(name: str) -> str:
    """Return a package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
