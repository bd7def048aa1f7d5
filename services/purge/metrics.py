"""What purge shows of itself. Gauges are read from the parts at each scrape; they can't drift from the truth."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mesh.instruments.exemplars import TracedHistogram
from services.purge.attest import Attestation
from services.purge.book import Book, service_of
from services.purge.facts import SETTINGS, UNSEEN
from services.purge.lease import LIVE, Outcome, State

SERVICES = ("gateway", "ingest", "render")
_SYNC = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)  # seconds
# Seconds. Among them what leases last (30, 60, 120 by default, 300 at most), and when they must be over by then.
_RESIDENCY = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 31, 45, 60, 61, 90, 120, 121, 150, 180, 240, 300, 301, 450, 600)
# Seconds. 1 is promised.
_LAG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300)
Read = Callable[[], float]
ReadMany = Callable[[], Mapping[str, float]]


class PurgeMetrics:
    """Counters and histograms by name; the methods add what is read from a part at scrape time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = self._registry = registry
        self.granted = Counter("mayfly_leases_granted_total", "Leases granted, that is, logged.", registry=r)
        self.ended = Counter("mayfly_leases_ended_total", "Leases ended.", ("outcome", "reason"), registry=r)
        pressed = "Times that an operator has revoked everything."
        self.operator_purges = Counter("mayfly_operator_purges_total", pressed, registry=r)
        adopted = "Leases that this replica has taken over from others."
        self.adopted = Counter("mayfly_leases_adopted_total", adopted, registry=r)
        moved = "Leases of this replica that another one has taken over."
        self.moved = Counter("mayfly_leases_moved_total", moved, registry=r)
        self.receipts = Counter("mayfly_receipts_total", "Receipts logged.", ("outcome",), registry=r)
        lasted = "From a lease's grant to its receipt, with all custody released and all keys gone."
        self.residency = TracedHistogram(
            "mayfly_residency_seconds", lasted, ("outcome",), registry=r, buckets=_RESIDENCY
        )
        late = "From the moment at which a lease is to end (delivered, revoked, expired) to the same."
        self.deletion_lag = TracedHistogram("mayfly_deletion_lag_seconds", late, ("outcome",), registry=r, buckets=_LAG)
        for outcome in Outcome:  # from 0 on, so that the first one is seen as a rise
            self.residency.labels(outcome.value)
            self.deletion_lag.labels(outcome.value)
        self.sync_seconds = Histogram("mayfly_log_sync_seconds", "Group commits of the log.", registry=r, buckets=_SYNC)

    def resume(self, granted: int, ended: Mapping[tuple[str, str], int]) -> None:
        """Counts on from the runs before this one, so that granted − ended = live also holds after a restart."""
        self.granted.inc(granted)
        for (outcome, reason), count in ended.items():
            self.ended.labels(outcome, reason).inc(count)
            self.receipts.labels(outcome).inc(count)

    def gauge(self, name: str, text: str, read: Read) -> None:
        self._registry.register(_Gauge(name, text, read))

    def gauges(self, name: str, text: str, label: str, read: ReadMany) -> None:
        """One value per value of ``label``."""
        self._registry.register(_Gauges(name, text, label, read))

    def leases(self, book: Book) -> None:
        """Leases, custody and parked pictures, as purge sees them."""
        live = [*sorted(LIVE), State.ENDING]
        self.gauges("mayfly_leases", "Leases now.", "state", lambda: {s.value: book.states[s] for s in live})
        self.gauge("mayfly_parked_pictures", "Pictures that wait for their owner.", lambda: _parked(book))
        self.gauge("mayfly_parked_bytes", "Ciphertext of parked pictures.", lambda: book.parked_bytes)
        held = "Photos that a service holds now, by its reports."
        self.gauges("mayfly_custody_held", held, "service", lambda: {s: book.held[s] for s in SERVICES})
        overdue = "Photos that a service has not let go of although their lease has its receipt."
        self.gauges("mayfly_custody_overdue", overdue, "service", lambda: _overdue(book))
        stuck = "Ended leases that a service has neither let go of nor died with, past their end."
        self.gauges("mayfly_leases_irrevocable", stuck, "service", lambda: _irrevocable(book))
        lost = "Custody that ended without the holder's word."
        counts = _Counts("mayfly_custody_lost", lost, "service", lambda: {s: book.lost[s] for s in SERVICES})
        self._registry.register(counts)

    def witnesses(self, answers: ReadMany, cosigned: Read) -> None:
        """What witnesses answer: cosigned, away, refused."""
        text = "Answers of witnesses that were shown a checkpoint."
        self._registry.register(_Counts("mayfly_witness_answers", text, "result", answers))
        self.gauge("mayfly_log_cosigned_entries", "Entries under the newest cosigned checkpoint.", cosigned)

    def registry(self, attestation: Attestation, up: Callable[[], bool]) -> None:
        """What attestation finds."""
        self.gauge("mayfly_registry_up", "1 while Redis answers.", up)
        self.gauge("mayfly_registry_safe", "1 while leases may be granted.", lambda: attestation.safe)
        self.gauge("mayfly_registry_keys", "Keys in Redis.", lambda: attestation.keys)
        endless = "Keys in Redis that would stay."
        self.gauge("mayfly_registry_keys_without_ttl", endless, lambda: attestation.keys_without_ttl)
        self.gauges(
            "mayfly_registry_violation", "1 while the fact breaks a rule.", "fact",
            lambda: {fact: fact in attestation.violations for fact in SETTINGS},
        )  # fmt: skip
        self.gauges(
            "mayfly_registry_unseen", "1 while Redis does not show this fact.", "fact",
            lambda: {fact: fact in attestation.unseen for fact in UNSEEN},
        )  # fmt: skip


def _parked(book: Book) -> float:
    return book.states[State.PARKED] + book.states[State.CLAIMED]


def _overdue(book: Book) -> dict[str, float]:
    late = Count(service_of(holder) for _, holder in book.unconfirmed)
    return {service: late[service] for service in SERVICES}


def _irrevocable(book: Book) -> dict[str, float]:
    stuck = Count(service_of(each.holder) for each in book.unconfirmed.irrevocable())
    return {service: stuck[service] for service in SERVICES}


class _Gauge(Collector):
    def __init__(self, name: str, text: str, read: Read) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._text, value=self._read())


class _Gauges(Collector):
    def __init__(self, name: str, text: str, label: str, read: ReadMany) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=(self._label,))
        for value, number in self._read().items():
            family.add_metric((value,), number)
        yield family


class _Counts(_Gauges):
    def collect(self) -> Iterator[CounterMetricFamily]:  # type: ignore[override]
        family = CounterMetricFamily(self._name, self._text, labels=(self._label,))
        for value, number in self._read().items():
            family.add_metric((value,), number)
        yield family
