"""Live updates as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each reader keeps one of the ops server's threads, so there is a bound on readers, and on how long one stays: a browser
comes again by itself. A reader that has gone is noticed at the next write, and something is written every two seconds.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping

from services.purge.evidence.view import View
from services.purge.evidence.watch import Watch

READERS = 16
BEAT = 2.0  # seconds between two writes, at most
LONGEST = 900.0  # seconds of one stream
_RETRY = b"retry: 2000\n\n"  # milliseconds after which a browser comes again


class Full(Exception):
    """There are as many readers as may be."""


class Live:
    """Streams of one page. readers: how many there are now."""

    def __init__(self, view: View, watch: Watch, *, readers: int = READERS, longest: float = LONGEST) -> None:
        self._view = view
        self._watch = watch
        self._free = threading.BoundedSemaphore(readers)
        self._lock = threading.Lock()
        self._longest = longest
        self.readers = 0

    def stream(self) -> Stream:
        """Raises Full. Whoever takes it must close it, as WSGI does."""
        if not self._free.acquire(blocking=False):
            raise Full
        with self._lock:
            self.readers += 1
        return Stream(self, self._events())

    def leave(self) -> None:
        with self._lock:
            self.readers -= 1
        self._free.release()

    def _events(self) -> Iterator[bytes]:
        yield _RETRY
        sent: dict[str, str] = {}
        seen, began, beaten = 0, self._watch.seconds(), 0.0
        while not self._watch.closed and (now := self._watch.seconds()) - began < self._longest:
            pieces = self._view.pieces()
            changed = {name: piece for name, piece in pieces.items() if sent.get(name) != piece}
            if changed.keys() - {"as-of"} or now - beaten >= BEAT:
                yield event(changed)
                sent, beaten = pieces, now
            seen = self._watch.wait(seen, BEAT)


class Stream:
    """An iterable of bytes that WSGI closes when its reader has gone, or when it has ended."""

    def __init__(self, live: Live, events: Iterator[bytes]) -> None:
        self._live = live
        self._events = events
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        if self._open:
            self._open = False
            self._live.leave()


def event(pieces: Mapping[str, str]) -> bytes:
    """The pieces that have changed, by the id of their element, as one line of JSON."""
    return b"data: %b\n\n" % json.dumps(pieces, ensure_ascii=False, separators=(",", ":")).encode()
