"""Asking the ops ports of other processes of the mesh: metrics, logs, keys."""

from __future__ import annotations

import http.client
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from mesh.ops_tls import MutualTls
from mesh.transparency.http_reader import HttpReader

SCHEME: Final = "mtls://"
"""Before the HOST:PORT of an ops port that is to be asked by mutual TLS."""
_SECONDS = 5.0


def names_port(address: str, *, needed: bool = True) -> bool:
    """Whether an address, HOST:PORT or a URL, has a port from 1 to 65535; not needed: or none."""
    try:
        port = urlsplit(address if "//" in address else f"//{address}").port
    except ValueError:
        return False
    return port != 0 and (port is not None or not needed)


class OpsPorts:
    """Asks the ops ports of others: HOST:PORT in plain HTTP, mtls://HOST:PORT by mutual TLS. tls: None: plain only."""

    def __init__(self, tls: MutualTls | None = None) -> None:
        self.tls = tls

    def connection(self, address: str, service: str, seconds: float = _SECONDS) -> http.client.HTTPConnection:
        """To the ops port of ``service``. Raises OSError where TLS is asked for, and there is no certificate for it."""
        if not address.startswith(SCHEME):
            return http.client.HTTPConnection(address, timeout=seconds)
        if self.tls is None:
            raise OSError("no certificate for mutual TLS")
        host, _, port = address.removeprefix(SCHEME).rpartition(":")
        return self.tls.connection(host.strip("[]"), int(port), service, seconds)

    def reader(self, address: str, service: str, **options: Any) -> HttpReader:
        """Of the log that ``service`` serves at HOST:PORT/PATH, or mtls://HOST:PORT/PATH. options: HttpReader's."""
        place, _, path = address.removeprefix(SCHEME).partition("/")
        if not address.startswith(SCHEME):
            return HttpReader(f"http://{place}/{path}", **options)
        connect = partial(self.connection, SCHEME + place, service)
        return HttpReader(f"https://{place}/{path}", connect=connect, **options)

    def fetch(self, address: str, service: str, page: str) -> bytes:
        """The body, whatever the status; PermissionError if it isn't for us. Raises OSError, HTTPException."""
        connection = self.connection(address, service)
        try:
            connection.request("GET", page)
            response = connection.getresponse()
            if response.status == http.client.FORBIDDEN:
                raise PermissionError("this page is for others")
            return response.read()
        finally:
            connection.close()
