"""What services say about themselves on their ops ports."""

from __future__ import annotations

import http.client
from collections.abc import Sequence

from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched

_SECONDS = 5.0
_PAGES = ("/metrics", "/readyz")


class Metrics:
    """addresses: service → HOST:PORT of its ops port."""

    where = "metrics"

    def __init__(self, addresses: Sequence[tuple[str, str]]) -> None:
        self._addresses = addresses

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        for service, address in self._addresses:
            for page in _PAGES:
                try:
                    body = fetch(address, page)
                except (OSError, http.client.HTTPException):
                    searched.failed.append(f"{service}'s {page} at {address} does not answer")
                    continue
                searched.bytes += len(body)
                found = contents.search_bytes(body, hunted)
                searched.add(Found(service, self.where, what, count, page) for what, count in found.items())
        return [searched]


def fetch(address: str, page: str) -> bytes:
    """The body, whatever the status. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request("GET", page)
        return connection.getresponse().read()
    finally:
        connection.close()
