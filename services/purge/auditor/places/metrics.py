"""What services say about themselves on their ops ports."""

from __future__ import annotations

import http.client
from collections.abc import Sequence

from mesh.ops_ports import OpsPorts
from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched

_PAGES = ("/metrics", "/readyz", "/evidence", "/evidence?receipt=0", "/there-is-no-such-page")
_RECEIPTS = 3  # of leases that have ended, whose receipts are looked up, too


class Metrics:
    """addresses: service → HOST:PORT of its ops port, or mtls://HOST:PORT."""

    where = "metrics"

    def __init__(self, addresses: Sequence[tuple[str, str]], ports: OpsPorts | None = None) -> None:
        self._addresses = addresses
        self._ports = ports or OpsPorts()

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        looked_up = [f"/evidence?receipt={photo_id}" for photo_id in sorted(hunted.photo_ids)[:_RECEIPTS]]
        for service, address in self._addresses:
            for page in (*_PAGES, *looked_up):
                name = page.partition("?")[0]
                try:
                    body = self._ports.fetch(address, service, page)
                except (OSError, http.client.HTTPException):
                    searched.failed.append(f"{service}'s {name} at {address} does not answer")
                    continue
                searched.bytes += len(body)
                found = contents.search_bytes(body, hunted)
                searched.add(Found(service, self.where, what, count, name) for what, count in found.items())
        return [searched]
