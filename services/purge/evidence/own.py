"""What purge can say of each rule by itself, at once and without asking anybody."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.lockdown.policy import PERMISSIVE
from services.purge.core import Core
from services.purge.evidence.audits import LastAudit
from services.purge.evidence.figures import HOLDERS
from services.purge.evidence.words import amount, count, plural

AUDIT_FRESH = 24 * 3600.0  # seconds after which an audit says nothing about now
OVERDUE = 2.0  # seconds past its end after which an open lease is overdue, as for MayflyLeaseOverdue
SETTLED = 10.0  # seconds for which a difference must stand: a lease is granted, and ended, in several steps
_R2 = ("keys_without_ttl", "long_ttl", "unknown_keys", "parked_plaintext")
_R3 = ("save", "appendonly", "snapshot", "replica_disk", "transport")


class State(enum.StrEnum):
    """unknown: nobody who was asked can tell. pending: an alert is about to fire."""

    KEPT = "kept"
    PENDING = "pending"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """sentence: for people; it holds counts and words of ours, nothing that came from outside."""

    state: State
    sentence: str


class Own:
    """controls: purge's own lockdown, name → in force. locked: whether all that can change still is."""

    def __init__(self, core: Core, audits: LastAudit, controls: Mapping[str, bool], clock: Clock) -> None:
        self._core = core
        self._audits = audits
        self._controls = dict(controls)
        self._clock = clock
        self._uneven_since: float | None = None
        self._unsafe_since: float | None = None
        self._granted = 0

    def look(self) -> dict[str, Finding]:
        """By rule. Belongs to the event loop; costs what a few counters cost."""
        return {
            "R1": Finding(State.UNKNOWN, "The gateway, ingest and render enforce it, and count what they refuse."),
            "R2": self._keys(),
            "R3": self._disk(),
            "R4": self._custody(),
            "R5": self._residue(),
            "R6": self._receipts(),
            "R7": Finding(State.UNKNOWN, "Each service counts what it did not print; purge sees only its own count."),
            "R8": self._closed(),
            "R9": Finding(State.UNKNOWN, self._purpose()),
        }

    def _keys(self) -> Finding:
        attestation = self._core.attestation
        if (broken := self._violated(_R2)) is not None:
            return broken
        if "unattested" in attestation.violations:
            return Finding(State.UNKNOWN, "Redis can't be looked at now.")
        if not attestation.keys:
            return Finding(State.KEPT, "Redis holds no key.")
        return Finding(State.KEPT, f"Redis holds {plural(attestation.keys, 'key')}, each with an end.")

    def _disk(self) -> Finding:
        if (broken := self._violated(_R3)) is not None:
            return broken
        off = [name for name, in_force in self._controls.items() if not in_force]
        if off:
            return Finding(State.BROKEN, f"Purge runs without {', '.join(sorted(off))}.")
        open_ = sorted({s for s, p in self._core.custody.attending() if not p.controls or PERMISSIVE in p.controls})
        if open_:
            return Finding(State.BROKEN, f"Not locked down: {', '.join(open_)}.")
        if "unattested" in self._core.attestation.violations:
            return Finding(State.UNKNOWN, "Redis can't be looked at now; the processes are locked down.")
        return Finding(State.KEPT, "Redis persists nothing; every process that attends is locked down by the kernel.")

    def _custody(self) -> Finding:
        book = self._core.book
        if stuck := len(book.unconfirmed.irrevocable()):
            return Finding(State.BROKEN, f"{plural(stuck, 'photo')} past the lease, and a holder has not let go.")
        late = self._core.reaper.overdue_seconds()
        if late > OVERDUE:
            return Finding(State.BROKEN, f"A lease is {late:.0f} s past its end.")
        silent = [service for service in HOLDERS if not self._core.custody.connected().get(service)]
        if silent:
            return Finding(State.UNKNOWN, f"Not heard: {', '.join(silent)}. What is there ends by its own clock.")
        held = sum(book.held[service] for service in HOLDERS)
        return Finding(
            State.KEPT, f"{plural(held, 'hold')} on photos now, none past its lease. All three services report."
        )

    def _residue(self) -> Finding:
        seen = self._audits.last()
        if seen is None:
            return Finding(State.UNKNOWN, "There is no audit in this log yet.")
        audit = seen.statement
        if audit.outcome == "residue":
            found = amount(sum(each.bytes for each in audit.residue))
            return Finding(State.BROKEN, f"The last audit found {found} of photos that had ended.")
        if audit.outcome != "clean":
            return Finding(State.UNKNOWN, "The last audit could not look everywhere.")
        if self._clock.wall() - audit.time > AUDIT_FRESH:
            return Finding(State.UNKNOWN, "The last audit was clean, and is more than a day old.")
        return Finding(State.KEPT, "The last audit looked everywhere that it must, and found 0 bytes.")

    def _receipts(self) -> Finding:
        now = self._clock.monotonic()
        totals, live = self._core.ledger.totals, len(self._core.book)
        ended = sum(totals.ended.values())
        uneven = totals.granted - ended - live
        settled = not uneven or bool(self._core.shards)
        self._uneven_since = None if settled else self._uneven_since or now
        if self._uneven_since is not None and now - self._uneven_since > SETTLED:
            return Finding(
                State.BROKEN, f"{count(totals.granted)} admitted ≠ {count(live)} live + {count(ended)} ended."
            )
        if self._core.shards:
            return Finding(State.KEPT, "Nothing is overdue here; over all replicas count by `mayfly audit-log`.")
        return Finding(
            State.KEPT,
            f"{count(totals.granted)} admitted = {count(live)} live + {count(ended)} ended, since the log began.",
        )

    def _closed(self) -> Finding:
        safe, now, granted = self._core.attestation.safe, self._clock.monotonic(), self._core.ledger.totals.granted
        if safe:
            self._unsafe_since = None
            return Finding(State.KEPT, "Redis is as it must be, so photos are admitted.")
        if self._unsafe_since is None or now - self._unsafe_since < OVERDUE:
            self._unsafe_since, self._granted = self._unsafe_since or now, granted  # what was under way may end
        if granted > self._granted:
            return Finding(State.BROKEN, "Photos are admitted although Redis is not as it must be.")
        away = "Redis is away" if not self._core.link.up else "Redis is not as it must be"
        return Finding(State.KEPT, f"{away}: no photo is admitted until it is.")

    def _purpose(self) -> str:
        names = sorted({name for _, profile in self._core.custody.attending() for name in profile.processors})
        said = f"Processors that the services name: {', '.join(names)}." if names else "No processor attends."
        return f"{said} Whether one broke out is counted by the services."

    def _violated(self, facts: tuple[str, ...]) -> Finding | None:
        found = [text for fact, text in self._core.attestation.violations.items() if fact in facts]
        return Finding(State.BROKEN, f"Redis: {'; '.join(found)}.") if found else None
