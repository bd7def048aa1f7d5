"""What purge shows to everybody, on its ops port: the log's files below /log/, and the public keys below /keys/."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mesh.transparency.dsse import key_id
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Verifier
from services.purge.signing import public_pem

StartResponse = Callable[..., Any]
# C2SP tlog-tiles, and the newest cosigned checkpoint: nothing else is in there, and nothing else is handed out.
_LOG_PATH = re.compile(r"checkpoint|cosigned|tile/(?:\d{1,2}|entries)(?:/x\d{3})*/\d{3}(?:\.p/\d{1,3})?")


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
        if path in ("checkpoint", "cosigned"):
            return _answer(start, body, "text/plain; charset=utf-8", "no-store")
        return _answer(start, body, "application/octet-stream", "public, max-age=31536000, immutable")


class PublicKeys:
    """A WSGI app: <prefix>keys.json, receipts.pub.pem, receipts/<key id>.pub.pem of each key, log.vkey, log.vkeys."""

    def __init__(self, prefix: str, keys: KeyList) -> None:
        self._prefix = prefix
        self.show(keys)

    def show(self, keys: KeyList) -> None:
        """Another list from now on."""
        pems = {f"receipts/{key_id(period.key)}.pub.pem": public_pem(period.key) for period in keys.receipts}
        vkeys = [verifier.vkey.encode() + b"\n" for verifier in keys.verifiers]
        self._files = {
            **pems,
            "keys.json": keys.to_json(),
            "receipts.pub.pem": public_pem(keys.receipts[-1].key),
            "log.vkey": Verifier(keys.origin, keys.log[-1].key).vkey.encode() + b"\n",
            "log.vkeys": b"".join(vkeys),
        }

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "")).removeprefix(self._prefix)
        kind = "application/json" if path == "keys.json" else "text/plain"
        return _answer(start, self._files.get(path), kind, "no-cache")


def _answer(start: StartResponse, body: bytes | None, kind: str, cache: str) -> Iterable[bytes]:
    if body is None:
        start("404 Not Found", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
        return [b"not found\n"]
    start("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", cache)])
    return [body]
