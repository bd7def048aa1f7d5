"""What purge can say of each rule by itself, at once and without asking anybody."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
_R2_SHOWN = ("parked_values",)  # what a Redis must show for somebody to have looked
_R3_SHOWN = ("save", "appendonly", "last_save", "replication", "replicas")
_R3 = ("save", "appendonly", "snapshot", "replica_disk", "transport")


class State(enum.StrEnum):
    """unknown: nobody who was asked can tell. pending: an alert is about to fire."""

    KEPT = "kept"
    PENDING = "pending"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """sentence: for people; it holds counts and words of ours, nothing that came from outside. looks_at: for people,
    too; "" where purge can see nothing. elsewhere: services that see what purge can't: while Prometheus looks at all of
    them, the silence of its alerts counts.
    """

    state: State
    sentence: str
    looks_at: str = ""
    elsewhere: tuple[str, ...] = ()


_UNREAD = Finding(State.UNKNOWN, "The log has not been read yet.")


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
            "R1": _elsewhere("The gateway, ingest and render enforce it, and count what they refuse."),
            "R2": replace(self._keys(), looks_at=f"Redis: {', '.join(_R2)}"),
            "R3": replace(
                self._disk(),
                looks_at=f"Redis: {', '.join(_R3)}; purge’s controls; those that each process has declared",
            ),
            "R4": replace(
                self._custody(),
                looks_at=f"the custody streams of {', '.join(HOLDERS)}; leases past their end; holders "
                "that have not confirmed",
            ),
            "R5": replace(self._residue(), looks_at="the last audit statement in this log"),
            "R6": self._receipts(),
            "R7": _elsewhere("Each service counts what it did not print; purge sees only its own count.", "purge"),
            "R8": replace(self._closed(), looks_at="every fact that this Redis shows; the grants in this log"),
            "R9": _elsewhere(self._purpose()),
        }

    def _keys(self) -> Finding:
        attestation = self._core.attestation
        if (broken := self._violated(_R2)) is not None:
            return broken
        if "unattested" in attestation.violations:
            return Finding(State.UNKNOWN, "Redis can't be looked at now.")
        if hidden := self._hidden(_R2_SHOWN):
            return hidden
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
        if hidden := self._hidden(_R3_SHOWN):
            return hidden
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
        """Over one replica's log and book. With several, a lease may be granted here and end in another one's log."""
        late, looks_at = self._core.reaper.overdue_seconds(), "leases of this replica past their end"
        uneven = self._uneven()
        if late > OVERDUE:
            return Finding(State.BROKEN, f"A lease is {late:.0f} s past its end, and has no receipt.", looks_at)
        if self._core.shards:
            return Finding(
                State.UNKNOWN,
                "No lease here is past its end. Whether each one has ended once is not looked at here: over the logs "
                "of all replicas `mayfly audit-log` counts.",
                looks_at,
                elsewhere=("purge",),
            )
        if self._core.ledger.tally is None:
            return replace(_UNREAD, looks_at=looks_at)
        totals, live = self._core.ledger.totals, len(self._core.book)
        ended = sum(totals.ended.values())
        looks_at += "; grants and receipts of its log; its live leases"
        if uneven is None:
            return Finding(
                State.KEPT,
                f"{count(totals.granted)} admitted = {count(live)} live + {count(ended)} ended, since the log began.",
                looks_at,
            )
        said = f"{count(totals.granted)} admitted ≠ {count(live)} live + {count(ended)} ended"
        if uneven > SETTLED:
            return Finding(State.BROKEN, f"{said}.", looks_at)
        return Finding(State.KEPT, f"{said}, for a moment: a lease is granted, and ended, in several steps.", looks_at)

    def _uneven(self) -> float | None:
        """Seconds for which grants have differed from live leases and ends; None while they don't, or nobody can tell.
        To be asked at each look, whatever else is to be said: a difference that went meanwhile is no longer one."""
        ledger, now = self._core.ledger, self._clock.monotonic()
        untold = ledger.tally is None or bool(self._core.shards)
        if untold or ledger.totals.granted == sum(ledger.totals.ended.values()) + len(self._core.book):
            self._uneven_since = None
            return None
        if self._uneven_since is None:
            self._uneven_since = now
        return now - self._uneven_since

    def _closed(self) -> Finding:
        if self._core.ledger.tally is None:
            return _UNREAD
        safe, now, granted = self._core.attestation.safe, self._clock.monotonic(), self._core.ledger.totals.granted
        if safe:
            self._unsafe_since = None
            if hidden := self._hidden(_R3_SHOWN):
                return hidden
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

    def _hidden(self, facts: tuple[str, ...]) -> Finding | None:
        """Where this Redis does not show what would have to be looked at."""
        hidden = [fact for fact in self._core.attestation.unseen if fact in facts]
        return Finding(State.UNKNOWN, f"This Redis does not show {', '.join(hidden)}.") if hidden else None

    def _violated(self, facts: tuple[str, ...]) -> Finding | None:
        found = [text for fact, text in self._core.attestation.violations.items() if fact in facts]
        return Finding(State.BROKEN, f"Redis: {'; '.join(found)}.") if found else None


def _elsewhere(sentence: str, *more: str) -> Finding:
    """What only others can see: those that hold photos, and more."""
    return Finding(State.UNKNOWN, sentence, elsewhere=(*HOLDERS, *more))
