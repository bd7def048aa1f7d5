"""What purge knows about a lease that has ended, as a receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.purge import receipt
from services.purge.book import Entry, service_of
from services.purge.lease import Custody, End, Holding, Lease

_STATES = {Holding.RELEASED: "released", Holding.LOST: "lost"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a holder said of itself. controls: lockdown in force. processors: what it hands photos to."""

    controls: tuple[str, ...]
    processors: tuple[str, ...]


def make(
    entry: Entry,
    lease: Lease,
    end: End,
    *,
    profiles: Mapping[str, Profile],
    expected: Iterable[str],
    ended: float,
    now: float,
) -> receipt.Receipt:
    """The receipt of ``entry``, whose lease is concluded.

    expected:  holders that were named for it; one that was never heard of stands there as "unknown". One that holds it
               still, as far as anybody knows, is "unconfirmed": "lost" is said only of processes known to be dead.
    ended:     Unix seconds when custody was over. now: the same moment, monotonic.
    """
    grant = entry.grant
    residency = max(0.0, ended - grant.granted) if grant else None
    unheard = sorted(set(expected).union(lease.expected) - lease.custody.keys())
    custody = [_custody(entry, holder, held, now, residency) for holder, held in lease.custody.items()]
    custody += [receipt.Custody(service_of(holder), "unknown", residency or 0.0) for holder in unheard]
    known = {holder: profiles[holder] for holder in lease.custody if holder in profiles}
    return receipt.Receipt(
        photo_id=entry.photo_id,
        ended_time=round(ended),
        outcome=end.outcome.value,
        reason=end.reason,
        admitted_time=round(grant.granted) if grant else None,
        residency_seconds=residency,
        nonce_commitment=grant.nonce_commitment if grant else "",
        custody=tuple(custody),
        lockdown=_lockdown(known),
        policy_version=grant.policy_version if grant else "",
        processors=tuple(dict.fromkeys(name for profile in known.values() for name in profile.processors)),
    )


def _custody(entry: Entry, holder: str, held: Custody, now: float, residency: float | None) -> receipt.Custody:
    seconds = held.micros / 1e6
    if held.holding is not Holding.RELEASED:
        # Nobody measured it: from when purge heard of it, or else the whole time, is an upper bound.
        since = entry.since.get(holder)
        seconds = seconds + now - since if since is not None else residency or 0.0
    # ``entry`` is as it was before the lease was concluded, which took for lost whoever had not released.
    state = "unconfirmed" if holder in entry.lease.holders else _STATES[held.holding]
    return receipt.Custody(service_of(holder), state, max(0.0, seconds))


def _lockdown(profiles: Mapping[str, Profile]) -> dict[str, tuple[str, ...]]:
    """Per service, the controls that every one of its processes had in force."""
    controls: dict[str, set[str]] = {}
    for holder, profile in profiles.items():
        mine = controls.setdefault(service_of(holder), set(profile.controls))
        mine &= set(profile.controls)
    return {service: tuple(sorted(names)) for service, names in controls.items()}
