"""What a scan of the keys says of a server that shows less than the scan asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoPermissionError, ResponseError

from mesh.errors import Unavailable
from services.purge import keys
from services.purge.keyspace import Scan, ceilings

PHOTO = keys.of_photo("ab" * 16)
REFUSED = NoPermissionError("no permissions to run the 'fcall' command")
SEALED = [1, 1000, bytes(range(256))]
LONGEST = ceilings(300)


class Server:
    """Shows one page of keys after the other, and answers every sample by ``sample``."""

    def __init__(self, *pages: Sequence[str]) -> None:
        self.pages = pages
        self.sample: object = REFUSED
        self._next = 0

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        return [self._answer(command) for command in commands]

    def _answer(self, command: bytes) -> object:
        if b"SCAN" in command:
            page = self.pages[self._next]
            self._next = (self._next + 1) % len(self.pages)
            return [b"%d" % self._next, [name.encode() for name in page]]
        if b"PTTL" in command:
            return 1000
        return self.sample if b"_sample" in command else b"OK"


async def looks(server: Server, scan: Scan, count: int) -> list[set[str]]:
    seen = []
    for _ in range(count):
        await scan.page(server.ask, LONGEST)
        seen.append(set(scan.unseen))
    return seen


@pytest.mark.parametrize(
    "pages", [([PHOTO.parked], [PHOTO.lease]), ([PHOTO.parked, PHOTO.lease], []), ([PHOTO.parked], [PHOTO.lease], [])]
)
async def test_what_is_not_shown_stays_unseen_over_pages_that_ask_for_nothing(pages: Sequence[Sequence[str]]) -> None:
    server, scan = Server(*pages), Scan()
    assert await looks(server, scan, 3 * len(pages)) == [{"parked_values"}] * 3 * len(pages)
    assert not scan.standing()


@pytest.mark.parametrize("shown", [SEALED, [0], ResponseError("WRONGTYPE Operation against a key of another kind")])
async def test_what_is_shown_again_is_seen_at_once(shown: object) -> None:
    server, scan = Server([PHOTO.parked], [PHOTO.lease]), Scan()
    assert await looks(server, scan, 2) == [{"parked_values"}] * 2
    server.sample = shown
    assert await looks(server, scan, 3) == [set()] * 3
    server.sample = REFUSED
    assert await looks(server, scan, 2) == [set(), {"parked_values"}]


async def test_a_server_that_is_away_has_refused_nothing() -> None:
    server, scan = Server([PHOTO.parked], [PHOTO.lease]), Scan()
    server.sample = Disconnected()
    with pytest.raises(Unavailable):
        await scan.page(server.ask, LONGEST)
    assert scan.unseen == set()


async def test_no_parked_picture_at_all_hides_nothing() -> None:
    assert await looks(Server([PHOTO.lease], []), Scan(), 4) == [set()] * 4
