"""What a mesh shows and keeps: the pages of its ops ports, the receipt log, Redis."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import redis

from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


_PAGES = (("/metrics", _OPENMETRICS), *((path, "*/*") for path in ("/metrics", "/readyz", "/healthz", "/evidence")))


def pages(mesh: LocalMesh, *, headers: Iterable[tuple[str, str]] = (), asked: Iterable[str] = ()) -> bytes:
    """What the ops ports say, metrics in both formats. asked: what is looked up on the evidence page, and then asked
    for as if it were a page."""
    said = []
    questions = [quote(question, safe="") for question in asked]
    more = [path for question in questions for path in (f"/evidence?receipt={question}", f"/{question}")]
    for service in SERVICES:
        if not mesh.is_alive(service):
            continue
        for path, accept in (*_PAGES, *((path, "*/*") for path in more)):
            connection = http.client.HTTPConnection(mesh.ops_address(service), timeout=5)
            connection.request("GET", path, headers={"Accept": accept, **dict(headers)})
            said.append(connection.getresponse().read())
            connection.close()
    return b"\n".join(said)


def receipt_log(mesh: LocalMesh) -> bytes:
    """Every file of the log: journal, tiles, checkpoint."""
    files = sorted(path for path in mesh.state.transparency_log.rglob("*") if path.is_file())
    return b"\n".join(str(path.name).encode() + b"\n" + path.read_bytes() for path in files)


def registry(mesh: LocalMesh) -> bytes:
    """Every key of Redis, with what is in it now."""
    with redis.Redis.from_url(mesh.valkey_client_url) as client:
        return b"\n".join(part for key in client.scan_iter(count=1000) for part in (key, *_value(client, key)))


def _value(client: Any, key: bytes) -> Iterable[bytes]:
    """By the commands that purge's user has, of which TYPE is none. AssertionError for what can't be read."""
    readers: tuple[Callable[[], Iterable[bytes | None]], ...] = (
        lambda: [client.get(key)],
        lambda: itertools.chain.from_iterable(client.hgetall(key).items()),
        lambda: client.zrange(key, 0, -1),
        lambda: [client.lindex(key, at) for at in range(64)],
    )
    for read in readers:
        try:
            return [part for part in read() if part is not None]
        except redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
    raise AssertionError(f"{key!r} is of a kind that nobody reads here")
