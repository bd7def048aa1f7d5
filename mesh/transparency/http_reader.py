"""Reading a log's static resources over HTTP, from a server that is not trusted with anything."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mesh.errors import Unavailable
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import HASH_SIZE
from mesh.transparency.note import MAX_NOTE
from mesh.transparency.tiles import MAX_ENTRY, WIDTH, DirectoryReader, Reader

SECONDS = 10.0  # for a connection, and between two pieces of an answer
WHOLE_SECONDS = 60.0  # for one answer
ATTEMPTS = 4
_PATH = re.compile(r"(checkpoint|cosigned)|tile/(?:(entries)|\d{1,2})(?:/x\d{3})*/\d{3}(?:\.p/\d{1,3})?")
_PIECE = 1 << 16


class HttpReader:
    """Reads below a URL, each thread over a connection of its own that stays open.

    Follows no redirects, asks for nothing but a log's paths, takes no more bytes than these can have. GETs are tried
    again when the server is busy or gone. Blocks: call it in a thread.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        seconds: float = SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        connect: Callable[[float], http.client.HTTPConnection] | None = None,
    ) -> None:
        """ca: PEM, instead of the system's. connect: makes each connection, with this time-out, instead of the URL.

        Raises ValueError for what is no http or https URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("a log's URL is http://host/path or https://host/path")
        if parts.username or parts.password:
            raise ValueError("a log's URL holds no password")
        self.url = url
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/") + "/"
        is_ours = parts.scheme == "https" and connect is None
        self._tls = ssl.create_default_context(cafile=ca) if is_ours else None
        self._connect = connect
        self._seconds, self._whole, self._attempts, self._sleep = seconds, whole_seconds, attempts, sleep
        self._mine = threading.local()

    def read(self, path: str) -> bytes:
        """As ``Reader``. Raises also Unavailable("LOG_UNREACHABLE", ...), VerificationError("format", ...)."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise FileNotFoundError(path)
        limit = MAX_NOTE if match[1] else WIDTH * (MAX_ENTRY + 2 if match[2] else HASH_SIZE)
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(0.2 * 2 ** (attempt - 1))
            try:
                status, body = self._get(path, limit)
            except (OSError, http.client.HTTPException):
                self._drop()
                continue
            if status == http.client.OK:
                return body
            if status in (http.client.NOT_FOUND, http.client.GONE):
                raise FileNotFoundError(path)
            if status < http.client.INTERNAL_SERVER_ERROR and status != http.client.TOO_MANY_REQUESTS:
                break
        raise Unavailable("LOG_UNREACHABLE", f"The log at {self.url} does not answer; try again later.", retry_after=1)

    def _get(self, path: str, limit: int) -> tuple[int, bytes]:
        until = time.monotonic() + self._whole
        connection = self._connection()
        connection.request("GET", self._prefix + path)
        response = connection.getresponse()
        pieces, size = [], 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                self._drop()
                raise VerificationError("format", "The log serves a file that is larger than any of a log's.")
            if time.monotonic() > until:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(b"")
        response.close()  # read1 leaves that to us, and without it the connection could not be used again
        return response.status, b"".join(pieces)

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            if self._connect is not None:
                connection = self._connect(self._seconds)
            elif self._tls is not None:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._seconds, context=self._tls
                )
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
            self._mine.connection = connection
        return connection

    def _drop(self) -> None:
        self._connection().close()
        self._mine.connection = None


def reader_of(location: str, ca: Path | None = None) -> Reader:
    """Of a URL (http, https, file), or of a folder: a log's own, or its public part. Raises ValueError."""
    if location.startswith(("http://", "https://")):
        return HttpReader(location, ca=ca)
    folder = Path(location.removeprefix("file://"))
    if "://" in str(folder) or not folder.is_dir():
        raise ValueError(f"{location} is neither a folder nor a URL (http, https, file)")
    return DirectoryReader(folder / "public" if (folder / "public").is_dir() else folder)
