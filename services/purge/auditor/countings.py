"""Three countings of the same leases, by three parties: what services say, what Redis holds, what the log signed."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from mesh.errors import Unavailable
from mesh.ops_ports import OpsPorts
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import KeyList
from mesh.transparency.tiles import CHECKPOINT_PATH, WIDTH, Reader, TileTree, read_entries
from services.purge.lookup import check_bundle
from services.purge.tally import Ended, Fact, Granted, read_fact

LIVE = frozenset({"granted", "active", "parked", "claimed", "ending"})
HOPS = ("gateway", "ingest", "render")


class Uncounted(Exception):
    """One of the parties can't be asked; the message says which one."""


@dataclass(slots=True)
class Said:
    """What metrics say. granted: by all replicas, moved and adopted set off. held: by purge. custody: by the hops."""

    granted: int = 0
    live: int = 0
    ended: int = 0
    held: Counter[str] = field(default_factory=Counter)
    custody: Counter[str] = field(default_factory=Counter)


def said(addresses: Sequence[tuple[str, str]], ports: OpsPorts) -> Said:
    """addresses: service → HOST:PORT, or mtls://HOST:PORT, of each process's ops port. Raises Uncounted."""
    count = Said()
    for service, address in addresses:
        for name, labels, value in _samples(service, address, ports):
            number = round(value)
            if name in ("mayfly_leases_granted_total", "mayfly_leases_adopted_total"):
                count.granted += number
            elif name == "mayfly_leases_moved_total":
                count.granted -= number
            elif name == "mayfly_leases_ended_total":
                count.ended += number
            elif name == "mayfly_leases" and labels["state"] in LIVE:
                count.live += number
            elif name == "mayfly_custody_held":
                count.held[labels["service"]] += number
            elif name == "mayfly_custody_photos" and service in HOPS:
                count.custody[service] += number
    return count


def _samples(service: str, address: str, ports: OpsPorts) -> Iterator[tuple[str, Mapping[str, str], float]]:
    try:
        text = ports.fetch(address, service, "/metrics").decode()
        for family in text_string_to_metric_families(text):
            yield from ((sample.name, sample.labels, sample.value) for sample in family.samples)
    except (OSError, http.client.HTTPException, ValueError):
        raise Uncounted(f"{service}'s metrics at {address} can't be read") from None


class Signed:
    """What the logs add up to, all replicas' together. Reads each entry once; each bundle is proven to be the log's."""

    def __init__(self, addresses: Sequence[str], ports: OpsPorts | None = None) -> None:
        """addresses: ops ports of purge's replicas, where they serve their logs and keys."""
        self._logs = [_Log(address, ports or OpsPorts()) for address in addresses]
        self._balance: Counter[str] = Counter()
        self.granted = 0
        self.ended = 0

    @property
    def open(self) -> set[str]:
        """photo_ids of grants that no receipt ends."""
        return {photo_id for photo_id, balance in self._balance.items() if balance > 0}

    @property
    def twice(self) -> set[str]:
        """photo_ids that were ended more often than granted."""
        return {photo_id for photo_id, balance in self._balance.items() if balance < 0}

    def read_on(self) -> None:
        """Raises Uncounted."""
        for log in self._logs:
            for fact in log.read_on():
                if isinstance(fact, Granted):
                    self.granted += 1
                    self._move(fact.photo_id, 1)
                elif isinstance(fact, Ended):
                    self.ended += 1
                    self._move(fact.photo_id, -1)

    def _move(self, photo_id: str, by: int) -> None:
        self._balance[photo_id] += by
        if not self._balance[photo_id]:
            del self._balance[photo_id]


class _Log:
    def __init__(self, address: str, ports: OpsPorts) -> None:
        self._address = address
        self._ports = ports
        self._size = 0

    def read_on(self) -> Iterator[Fact]:
        """What is new since the last call. What fails here fails the same way in the next call. Raises Uncounted."""
        try:
            keys = KeyList.from_json(self._ports.fetch(self._address, "purge", "/keys/keys.json"))
            reader = self._ports.reader(f"{self._address}/log", "purge")
            checkpoint = open_checkpoint(reader.read(CHECKPOINT_PATH), *keys.verifiers)
            if checkpoint.size < self._size:
                raise Uncounted(f"the log at {self._address} is shorter than it was")
            yield from self._entries(reader, checkpoint)
        except (OSError, http.client.HTTPException, Unavailable, VerificationError, FileNotFoundError) as error:
            raise Uncounted(f"the log at {self._address} can't be read ({type(error).__name__})") from None

    def _entries(self, reader: Reader, checkpoint: Checkpoint) -> Iterator[Fact]:
        tree = TileTree(reader, checkpoint.size)
        while self._size < checkpoint.size:
            bundle, offset = divmod(self._size, WIDTH)
            first = bundle * WIDTH
            entries = read_entries(reader, bundle, min(WIDTH, checkpoint.size - first))
            check_bundle(entries, first, checkpoint, tree)
            facts = [read_fact(entry) for entry in entries[offset:]]  # before they count as read
            self._size = first + len(entries)
            yield from facts
