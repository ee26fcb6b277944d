"""Downloads from a local server with all the failures of real ones."""

import contextlib
import hashlib
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from generator.checkpoints.catalogue import PERCEPTORS, SETS, SourceFile
from generator.checkpoints.digests import pin
from generator.checkpoints.fetch import fetch, files_of
from generator.checkpoints.transfer import Rules, Unavailable
from generator.errors import CheckpointError, InvalidRequest

MODEL = safetensors.torch.save({"weight": torch.arange(700_000, dtype=torch.float32)})
DIGEST = hashlib.sha256(MODEL).hexdigest()
RULES = Rules(loopback=True, timeout_s=5, pause_s=0)
PAGE = b"<!DOCTYPE html><html><body>This file is no longer here.</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """Serve MODEL under /good and something else under each other path; `asked` are path and Range of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.drops = 1
        self.etag: str | None = '"one"'

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def file(self, *paths: str, sha256: str | None = None) -> SourceFile:
        """A catalogue file with these paths as mirrors."""
        return SourceFile("model.safetensors", tuple(map(self.url, paths)), 3, sha256)


class Handler(http.server.BaseHTTPRequestHandler):
    """Handle one request; the path selects the failure."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.strip("/")
        self.server.asked.append((path, self.headers["Range"]))
        self.close_connection = True
        if path.isdecimal():
            self.send_error(int(path))
        elif path == "page":
            self.answer(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        elif path == "page-unlabelled":
            self.answer(200, PAGE)
        elif path == "zipped":
            self.answer(200, MODEL, {"Content-Encoding": "gzip"})
        elif path == "huge":
            self.answer(200, b"x", length=10**12)
        elif path == "endless":
            self.endless()
        elif path == "wrong-part":
            self.answer(206, MODEL[:10], {"Content-Range": f"bytes 0-9/{len(MODEL)}"})
        elif path.startswith("to/"):
            self.answer(302, b"", {"Location": path.removeprefix("to/").replace("HERE", self.server.url("")[:-1])})
        elif path == "loop":
            self.answer(302, b"", {"Location": "/loop"})
        elif path == "other":
            self.answer(200, MODEL[:-4] + b"\1\2\3\4")
        else:
            self.model(path)

    def model(self, path: str) -> None:
        """Send MODEL, or the requested range of it; /drops disconnects midway the configured number of times."""
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        begin = 0
        if wanted and path != "no-range" and condition == self.server.etag:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        content, end = MODEL[begin:], len(MODEL)
        headers = {"Content-Range": f"bytes {begin}-{end - 1}/{end}"} if begin else {}
        if self.server.etag is not None:
            headers["ETag"] = self.server.etag
        if path != "good" and self.server.drops > 0:
            self.server.drops -= 1
            self.answer(206 if begin else 200, content[: len(content) // 2], headers, len(content))
        else:
            self.answer(206 if begin else 200, content, headers)

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in {"Content-Type": "application/octet-stream", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(bytes(10**6))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    """Names in a folder, except the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_with_progress(server: Server, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    place = fetch(server.file("good", sha256=DIGEST), tmp_path / "models", lambda *now: heard.append(now), RULES)
    assert place.read_bytes() == MODEL
    assert heard[-1] == ("model.safetensors", len(MODEL), len(MODEL))
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
    assert names(tmp_path / "models") == ["model.safetensors"]


def test_present_files_are_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(MODEL)
    fetch(server.file("good", sha256=DIGEST), tmp_path, rules=RULES)
    assert server.asked == []


@pytest.mark.parametrize("drops", [1, 3])
def test_a_broken_download_resumes(server: Server, tmp_path: Path, drops: int) -> None:
    server.drops = drops
    assert fetch(server.file("drops"), tmp_path, rules=RULES).read_bytes() == MODEL
    assert len(server.asked) == drops + 1
    assert server.asked[0] == ("drops", None)
    assert server.asked[1] == ("drops", f"bytes={len(MODEL) // 2}-")


def test_the_next_run_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.drops = 99
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1 broke off after 2 of 3 MB"):
        fetch(server.file("drops"), tmp_path, rules=Rules(loopback=True, tries=1, pause_s=0))
    assert names(tmp_path) == ["model.safetensors.part", "model.safetensors.part.json"]
    done = (tmp_path / "model.safetensors.part").stat().st_size
    server.drops = 0
    assert fetch(server.file("drops"), tmp_path, rules=RULES).read_bytes() == MODEL
    assert server.asked[-1] == ("drops", f"bytes={done}-")
    assert names(tmp_path) == ["model.safetensors"]


@pytest.mark.parametrize("change", ["other version", "no name for the version", "no ranges", "another mirror"])
def test_a_beginning_that_may_not_belong_to_the_rest_is_dropped(server: Server, tmp_path: Path, change: str) -> None:
    path = "no-range" if change == "no ranges" else "drops"
    server.etag = None if change == "no name for the version" else '"one"'
    server.drops = 99
    with pytest.raises(CheckpointError, match="broke off"):
        fetch(server.file(path), tmp_path, rules=Rules(loopback=True, tries=1, pause_s=0))
    server.drops = 0
    if change == "other version":
        (tmp_path / "model.safetensors.part").write_bytes(bytes(100))
        server.etag = '"two"'
    if change == "another mirror":
        (tmp_path / "model.safetensors.part").write_bytes(bytes(100))
        path = "good"
    assert fetch(server.file(path), tmp_path, rules=RULES).read_bytes() == MODEL


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("404", "answered 404 Not Found"),
        ("403", "answered 403 Forbidden"),
        ("503", "answered 503 Service Unavailable"),
        ("page", "answered with a web page instead of the file"),
        ("page-unlabelled", "answered with a web page instead of the file"),
        ("zipped", "answered with a compressed file"),
        ("huge", "offers 1000000 MB, far more than the file has"),
        ("endless", "sends more than 6 MB"),
        ("wrong-part", "answered with another part of the file"),
        ("loop", "answered 302"),
        (
            "to/https://models.example.org/x",
            r"leads to https://models\.example\.org, where Reverie does not fetch from",
        ),
        ("to/http://github.com/x", "leads to http://github.com"),
        ("to/https://github.com@evil.example/x", r"leads to https://evil\.example"),
        ("to/https://user:password@github.com/x", "leads to https://github.com"),
        ("to/https://github.com:8443/x", "leads to https://github.com"),
        ("to/https://evilgithubusercontent.com/x", r"leads to https://evilgithubusercontent\.com"),
        ("to/https://github.com.evil.example/x", r"leads to https://github\.com\.evil\.example"),
        ("to/file:///etc/passwd", "answered 302"),
        ("other", "is not the file that was published: its SHA-256 begins with"),
    ],
)
def test_a_mirror_that_fails_is_named_and_the_next_one_tried(
    server: Server, tmp_path: Path, path: str, words: str
) -> None:
    rules = Rules(loopback=True, timeout_s=5, tries=2, pause_s=0)
    with pytest.raises(CheckpointError, match=words) as caught:
        fetch(server.file(path, sha256=DIGEST), tmp_path / "fails", rules=rules)
    assert str(caught.value).startswith("model.safetensors could not be fetched: 127.0.0.1 ")
    assert "by hand" in str(caught.value)
    assert "model.safetensors" not in names(tmp_path / "fails")
    assert fetch(server.file(path, "good", sha256=DIGEST), tmp_path / "next", rules=rules).read_bytes() == MODEL


