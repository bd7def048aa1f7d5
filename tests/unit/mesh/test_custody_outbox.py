"""What waits for a replica: in order, numbered without gaps, and never without a bound."""

from __future__ import annotations

import secrets

from mesh.custody.outbox import MAX_EVENTS, MAX_UNACKNOWLEDGED, MAX_UNSENT, Change, Event, Outbox


def event(registry: str = "purge-0", change: Change = Change.HELD, photo_id: str = "") -> Event:
    return Event(photo_id or secrets.token_hex(16), registry, change)


def drain(outbox: Outbox) -> list[Event]:
    events: list[Event] = []
    while outbox.may_send:
        batch = outbox.next_batch()
        outbox.acknowledge(batch.sequence)
        events += batch.events
    return events


def test_batches_are_numbered_and_kept_until_acknowledged() -> None:
    outbox = Outbox()
    events = [event() for _ in range(2 * MAX_EVENTS + 1)]
    for each in events:
        outbox.add(each)
    batches = [outbox.next_batch() for _ in range(3)]
    assert [batch.sequence for batch in batches] == [1, 2, 3]
    assert [each for batch in batches for each in batch.events] == events
    assert (outbox.may_send, outbox.is_awaited, len(outbox)) == (False, True, len(events))
    outbox.acknowledge(2)
    assert outbox.unacknowledged == batches[2:]
    outbox.acknowledge(1)  # late, and says nothing new
    assert outbox.unacknowledged == batches[2:]
    outbox.acknowledge(3)
    assert outbox.is_empty


def test_what_is_on_its_way_is_bounded() -> None:
    outbox = Outbox()
    for _ in range(MAX_EVENTS * (MAX_UNACKNOWLEDGED + 1)):
        outbox.add(event())
    while outbox.may_send:
        outbox.next_batch()
    assert len(outbox.unacknowledged) == MAX_UNACKNOWLEDGED
    outbox.acknowledge(1)
    assert outbox.may_send


def test_hours_of_other_replicas_photos_leave_its_own_in_order() -> None:
    outbox = Outbox()
    own = [event("purge-0", change) for change in Change for _ in range(10)]
    unknown = event("")
    for each in [*own[:15], unknown, *own[15:]]:
        outbox.add(each)
    for _ in range(20 * MAX_UNSENT):
        outbox.add(event("purge-1"))
        if outbox.is_full:
            outbox.compact("purge-0")
        assert len(outbox) <= MAX_UNSENT + 1
    kept = [each for each in drain(outbox) if each.registry != "purge-1"]
    assert kept == [*own[:15], unknown, *own[15:]]


def test_who_has_heard_the_beginning_hears_the_end() -> None:
    """A batch that comes again after the hello says HELD; without RELEASED the photo would seem held for good."""
    outbox = Outbox()
    held = event("purge-1")
    outbox.add(held)
    outbox.next_batch()
    released = event("purge-1", Change.RELEASED, held.photo_id)
    outbox.add(released)
    outbox.add(event("purge-1"))
    outbox.compact("purge-0")
    assert [batch.events for batch in outbox.unacknowledged] == [[held]]
    assert drain(outbox) == [released]


def test_its_own_photos_alone_can_fill_it() -> None:
    outbox = Outbox()
    for _ in range(MAX_UNSENT + 1):
        outbox.add(event("purge-0"))
    assert outbox.is_full
    outbox.compact("purge-0")
    assert outbox.is_full
