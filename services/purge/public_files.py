"""What purge shows to everybody, on its ops port: the log's files below /log/, and the public keys below /keys/."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from services.purge.signing import SigningKeys

StartResponse = Callable[..., Any]
# C2SP tlog-tiles: nothing else is in there, and nothing else is handed out.
_LOG_PATH = re.compile(r"checkpoint|tile/(?:\d{1,2}|entries)(?:/x\d{3})*/\d{3}(?:\.p/\d{1,3})?")


class LogFiles:
    """A WSGI app that serves the log's public directory."""

    def __init__(self, prefix: str, directory: Path) -> None:
        self._prefix = prefix
        self._directory = directory

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "")).removeprefix(self._prefix)
        try:
            body = (self._directory / path).read_bytes() if _LOG_PATH.fullmatch(path) else None
        except OSError:
            body = None
        if path == "checkpoint":
            return _answer(start, body, "text/plain; charset=utf-8", "no-store")
        return _answer(start, body, "application/octet-stream", "public, max-age=31536000, immutable")


class PublicKeys:
    """A WSGI app: <prefix>receipts.pub.pem and <prefix>log.vkey."""

    def __init__(self, prefix: str, keys: SigningKeys) -> None:
        self._files = {
            f"{prefix}receipts.pub.pem": keys.receipts_public_pem,
            f"{prefix}log.vkey": keys.log_vkey.encode() + b"\n",
        }

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        return _answer(start, self._files.get(str(environ.get("PATH_INFO", ""))), "text/plain", "no-cache")


def _answer(start: StartResponse, body: bytes | None, kind: str, cache: str) -> Iterable[bytes]:
    if body is None:
        start("404 Not Found", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
        return [b"not found\n"]
    start("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", cache)])
    return [body]
