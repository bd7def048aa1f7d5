"""A log over HTTP: from purge's own server, and from servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mesh.errors import Unavailable
from mesh.transparency.errors import VerificationError
from mesh.transparency.http_reader import HttpReader, reader_of
from mesh.transparency.tiles import DirectoryReader

Answer = Callable[[BaseHTTPRequestHandler], None]


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up on it, and are meant to."""


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None: ...

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/a/log"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def reader(url: str, **options: object) -> HttpReader:
    return HttpReader(url, **({"seconds": 0.3, "sleep": lambda _: None} | options))  # type: ignore[arg-type]


def test_resources_come_as_they_are_over_one_connection_a_thread() -> None:
    connections = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        connections.add(handler.client_address)
        send(handler, 200, handler.path.encode())

    with serving(answer) as url:
        over = reader(url + "/")
        for path in ("checkpoint", "cosigned", "tile/0/000", "tile/entries/x001/234.p/56", "tile/5/x001/x002/003"):
            assert over.read(path) == f"/a/log/{path}".encode()
        assert len(connections) == 1
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(over.read, ["checkpoint"] * 40)) == [b"/a/log/checkpoint"] * 40
        assert len(connections) <= 5


@pytest.mark.parametrize(
    "path",
    ["", "secret", "../checkpoint", "tile/0/000/../../x", "checkpoint?x", "tile/entries/0", "/checkpoint", "a b"],
)
def test_nothing_else_is_asked_for(path: str) -> None:
    asked = []
    with serving(lambda handler: asked.append(handler.path)) as url, pytest.raises(FileNotFoundError):
        reader(url).read(path)
    assert not asked


def test_what_is_missing_is_missing() -> None:
    with serving(lambda handler: send(handler, 404, b"no")) as url, pytest.raises(FileNotFoundError):
        reader(url).read("tile/0/000")


def test_a_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if len(asked) == 1:
            handler.close_connection = True  # without an answer
        elif len(asked) == 2:
            send(handler, 503)
        elif len(asked) == 3:
            send(handler, 200, b"half", **{"Content-Length": "100"})
            handler.close_connection = True
        else:
            send(handler, 200, b"there")

    with serving(answer) as url:
        assert reader(url).read("checkpoint") == b"there" and len(asked) == 4


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 500, 502])
def test_a_server_that_does_not_serve_is_said_to_be_away(status: int) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        send(handler, status, Location="http://127.0.0.1:1/elsewhere")

    with serving(answer) as url, pytest.raises(Unavailable, match="LOG_UNREACHABLE"):
        reader(url).read("checkpoint")
    assert len(asked) == (4 if status >= 500 else 1)


def test_nobody_answers() -> None:
    with pytest.raises(Unavailable):
        reader("http://127.0.0.1:1").read("checkpoint")


@pytest.mark.parametrize(
    ("path", "size"), [("checkpoint", 300_000), ("tile/0/000", 8193), ("tile/entries/000", 17 << 20)]
)
def test_no_more_is_taken_than_a_log_can_hold(path: str, size: int) -> None:
    with (
        serving(lambda handler: send(handler, 200, bytes(size))) as url,
        pytest.raises(VerificationError, match="larger"),
    ):
        reader(url).read(path)


def test_an_answer_that_never_ends_ends() -> None:
    release = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"", **{"Content-Length": "8000"})
        while not release.wait(0.02):
            handler.wfile.write(b"x")

    with serving(answer) as url:
        with pytest.raises(Unavailable):
            reader(url, whole_seconds=0.1, attempts=2).read("tile/0/000")
        release.set()


@pytest.mark.parametrize("url", ["ftp://a/b", "http://", "a/b", "http://user:pw@a/b", "http://a/b?c", "http://a/b#c"])
def test_what_is_no_logs_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="log's URL"):
        HttpReader(url)


def test_a_folder_is_a_log_too(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "checkpoint").write_bytes(b"x")
    for location in (str(tmp_path), str(tmp_path / "public"), f"file://{tmp_path}"):
        found = reader_of(location)
        assert isinstance(found, DirectoryReader) and found.read("checkpoint") == b"x"
    assert isinstance(reader_of("https://example.org/log"), HttpReader)
    for location in (str(tmp_path / "none"), "gopher://x"):
        with pytest.raises(ValueError, match="neither"):
            reader_of(location)
