"""Frame and scan headers of a JPEG: validated to the last byte, and what they promise about the data.

The scans of a picture must each bring something new. A file that sends a coefficient twice hides a first picture
behind a second, so the order of T.81, G.1.1 is proven, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest import refusals
from services.ingest.scrub.jpeg_markers import SOF_ARITHMETIC, SOF_PROGRESSIVE


@dataclass(frozen=True, slots=True)
class Component:
    id: int
    h: int  # horizontal and vertical sampling factors, 1 to 4
    v: int
    quant: int  # quantization table, 0 to 3


@dataclass(frozen=True, slots=True)
class Frame:
    """SOF (T.81, B.2.2)."""

    marker: int
    payload: bytes
    width: int
    height: int
    components: tuple[Component, ...]

    @property
    def progressive(self) -> bool:
        return self.marker in SOF_PROGRESSIVE

    @property
    def arithmetic(self) -> bool:
        return self.marker in SOF_ARITHMETIC

    def blocks(self, component: Component, padding: int = 0) -> int:
        """8 × 8 blocks that hold pixels of this component (T.81, A.1.1), with ``padding`` more columns and rows."""
        h_max = max(each.h for each in self.components)
        v_max = max(each.v for each in self.components)
        wide = -(-self.width * component.h // (8 * h_max))
        high = -(-self.height * component.v // (8 * v_max))
        return (wide + padding) * (high + padding)


def parse_frame(marker: int, payload: bytes) -> Frame:
    """Raises MALFORMED_PHOTO, and UNSUPPORTED_CODING for what T.81 allows but decoders don't draw."""
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise refusals.malformed("its frame header's length")
    if payload[0] != 8:
        raise refusals.unsupported_coding("This JPEG has more than 8 bits per sample")
    height, width = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5])
    if height == 0:
        raise refusals.unsupported_coding("This JPEG states its height only after the picture")
    if payload[5] not in (1, 3, 4):
        raise refusals.unsupported_coding("This JPEG has an unusual number of colour components")
    components = tuple(
        Component(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15, payload[i + 2])
        for i in range(6, len(payload), 3)
    )
    if len({each.id for each in components}) != len(components):
        raise refusals.malformed("a repeated colour component")
    if not all(1 <= each.h <= 4 and 1 <= each.v <= 4 and each.quant <= 3 for each in components):
        raise refusals.malformed("its colour components")
    return Frame(marker, payload, width, height, components)


@dataclass(frozen=True, slots=True)
class Scan:
    """SOS (T.81, B.2.3). ``tables`` are (DC, AC) ids per component; first and last coefficient; bit positions."""

    components: tuple[Component, ...]
    tables: tuple[tuple[int, int], ...]
    first: int
    last: int
    high: int
    low: int

    @property
    def payload(self) -> bytes:
        pairs = zip(self.components, self.tables, strict=True)
        selectors = b"".join(bytes((component.id, dc << 4 | ac)) for component, (dc, ac) in pairs)
        return bytes((len(self.components),)) + selectors + bytes((self.first, self.last, self.high << 4 | self.low))

    @property
    def table_ids(self) -> frozenset[int]:
        """Class and id (T.81, B.2.4.2) of each entropy table that the scan reads."""
        dc = {dc for dc, _ in self.tables} if self.first == 0 and self.high == 0 else set[int]()
        ac = {ac for _, ac in self.tables} if self.last > 0 else set[int]()
        return frozenset(dc | {0x10 | table for table in ac})


def parse_scan(frame: Frame, payload: bytes) -> Scan:
    """What a sequential scan needn't say is set to what T.81 prescribes, so that it can't carry anything."""
    if not payload or not 1 <= payload[0] <= 4 or len(payload) != 4 + 2 * payload[0]:
        raise refusals.malformed("its scan header's length")
    known = {component.id: component for component in frame.components}
    ids, tables = payload[1:-3:2], payload[2:-3:2]
    if len(set(ids)) != len(ids) or not known.keys() >= set(ids) or any(pair & 0xCC for pair in tables):
        raise refusals.malformed("its scan header")
    components = tuple(known[each] for each in ids)
    if len(components) > 1 and sum(each.h * each.v for each in components) > 10:
        raise refusals.malformed("its sampling factors")
    pairs = tuple((pair >> 4, pair & 15) for pair in tables)
    if not frame.progressive:
        return Scan(components, pairs, 0, 63, 0, 0)
    return _progressive_scan(Scan(components, pairs, payload[-3], payload[-2], payload[-1] >> 4, payload[-1] & 15))


def _progressive_scan(scan: Scan) -> Scan:
    """T.81, G.1.1.1; table ids that the scan doesn't read are set to 0."""
    ac = scan.first > 0
    if (ac and len(scan.components) > 1) or scan.first > scan.last or scan.last > (63 if ac else 0):
        raise refusals.malformed("its scan's coefficients")
    if scan.low > 13 or (scan.high and scan.low != scan.high - 1):
        raise refusals.malformed("its scan's precision")
    if ac:
        tables = tuple((0, table) for _, table in scan.tables)
    else:
        tables = tuple((0 if scan.high else table, 0) for table, _ in scan.tables)
    return Scan(scan.components, tables, scan.first, scan.last, scan.high, scan.low)


@dataclass(slots=True)
class Progress:
    """Which bits of which coefficients have been sent: per component, the lowest bit position per coefficient."""

    frame: Frame
    low: dict[int, list[int | None]] = field(default_factory=dict)

    def seen(self, component: Component) -> bool:
        return component.id in self.low

    def add(self, scan: Scan) -> None:
        """Raises MALFORMED_PHOTO when the scan repeats, or refines what wasn't there."""
        for component in scan.components:
            bits = self.low.setdefault(component.id, [None] * 64)
            span = range(scan.first, scan.last + 1)
            expected = scan.high or None
            if any(bits[k] != expected for k in span):
                raise refusals.malformed("scans that repeat or skip")
            if scan.first > 0 and bits[0] is None:
                raise refusals.malformed("scans out of order")
            for k in span:
                bits[k] = scan.low

    @property
    def complete(self) -> bool:
        """Every component was sent, at least its average colour."""
        return all(self.seen(component) for component in self.frame.components)


def check_volume(frame: Frame, scan: Scan, size: int) -> None:
    """Hold ``size`` bytes of entropy-coded data against the blocks that they draw.

    A Huffman-coded block costs at least a bit per code, so far too little is a truncated file or a bomb. At most it
    costs 27 bits for DC and 63 × 26 for AC (T.81, F.1.2), twice that when every byte is stuffed, and a restart marker;
    far more is a load that no decoder draws. Raises TRUNCATED_PHOTO or MALFORMED_PHOTO.
    """
    blocks = sum(frame.blocks(component) for component in scan.components)
    padded = sum(frame.blocks(component, padding=4) for component in scan.components)
    least_bits = 0
    if not frame.arithmetic and scan.first == 0 and scan.high == 0:
        least_bits = blocks if frame.progressive else 2 * blocks
    if size * 8 < least_bits:
        raise refusals.truncated()
    if size > 512 * padded:
        raise refusals.malformed("more data than its picture can need")