def test_a_redirect_to_a_known_host_is_followed(server: Server, tmp_path: Path) -> None:
    assert fetch(server.file("to/HERE/good"), tmp_path, rules=RULES).read_bytes() == MODEL
    assert [path for path, _ in server.asked] == ["to/HERE/good", "good"]


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = SourceFile("model.safetensors", ("http://127.0.0.1:9/model",), 3)
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1 could not be reached \(.*refused"):
        fetch(file, tmp_path, rules=Rules(loopback=True, tries=1))


def test_plain_http_is_for_tests_only(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"leads to http://127\.0\.0\.1, where Reverie does not fetch from"):
        fetch(server.file("good"), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("name", [*SETS, *PERCEPTORS])
def test_every_address_of_the_catalogue_is_allowed(name: str) -> None:
    for file in files_of(name):
        for url in file.urls:
            Rules().check(url)


@pytest.mark.parametrize("host", ["objects.githubusercontent.com", "release-assets.githubusercontent.com"])
def test_redirects_to_githubs_hosts_are_allowed(host: str) -> None:
    Rules().check(f"https://{host}/x?token=y")
    with pytest.raises(Unavailable):
        Rules().check(f"https://{host}.example.org/x")


def test_a_digest_from_the_configuration_counts(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the file that was published"):
        fetch(server.file("good"), tmp_path, rules=RULES, digests={"model.safetensors": "0" * 64})
    assert fetch(server.file("good"), tmp_path, rules=RULES, digests={"model.safetensors": DIGEST}).is_file()


def test_a_file_that_differs_from_its_pin_is_refused(server: Server, tmp_path: Path) -> None:
    pin(tmp_path / "model.safetensors", DIGEST)
    with pytest.raises(CheckpointError, match="has changed since it was first used"):
        fetch(server.file("other"), tmp_path, rules=RULES)
    assert fetch(server.file("other", "good"), tmp_path, rules=RULES).read_bytes() == MODEL


def test_a_damaged_file_put_there_by_hand_is_not_accepted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(PAGE)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a web page"):
        fetch(server.file("good"), tmp_path, rules=RULES)


def test_a_full_disk_is_noticed_before_anything_is_fetched(server: Server, tmp_path: Path) -> None:
    free_mb = shutil.disk_usage(tmp_path).free // 10**6
    file = SourceFile("model.safetensors", (server.url("good"),), free_mb + 1)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors takes {free_mb + 1} MB more .* MB free; make room"):
        fetch(file, tmp_path, rules=RULES)
    assert server.asked == []


def test_two_programs_do_not_fetch_one_file_at_once(server: Server, tmp_path: Path) -> None:
    file = server.file("good")
    failures: list[str] = []

    def meanwhile(*_: object) -> None:
        if not failures:
            failures.append(_failure(lambda: fetch(file, tmp_path, rules=RULES)))

    fetch(file, tmp_path, meanwhile, RULES)
    assert failures == ["model.safetensors is being fetched by another program; wait for that."]


def _failure(action: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        action()
    return str(caught.value)


def test_ctrl_c_keeps_what_came(server: Server, tmp_path: Path) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.file("good"), tmp_path, stop, RULES)
    assert 0 < (tmp_path / "model.safetensors.part").stat().st_size < len(MODEL)
    assert fetch(server.file("good"), tmp_path, rules=RULES).read_bytes() == MODEL
    assert server.asked[-1][1] is not None


def test_the_files_of_a_set_are_its_vqgan_and_its_perceptors() -> None:
    assert [file.name for file in files_of("faceshq")] == ["2020-11-13T21-41-45_faceshq.pth", "ViT-B-32.pt"]
    assert [file.name for file in files_of("faceshq", ["RN50", "RN101"])][1:] == ["RN50.pt", "RN101.pt"]
    assert [file.name for file in files_of("ViT-L/14")] == ["ViT-L-14.pt"]
    with pytest.raises(InvalidRequest, match=r"There are no models 'x'; choose one of starter, imagenet-16384"):
        files_of("x")
    with pytest.raises(InvalidRequest, match="There is no perceptor 'ViT-B/99'"):
        files_of("faceshq", ["ViT-B/99"])
