"""Makes an ingest of this process that keeps photos: Python imports this file at its start, if it is on the path.

It waits for the scrubber's module and wraps its methods. Every photo but the first is kept, for good.
(Of the first one an audit makes the picture that it compares others with, and looks for nothing of it. Which
photo comes second is nobody's choice: it may be one that is cancelled before its first byte.)
"""

from __future__ import annotations

from types import ModuleType

from tests.leaks.planting import plant

_KEPT: list[list[bytes]] = []


def _keep(module: ModuleType) -> None:
    scrubber = module.Scrubber
    feed, begin = scrubber.feed, scrubber.__init__
    first: list[object] = []  # itself, not its id, which the next one may get

    def init(self: object, *args: object, **options: object) -> None:
        begin(self, *args, **options)
        if not first:
            first.append(self)
            _KEPT.append([])

    def keep(self: object, chunk: bytes) -> object:
        if self is first[0]:
            return feed(self, chunk)
        _KEPT[0].append(bytes(chunk) + b"")
        return feed(self, chunk)

    scrubber.__init__, scrubber.feed = init, keep


plant({"services.ingest.scrub.stream": _keep})
