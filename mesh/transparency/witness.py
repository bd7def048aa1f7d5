"""Asking a witness for its cosignature (https://c2sp.org/tlog-witness, add-checkpoint)."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mesh.errors import Unavailable
from mesh.transparency.canonical import to_base64
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import COSIGNATURE, Verifier, only_signed_by, open_note

SECONDS = 5.0  # for a connection, and for each piece of an answer
_MAX_ANSWER = 64 * 1024  # bytes
_SIZE_TYPE = "text/x.tlog.size"

Prove = Callable[[int], Sequence[bytes]]


class Witness:
    """One witness. Remembers how much of the log it has seen; the witness knows it better, and says so. Blocks."""

    def __init__(self, verifier: Verifier, url: str, *, seconds: float = SECONDS, ca: Path | None = None) -> None:
        """url: its submission prefix. Raises ValueError for another kind of key, or what is no http or https URL."""
        parts = urlsplit(url)
        if verifier.kind != COSIGNATURE:
            raise ValueError("a witness's key is of the kind cosignature/v1")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a witness's URL is http://host/path or https://host/path")
        self.verifier = verifier
        self.url = url
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/") + "/add-checkpoint"
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._seconds = seconds
        self._seen = 0

    def cosign(self, checkpoint: bytes, size: int, prove: Prove) -> bytes:
        """Its signature line for the checkpoint, a note over a tree of ``size`` leaves. It was verified.

        prove:  a consistency proof from a smaller tree to this one.
        Raises Unavailable: WITNESS_AWAY, or WITNESS_REFUSED, of which the second asks for a person.
        """
        status, kind, body = self._add(checkpoint, min(self._seen, size), size, prove)
        if status == http.client.CONFLICT and kind == _SIZE_TYPE:
            seen = _size(body)
            if seen > size:
                raise _refused("it has seen more of the log than there is")
            self._seen = seen
            status, kind, body = self._add(checkpoint, seen, size, prove)
        if status in (http.client.CONFLICT, http.client.UNPROCESSABLE_ENTITY):
            raise _refused("it has seen another tree")
        if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
            raise _away()
        if status != http.client.OK:
            raise _refused("it does not know the log or its key")
        line = self._line(checkpoint, body)
        self._seen = size
        return line

    def _line(self, checkpoint: bytes, body: bytes) -> bytes:
        try:
            note = only_signed_by(checkpoint + body, [self.verifier])
            open_note(note, [self.verifier])
        except VerificationError as error:
            raise _refused("its answer is not its cosignature") from error
        return note[note.rindex(b"\n\n") + 2 :]

    def _add(self, checkpoint: bytes, old: int, size: int, prove: Prove) -> tuple[int, str, bytes]:
        proof = prove(old) if 0 < old < size else ()
        lines = [f"old {old}", *map(to_base64, proof), ""]
        body = "".join(f"{line}\n" for line in lines).encode() + checkpoint
        if self._tls is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._seconds, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        try:
            connection.request("POST", self._path, body)
            response = connection.getresponse()
            answer = response.read(_MAX_ANSWER)
            return response.status, response.headers.get_content_type(), answer
        except (OSError, http.client.HTTPException) as error:
            raise _away() from error
        finally:
            connection.close()


def _size(body: bytes) -> int:
    text = body.decode("ascii", "replace").removesuffix("\n")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise _refused("its answer is malformed")
    return int(text)


def _away() -> Unavailable:
    return Unavailable("WITNESS_AWAY", "A witness does not answer; it will be asked again.")


def _refused(why: str) -> Unavailable:
    return Unavailable("WITNESS_REFUSED", f"A witness does not cosign the log: {why}.")
