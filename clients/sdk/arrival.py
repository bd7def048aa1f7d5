"""A picture on its way in: header, chunks, seal, in this order, and every byte counted."""

from __future__ import annotations

from clients.sdk.results import Picture
from mayfly.photo.v1 import photo_pb2
from mesh.errors import Aborted


class Arrival:
    """Takes the picture's messages one by one. Raises Aborted(PICTURE_MALFORMED) when they don't fit together."""

    def __init__(self) -> None:
        self._header: photo_pb2.PictureHeader | None = None
        self._data = bytearray()
        self.picture: Picture | None = None
        self.messages = 0
        """How many of the picture's messages have arrived, from its header on."""

    @property
    def fraction(self) -> float:
        """Of the bytes that the header announced."""
        total = self._header.byte_count if self._header is not None else 0
        return min(1.0, len(self._data) / total) if total else 0.0

    def header(self, header: photo_pb2.PhotoHeader) -> None:
        # Once more from the beginning is fine: a picture that is sent again replaces what came of it.
        if self.picture is not None or not header.HasField("picture"):
            raise _malformed()
        self._header = header.picture
        self._data.clear()
        self.messages = 1

    def chunk(self, chunk: bytes) -> None:
        if self._header is None or self.picture is not None:
            raise _malformed()
        self._data += chunk
        self.messages += 1
        if len(self._data) > self._header.byte_count:
            raise _malformed()

    def seal(self, seal: photo_pb2.PhotoSeal) -> None:
        header = self._header
        if header is None or self.picture is not None or not len(self._data) == seal.byte_count == header.byte_count:
            raise _malformed()
        self.picture = Picture(bytes(self._data), header.media_type, header.width, header.height)
        self._data.clear()


def _malformed() -> Aborted:
    return Aborted("PICTURE_MALFORMED", "The picture did not arrive whole; collect it again.")
