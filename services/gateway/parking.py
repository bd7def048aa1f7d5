"""Parked pictures: frames sealed one by one under the resume token's key, so that nobody needs the whole picture.

Construction: STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, 2015) over AES-256-GCM. The nonce is 7 zero bytes, a 4-byte
big-endian counter and a byte that is 1 for the last segment: reordering, dropping and cutting short are all detected.
The key serves one picture only. Associated data: the photo id.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.errors import no_such_photo

TAG_BYTES = 16


class Parking:
    """Seals or opens the segments of one picture, in order. first: the number of the first one, from 0."""

    def __init__(self, key: bytes, photo_id: str, *, first: int = 0) -> None:
        self._aead = AESGCM(key)
        self._photo_id = photo_id.encode()
        self._counter = first

    def seal(self, frame: bytes, *, last: bool) -> bytes:
        """Ciphertext of one frame, TAG_BYTES longer."""
        return self._aead.encrypt(self._nonce(last), frame, self._photo_id)

    def open(self, segment: bytes, *, last: bool) -> bytes:
        """The frame again. NotFound if the segment isn't the one that must come now."""
        try:
            return self._aead.decrypt(self._nonce(last), segment, self._photo_id)
        except InvalidTag:
            raise no_such_photo() from None

    def _nonce(self, last: bool) -> bytes:
        nonce = bytes(7) + self._counter.to_bytes(4, "big") + bytes((last,))
        self._counter += 1
        return nonce
