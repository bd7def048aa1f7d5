"""The tables of a JPEG as a decoder would hold them (ITU-T T.81, B.2.4 and annex C)."""

from __future__ import annotations

from services.ingest.verify.disagreement import require
from services.ingest.verify.jpeg_scans import Picture, Scan

_DQT, _DHT, _DAC, _DRI = 0xDB, 0xC4, 0xCC, 0xDD
_ORDER = (_DQT, _DHT, _DAC, _DRI)
_CLASS_AND_ID = (0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13)

Name = tuple[int, int]  # the place of its marker in _ORDER, then class × 16 + id


class Decoder:
    """What has been sent, and what was sent since the last scan."""

    def __init__(self) -> None:
        # Before it is told, a decoder has no restarts, and the conditioning of T.81, F.1.4.4.1.4 and F.1.4.4.2.
        self._held: dict[Name, bytes] = {(3, 0): bytes(2)}
        self._held |= {(2, each): b"\x10" if each < 4 else b"\x05" for each in _CLASS_AND_ID}
        self._waiting: list[Name] = []

    @property
    def idle(self) -> bool:
        """No table waits for a scan that reads it."""
        return not self._waiting

    @property
    def restarts(self) -> bool:
        return self._held[3, 0] != bytes(2)

    def take(self, marker: int, payload: bytes) -> None:
        """One segment with one table, in order, and news to the decoder."""
        rank = _ORDER.index(marker)
        if marker == _DRI:
            require(len(payload) == 2, "a restart interval")
            name, value = (rank, 0), payload
        else:
            _CHECKS[marker](payload)
            name, value = (rank, payload[0] & (0x0F if marker == _DQT else 0xFF)), payload[1:]
            if marker == _DQT:
                value = payload  # its first byte also says how wide the entries are
        require(not self._waiting or name > self._waiting[-1], "the order of tables")
        require(self._held.get(name) != value, "a table that the decoder has already")
        self._held[name] = value
        self._waiting.append(name)

    def framed(self, picture: Picture) -> None:
        """SOF: what came before it are tables of its components."""
        used = {(0, part.quant) for part in picture.parts.values()}
        require(set(self._waiting) <= used, "a table that nothing reads")
        self._waiting.clear()

    def scanned(self, scan: Scan, *, arithmetic: bool) -> None:
        """SOS: what came before it is read by it, and what it reads has come."""
        entropy = {(2 if arithmetic else 1, table) for table in scan.tables}
        quant = {(0, table) for table in scan.fresh}
        require(set(self._waiting) <= quant | entropy | {(3, 0)}, "a table that nothing reads")
        require(self._held.keys() >= quant | entropy, "a table that is missing")
        self._waiting.clear()


def _quantization(payload: bytes) -> None:
    wide = payload[0] >> 4
    require(wide < 2 and payload[0] & 15 < 4 and len(payload) == 1 + 64 * (1 + wide), "a quantization table")


def _huffman(payload: bytes) -> None:
    """Counts of codes by length, then a symbol each. They fit a code of which all ones is no word (annex C)."""
    counts, symbols = payload[1:17], payload[17:]
    require(payload[0] in _CLASS_AND_ID and len(counts) == 16, "a Huffman table")
    require(len(symbols) == sum(counts) <= 256, "a Huffman table")
    require(sum(count << (15 - at) for at, count in enumerate(counts)) < 1 << 16, "a Huffman table")
    require(payload[0] >= 0x10 or all(symbol < 16 for symbol in symbols), "a Huffman table")


def _conditioning(payload: bytes) -> None:
    require(len(payload) == 2 and payload[0] in _CLASS_AND_ID, "a conditioning table")
    low, high = payload[1] & 15, payload[1] >> 4
    require(low <= high if payload[0] < 0x10 else 0 < payload[1] < 64, "a conditioning table")


_CHECKS = {_DQT: _quantization, _DHT: _huffman, _DAC: _conditioning}
