"""JPEG (ITU-T T.81): only what draws the picture, in one canonical order, while it streams.

    SOI  [APP2: our ICC profile]  [APP14: Adobe's flag]  DQT…  SOF  ( [DQT DHT DAC DRI]  SOS  data )…  EOI

Baseline, extended and progressive; Huffman or arithmetic; 1, 3 or 4 components of 8 bits. Everything up to the first
scan is parsed and written anew; entropy-coded data passes as views. Metadata may stand anywhere between.

What can't be known without decoding: whether Huffman tables have entries that no block uses, and whether data follows
the last block of a scan. The first is bounded by 256 bytes a table, the second by ``check_volume``.
"""

from __future__ import annotations

from services.ingest import refusals
from services.ingest.report import Removed
from services.ingest.scrub import jpeg_markers as m
from services.ingest.scrub.jpeg_apps import Apps
from services.ingest.scrub.jpeg_entropy import keep_entropy, past_fill
from services.ingest.scrub.jpeg_frame import Frame, Progress, check_volume, parse_frame, parse_scan
from services.ingest.scrub.jpeg_tables import MAX_PAYLOAD, Tables
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.source import Source, Steps


class Jpeg:
    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._apps = Apps(source, ledger)
        self._tables = Tables()
        self._frame: Frame | None = None
        self._progress: Progress | None = None
        self._scans = 0

    def run(self) -> Steps[None]:
        yield from self._source.skip(2)  # SOI, which was sniffed
        marker = yield from self._marker()
        while marker != m.EOI:
            self._ledger.segment()
            if marker == m.SOS:
                marker = yield from self._scan()
            else:
                yield from self._segment(marker)
                marker = yield from self._marker()
        if self._progress is None or not self._progress.complete:
            raise refusals.malformed("a picture that is not all there")
        self._source.emit(b"\xff\xd9")
        while not self._source.ended:
            self._ledger.remove(Removed.TRAILER, (yield from self._source.drain()))

    def _marker(self) -> Steps[int]:
        pair = yield from self._source.read(2)
        if pair[0] != 0xFF:
            raise refusals.malformed("stray bytes between its segments")
        return (yield from past_fill(self._source, self._ledger, pair[1]))

    def _segment(self, marker: int) -> Steps[None]:
        if marker == m.TEM:
            self._ledger.remove(Removed.PADDING, 2)
            return
        if marker == m.SOI:
            raise refusals.malformed("a second picture inside it")
        if marker in m.SOF_OTHER:
            raise refusals.unsupported_coding("This JPEG is of the lossless or hierarchical kind")
        size = yield from self._size()
        if marker in m.APP or marker == m.COM:
            yield from self._apps.remove(marker, size)
        elif marker in (m.DQT, m.DHT, m.DAC, m.DRI):
            self._tables.read(marker, (yield from self._payload(size)))
        elif marker in m.SOF_DRAWABLE:
            self._start(marker, (yield from self._payload(size)))
        elif marker == m.DNL:  # the height is known, so it says nothing; decoders skip it
            self._ledger.remove(Removed.UNKNOWN_SEGMENT, size + 4)
            yield from self._source.skip(size)
        else:
            raise refusals.malformed("an unknown marker")

    def _size(self) -> Steps[int]:
        """Payload bytes of a segment."""
        size = int.from_bytes((yield from self._source.read(2))) - 2
        if size < 0:
            raise refusals.malformed("a segment's length")
        return size

    def _payload(self, size: int) -> Steps[bytes]:
        if size > MAX_PAYLOAD:
            raise refusals.malformed("a segment's length")
        return (yield from self._source.read(size))

    def _start(self, marker: int, payload: bytes) -> None:
        if self._frame is not None:
            raise refusals.malformed("a second picture inside it")
        frame = parse_frame(marker, payload)
        self._ledger.set_size(frame.width, frame.height)
        self._frame = frame

    def _scan(self) -> Steps[int]:
        """One scan with its data; the marker that ended it."""
        payload = yield from self._payload((yield from self._size()))
        frame = self._frame
        if frame is None:
            raise refusals.malformed("a scan before its frame")
        self._scans += 1
        if self._scans > self._ledger.limits.max_scans:
            raise refusals.too_many_scans(self._ledger.limits.max_scans)
        if self._progress is None:
            self._progress = Progress(frame)
            self._source.emit(self._header(frame))
        scan = parse_scan(frame, payload)
        # A decoder latches a component's quantization table at its first scan (T.81, B.2.4.1): later ones are unused.
        fresh = [component.quant for component in scan.components if not self._progress.seen(component)]
        self._progress.add(scan)
        tables = self._tables.news(m.DQT, fresh)
        if frame.arithmetic:
            tables += self._tables.news(m.DAC, scan.table_ids, optional=True)
        else:
            tables += self._tables.news(m.DHT, scan.table_ids)
        tables += self._tables.news(m.DRI, (0,), optional=True)
        self._source.emit(tables + m.segment(m.SOS, scan.payload))
        start = self._source.position
        marker = yield from keep_entropy(self._source, self._ledger, restarts=self._tables.restarts)
        check_volume(frame, scan, self._source.position - start - 2)
        return marker

    def _header(self, frame: Frame) -> bytes:
        ids = tuple(component.id for component in frame.components)
        tables = self._tables.known(m.DQT, (component.quant for component in frame.components))
        return (
            b"\xff\xd8"
            + self._apps.rewritten(ids)
            + self._tables.news(m.DQT, tables)
            + m.segment(frame.marker, frame.payload)
        )
