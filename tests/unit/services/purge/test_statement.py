"""What a receipt says of custody that nobody measured: an upper bound, never less than the truth."""

from __future__ import annotations

from services.purge import statement
from services.purge.book import Entry
from services.purge.lease import End, Lease, Outcome
from services.purge.receipt import Custody
from services.purge.statement import Profile
from tests.unit.services.purge.world import a_grant

END = End(Outcome.REVOKED, "requested", 0)
INGEST, RENDER = "ingest/i/a", "render/r/b"


def test_lost_and_unheard_custody_is_bounded_from_above() -> None:
    grant = a_grant(now=1000.0)
    lease = Lease().hold(INGEST, 1).release(INGEST, 2, 1_000_000).hold(INGEST, 3).decide(END).conclude()
    entry = Entry(grant.photo_id, grant.expire, 0.0, grant, since={INGEST: 50.0})
    made = statement.make(entry, lease, END, profiles={}, expected=[RENDER, INGEST], ended=1010.0, now=54.0)
    assert made.custody == (Custody("ingest", "lost", 5.0), Custody("render", "unknown", 10.0))
    assert (made.admitted_time, made.ended_time, made.residency_seconds) == (1000, 1010, 10.0)


def test_who_neither_let_go_nor_died_is_called_neither() -> None:
    """A dead process is known by its successor; of one that is only silent nobody may say that it is gone."""
    grant = a_grant(now=1000.0)
    ending = Lease().hold(INGEST, 1).hold(RENDER, 1).lose(INGEST).decide(END)
    entry = Entry(grant.photo_id, grant.expire, 0.0, grant, ending, since={INGEST: 50.0, RENDER: 51.0})
    made = statement.make(entry, ending.conclude(), END, profiles={}, expected=[], ended=1010.0, now=54.0)
    assert made.custody == (Custody("ingest", "lost", 4.0), Custody("render", "unconfirmed", 3.0))


def test_controls_are_those_that_every_process_of_a_service_had() -> None:
    other = "ingest/j/c"
    lease = Lease().hold(INGEST, 1).hold(other, 1).hold(RENDER, 1).decide(END).conclude()
    profiles = {
        INGEST: Profile(("no_swap", "not_dumpable"), ()),
        other: Profile(("no_swap",), ()),
        RENDER: Profile((), ("onnx",)),
        "gateway/g/d": Profile(("no_swap",), ("somebody-else",)),
    }
    entry = Entry("a" * 32, 0.0, 0.0)
    made = statement.make(entry, lease, END, profiles=profiles, expected=[], ended=5.0, now=0.0)
    assert made.lockdown == {"ingest": ("no_swap",), "render": ()}
    assert made.processors == ("onnx",)
    assert made.admitted_time is None
    assert made.residency_seconds is None
