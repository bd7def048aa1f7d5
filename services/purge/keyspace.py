"""The keys that are there: of a known shape, with a TTL, not longer than their kind lives, parked ones sealed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.purge import functions, keys
from services.purge.link import Ask
from services.purge.look import MARKER_TTL
from services.purge.refusal import is_answer, refusal
from services.purge.registry import GRACE, RECEIPT_TTL
from services.purge.wire import pack

PAGE = 500  # keys a look
_SAMPLES = 2  # parked pictures a look: the server reads a whole segment to cut its head off
_HEAD = 256  # bytes of a segment that are looked at
_TAG = 16  # bytes: AES-GCM's
MAX_SEGMENT = (1 << 20) + _TAG  # bytes; parked.MAX_SEGMENT, which may not be imported from below it
_TOLERANCE = 1000  # ms
_DAYS = 48 * 3600.0  # seconds
# The first bytes of image files, and where they stand: JPEG, PNG, GIF, WebP, HEIC and AVIF, TIFF.
_MAGIC = (
    (0, b"\xff\xd8\xff"), (0, b"\x89PNG"), (0, b"GIF8"), (0, b"RIFF"), (4, b"ftyp"), (0, b"II*\x00"), (0, b"MM\x00*"),
)  # fmt: skip


def ceilings(lease: float) -> Mapping[bytes, float]:
    """Kind → seconds that a key of it may have left. lease: the longest lease, seconds."""
    kept = lease + GRACE
    return {
        b"lease": kept, b"parked": kept, b"due": kept, b"receipt": RECEIPT_TTL, b"marker": MARKER_TTL,
        b"owner": _DAYS, b"quota": _DAYS, b"pseudonym-key": _DAYS, b"replica": 60.0, b"leader": 60.0, b"term": _DAYS,
    }  # fmt: skip


def is_sealed(size: int, head: bytes) -> bool:
    """Whether a segment may be AEAD ciphertext, as gateway's ``parking`` makes it.

    size: of the whole segment. head: its first bytes. Ciphertext has no mark of its own; what can be said is what it
    can't be: shorter than a tag and a byte, larger than a frame, an image file, or so regular that random bytes would
    not come out like it in the life of the universe (text, zeros, raw pixels). Well compressed data without a known
    beginning passes, and so does ciphertext under a key that somebody has: who wrote it is the ACL's question.
    """
    if not _TAG < size <= MAX_SEGMENT:
        return False
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return False
    different = 256 * (1 - (255 / 256) ** len(head))  # values among random bytes, on average
    return len(head) < 32 or len(set(head)) >= 0.7 * different


@dataclass(slots=True)
class Scan:
    """One pass over all keys of one server, a page at a look. cursor 0: the next page begins a new pass.

    unseen: what the server did not show when it was last asked. A page without a parked picture asks nothing, and says
    nothing of it.
    """

    cursor: int = 0
    found: Counter[str] = field(default_factory=Counter)
    last: Counter[str] = field(default_factory=Counter)
    unseen: set[str] = field(default_factory=set)

    async def page(self, ask: Ask, longest: Mapping[bytes, float]) -> None:
        """Looks at the next page. Raises Unavailable."""
        (reply,) = await ask([pack("SCAN", self.cursor, "COUNT", PAGE)])
        if isinstance(reply, Exception):
            raise refusal(reply)
        cursor, names = reply
        ours = [name for name in names if keys.is_ours(name)]
        self.found["unknown_keys"] += len(names) - len(ours)
        self.found += await _ttls(ask, ours, longest)
        parked = [name for name in ours if name.startswith(b"parked:")]
        await self._sample(ask, random.sample(parked, min(_SAMPLES, len(parked))))
        self.cursor = int(cursor)
        if self.cursor == 0:
            self.last, self.found = self.found, Counter()

    def standing(self) -> Counter[str]:
        """What is wrong by the pass under way or by the last whole one."""
        return self.found | self.last

    async def _sample(self, ask: Ask, names: Sequence[bytes]) -> None:
        which = random.randrange(1 << 16)  # noqa: S311 - a sample, not a secret
        function = f"{functions.LIBRARY}_sample"
        if not names:
            return
        samples = [pack("FCALL", function, 1, name, which, _HEAD) for name in names]
        *replies, _ = await ask([*samples, pack("FCALL", f"{functions.LIBRARY}_rinse", 0)])
        unseen = set()
        for reply in replies:
            if isinstance(reply, Exception) and "WRONGTYPE" not in str(reply):
                if not is_answer(reply):
                    raise refusal(reply)
                unseen.add("parked_values")
            elif isinstance(reply, Exception) or (reply[0] and not is_sealed(int(reply[1]), reply[2])):
                self.found["parked_plaintext"] += 1
        self.unseen = unseen


async def _ttls(ask: Ask, names: Sequence[bytes], longest: Mapping[bytes, float]) -> Counter[str]:
    replies: list[Any] = await ask([pack("PTTL", name) for name in names]) if names else []
    found: Counter[str] = Counter()
    for name, ttl in zip(names, replies, strict=True):
        if isinstance(ttl, Exception):
            raise refusal(ttl)
        if ttl == -1:
            found["keys_without_ttl"] += 1
        elif ttl > longest[name.partition(b":")[0]] * 1000 + _TOLERANCE:
            found["long_ttl"] += 1
    return found
