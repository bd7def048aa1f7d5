"""What purge shows of itself. Gauges are read from the parts at each scrape; they can't drift from the truth."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.declare import HOLDERS, Read, ReadMany
from mesh.instruments.label import listed
from services.purge.attest import Attestation
from services.purge.book import Book, service_of
from services.purge.facts import SETTINGS, UNSEEN
from services.purge.lease import LIVE, Outcome, State
from services.purge.receipt import REASONS, SETTLING
from services.purge.witnessing import ANSWERS

_PURGE = ("purge",)
_SYNC = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)  # seconds
# Seconds. Among them what leases last (30, 60, 120 by default, 300 at most), and when they must be over by then.
_RESIDENCY = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 31, 45, 60, 61, 90, 120, 121, 150, 180, 240, 300, 301, 450, 600)
# Seconds. 1 is promised.
_LAG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300)
_OUTCOME = listed("outcome", Outcome)
_HOLDER = (listed("service", HOLDERS),)
_STATES = (*sorted(LIVE), State.ENDING)

GRANTED = declare.Counter(
    name="mayfly_leases_granted_total",
    help="Leases granted, that is, logged.",
    unit="leases",
    services=_PURGE,
)
ENDED = declare.Counter(
    name="mayfly_leases_ended_total",
    help="Leases ended.",
    unit="leases",
    services=_PURGE,
    labels=(_OUTCOME, listed("reason", sorted(REASONS))),
    # A settled lease has its own reasons.
    combined=len(SETTLING) + (len(Outcome) - 1) * (len(REASONS) - len(SETTLING)),
)
OPERATOR_PURGES = declare.Counter(
    name="mayfly_operator_purges_total",
    help="Times that an operator has revoked everything.",
    unit="times",
    services=_PURGE,
)
ADOPTED = declare.Counter(
    name="mayfly_leases_adopted_total",
    help="Leases that this replica has taken over from others.",
    unit="leases",
    services=_PURGE,
)
MOVED = declare.Counter(
    name="mayfly_leases_moved_total",
    help="Leases of this replica that another one has taken over.",
    unit="leases",
    services=_PURGE,
)
RECEIPTS = declare.Counter(
    name="mayfly_receipts_total",
    help="Receipts logged.",
    unit="receipts",
    services=_PURGE,
    labels=(_OUTCOME,),
)
RESIDENCY = declare.Histogram(
    name="mayfly_residency_seconds",
    help="From a lease's grant to its receipt, with all custody released and all keys gone.",
    unit="seconds",
    services=_PURGE,
    labels=(_OUTCOME,),
    buckets=_RESIDENCY,
    traced=True,
)
DELETION_LAG = declare.Histogram(
    name="mayfly_deletion_lag_seconds",
    help="From when a lease is to end (delivered, revoked, expired) to its receipt, with all custody and keys gone.",
    unit="seconds",
    services=_PURGE,
    labels=(_OUTCOME,),
    buckets=_LAG,
    traced=True,
)
SYNC_SECONDS = declare.Histogram(
    name="mayfly_log_sync_seconds",
    help="Group commits of the log.",
    unit="seconds",
    services=_PURGE,
    buckets=_SYNC,
)
LEASES = declare.Gauge(
    name="mayfly_leases",
    help="Leases now.",
    unit="leases",
    services=_PURGE,
    labels=(listed("state", [state.value for state in _STATES]),),
)
PARKED_PICTURES = declare.Gauge(
    name="mayfly_parked_pictures",
    help="Pictures that wait for their owner.",
    unit="pictures",
    services=_PURGE,
)
PARKED_BYTES = declare.Gauge(
    name="mayfly_parked_bytes",
    help="Ciphertext of parked pictures.",
    unit="bytes",
    services=_PURGE,
)
CUSTODY_HELD = declare.Gauge(
    name="mayfly_custody_held",
    help="Photos that a service holds now, by its reports.",
    unit="photos",
    services=_PURGE,
    labels=_HOLDER,
)
CUSTODY_OVERDUE = declare.Gauge(
    name="mayfly_custody_overdue",
    help="Photos that a service has not let go of although their lease has its receipt.",
    unit="photos",
    services=_PURGE,
    labels=_HOLDER,
)
IRREVOCABLE = declare.Gauge(
    name="mayfly_leases_irrevocable",
    help="Ended leases that a service has neither let go of nor died with, past their end.",
    unit="leases",
    services=_PURGE,
    labels=_HOLDER,
)
CUSTODY_LOST = declare.Counter(
    name="mayfly_custody_lost_total",
    help="Custody that ended without the holder's word.",
    unit="photos",
    services=_PURGE,
    labels=_HOLDER,
)
CUSTODY_STREAMS = declare.Gauge(
    name="mayfly_custody_streams",
    help="Processes that report their custody.",
    unit="processes",
    services=_PURGE,
    labels=_HOLDER,
)
LEASE_OVERDUE = declare.Gauge(
    name="mayfly_lease_overdue_seconds",
    help="How far the oldest live lease is past its end.",
    unit="seconds",
    services=_PURGE,
)
RECEIPTS_UNLOGGED = declare.Gauge(
    name="mayfly_receipts_unlogged",
    help="Receipts that the log has not taken yet.",
    unit="receipts",
    services=_PURGE,
)
RECEIPTS_AWAITED = declare.Gauge(
    name="mayfly_receipts_awaited",
    help="Leases granted here and taken over by another replica, whose receipts were not seen yet.",
    unit="leases",
    services=_PURGE,
)
LEADER = declare.Gauge(
    name="mayfly_reaper_leader",
    help="1 while this replica leads.",
    unit="1 or 0",
    services=_PURGE,
)
TERM = declare.Gauge(
    name="mayfly_reaper_term",
    help="The leader's term, as far as this replica knows.",
    unit="terms",
    services=_PURGE,
)
REVOCATIONS_UNCONFIRMED = declare.Gauge(
    name="mayfly_revocations_unconfirmed",
    help="Ends that wait for a holder.",
    unit="leases",
    services=_PURGE,
)
OPEN_GRANTS = declare.Gauge(
    name="mayfly_log_open_grants",
    help="Grants of the log minus its receipts.",
    unit="leases",
    services=_PURGE,
)
LOG_ENTRIES = declare.Gauge(
    name="mayfly_log_entries",
    help="Durable entries of the log.",
    unit="entries",
    services=_PURGE,
)
LOG_INTEGRATED = declare.Gauge(
    name="mayfly_log_integrated_entries",
    help="Entries under the newest checkpoint.",
    unit="entries",
    services=_PURGE,
)
LOG_LAG = declare.Gauge(
    name="mayfly_log_lag_seconds",
    help="How long the oldest durable entry that is under no checkpoint yet has waited for one; 0 if none has to.",
    unit="seconds",
    services=_PURGE,
)
LOG_COSIGNED = declare.Gauge(
    name="mayfly_log_cosigned_entries",
    help="Entries under the newest cosigned checkpoint.",
    unit="entries",
    services=_PURGE,
)
WITNESSED = declare.Counter(
    name="mayfly_witness_answers_total",
    help="Answers of witnesses that were shown a checkpoint.",
    unit="answers",
    services=_PURGE,
    labels=(listed("result", ANSWERS),),
)
REGISTRY_UP = declare.Gauge(
    name="mayfly_registry_up",
    help="1 while Redis answers.",
    unit="1 or 0",
    services=_PURGE,
)
REGISTRY_SAFE = declare.Gauge(
    name="mayfly_registry_safe",
    help="1 while leases may be granted.",
    unit="1 or 0",
    services=_PURGE,
)
REGISTRY_KEYS = declare.Gauge(
    name="mayfly_registry_keys",
    help="Keys in Redis.",
    unit="keys",
    services=_PURGE,
)
ENDLESS_KEYS = declare.Gauge(
    name="mayfly_registry_keys_without_ttl",
    help="Keys in Redis that would stay.",
    unit="keys",
    services=_PURGE,
)
VIOLATION = declare.Gauge(
    name="mayfly_registry_violation",
    help="1 while the fact breaks a rule.",
    unit="1 or 0",
    services=_PURGE,
    labels=(listed("fact", SETTINGS),),
)
FACT_UNSEEN = declare.Gauge(
    name="mayfly_registry_unseen",
    help="1 while Redis does not show this fact.",
    unit="1 or 0",
    services=_PURGE,
    labels=(listed("fact", UNSEEN),),
)


class PurgeMetrics:
    """Counters and histograms by name; the methods add what is read from a part at scrape time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = self._registry = registry
        self.granted = GRANTED.on(r)
        self.ended = ENDED.family(r)
        self.operator_purges = OPERATOR_PURGES.on(r)
        self.adopted = ADOPTED.on(r)
        self.moved = MOVED.on(r)
        self.receipts = RECEIPTS.family(r)
        self.residency = RESIDENCY.family(r)
        self.deletion_lag = DELETION_LAG.family(r)
        for outcome in Outcome:  # from 0 on, so that the first one is seen as a rise
            self.residency.labels(outcome.value)
            self.deletion_lag.labels(outcome.value)
        self.sync_seconds = SYNC_SECONDS.on(r)

    def resume(self, granted: int, ended: Mapping[tuple[str, str], int]) -> None:
        """Counts on from the runs before this one, so that granted − ended = live also holds after a restart."""
        self.granted.inc(granted)
        for (outcome, reason), count in ended.items():
            self.ended.labels(outcome, reason).inc(count)
            self.receipts.labels(outcome).inc(count)

    def gauge(self, metric: declare.Gauge, read: Read) -> None:
        metric.read(self._registry, read)

    def gauges(self, metric: declare.Gauge, read: ReadMany) -> None:
        """One value for each value of its label."""
        metric.read_each(self._registry, read)

    def leases(self, book: Book) -> None:
        """Leases, custody and parked pictures, as purge sees them."""
        self.gauges(LEASES, lambda: {state.value: book.states[state] for state in _STATES})
        self.gauge(PARKED_PICTURES, lambda: _parked(book))
        self.gauge(PARKED_BYTES, lambda: book.parked_bytes)
        self.gauges(CUSTODY_HELD, lambda: {service: book.held[service] for service in HOLDERS})
        self.gauges(CUSTODY_OVERDUE, lambda: _overdue(book))
        self.gauges(IRREVOCABLE, lambda: _irrevocable(book))
        CUSTODY_LOST.read_each(self._registry, lambda: {service: book.lost[service] for service in HOLDERS})

    def witnesses(self, answers: ReadMany, cosigned: Read) -> None:
        """What witnesses answer: cosigned, away, refused."""
        WITNESSED.read_each(self._registry, answers)
        self.gauge(LOG_COSIGNED, cosigned)

    def registry(self, attestation: Attestation, up: Callable[[], bool]) -> None:
        """What attestation finds."""
        self.gauge(REGISTRY_UP, up)
        self.gauge(REGISTRY_SAFE, lambda: attestation.safe)
        self.gauge(REGISTRY_KEYS, lambda: attestation.keys)
        self.gauge(ENDLESS_KEYS, lambda: attestation.keys_without_ttl)
        self.gauges(VIOLATION, lambda: {fact: fact in attestation.violations for fact in SETTINGS})
        self.gauges(FACT_UNSEEN, lambda: {fact: fact in attestation.unseen for fact in UNSEEN})


def _parked(book: Book) -> float:
    return book.states[State.PARKED] + book.states[State.CLAIMED]


def _overdue(book: Book) -> dict[str, float]:
    late = Count(service_of(holder) for _, holder in book.unconfirmed)
    return {service: late[service] for service in HOLDERS}


def _irrevocable(book: Book) -> dict[str, float]:
    stuck = Count(service_of(each.holder) for each in book.unconfirmed.irrevocable())
    return {service: stuck[service] for service in HOLDERS}
