"""/evidence on the ops port: the page, its two files, the live stream, and one receipt with its proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from services.purge.evidence import lookup
from services.purge.evidence.live import Full, Live
from services.purge.evidence.lookup import Lookup
from services.purge.evidence.page import page
from services.purge.evidence.view import View

PREFIX = "/evidence"
StartResponse = Callable[..., Any]
# Nothing from anywhere else, nothing inline, in nobody's frame: a piece of HTML that slipped in could do nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_STATIC = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HTML = "text/html; charset=utf-8"
_LONGEST_QUERY = 256


class EvidenceApp:
    """A WSGI app. replica, origin: whom it speaks for. others: origins of the other replicas' logs."""

    def __init__(
        self, view: View, live: Live, look: Lookup, *, replica: str, origin: str, others: Sequence[str]
    ) -> None:
        self._view = view
        self._live = live
        self._lookup = look
        self._about = {"replica": replica, "origin": origin}
        self._others = tuple(others)
        here = Path(__file__).parent
        self._static = {name: (kind, (here / name).read_bytes()) for name, kind in _STATIC.items()}

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method = environ.get("REQUEST_METHOD", "GET")
        if method not in ("GET", "HEAD"):
            return _answer(start, "405 Method Not Allowed", "text/plain", b"GET\n", ("Allow", "GET, HEAD"))
        body = self._route(environ, start)
        return [] if method == "HEAD" else body

    def _route(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "")).removeprefix(PREFIX).strip("/")
        if path == "":
            return self._page(start, _question(environ))
        if path == "live":
            return self._stream(start, environ)
        if path == "receipt":
            return self._receipt(start, _question(environ))
        if path in self._static:
            kind, body = self._static[path]
            return _answer(start, "200 OK", kind, body, ("Cache-Control", "no-cache"))
        return _answer(start, "404 Not Found", "text/plain", b"not found\n")

    def _page(self, start: StartResponse, question: str) -> Iterable[bytes]:
        found = self._lookup.find(question) if question else None
        answer = lookup.show(found) if question else ""
        shown = question if found is not None else ""
        body = page(self._view.pieces(), **self._about, others=self._others, question=shown, answer=answer)
        return _answer(start, "200 OK", _HTML, body.encode())

    def _receipt(self, start: StartResponse, question: str) -> Iterable[bytes]:
        found = self._lookup.find(question) if question else None
        bundle = found.bundle() if found is not None else None
        if bundle is None:
            return _answer(start, "404 Not Found", "text/plain", b"not found\n")
        return _answer(start, "200 OK", "application/json", bundle)

    def _stream(self, start: StartResponse, environ: dict[str, Any]) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") == "HEAD":
            return _answer(start, "200 OK", "text/event-stream", b"")
        try:
            stream = self._live.stream()
        except Full:
            return _answer(start, "503 Service Unavailable", "text/plain", b"too many readers\n", ("Retry-After", "30"))
        # nginx would otherwise hold events back until they fill a buffer.
        unbuffered = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
        start("200 OK", [("Content-Type", "text/event-stream"), *unbuffered, *_HEADERS])
        return stream


def _question(environ: dict[str, Any]) -> str:
    query = str(environ.get("QUERY_STRING", ""))
    if len(query) > _LONGEST_QUERY:
        return ""
    return parse_qs(query).get("receipt", [""])[0][: lookup.LONGEST]


def _answer(start: StartResponse, status: str, kind: str, body: bytes, *more: tuple[str, str]) -> Iterable[bytes]:
    cache = [] if any(name == "Cache-Control" for name, _ in more) else [("Cache-Control", "no-store")]
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *cache, *more, *_HEADERS])
    return [body]
