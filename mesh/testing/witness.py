"""A witness for tests: a server of its own that does all that https://c2sp.org/tlog-witness asks of one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.transparency.canonical import from_base64
from mesh.transparency.checkpoint import Checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import verify_consistency
from mesh.transparency.note import COSIGNATURE, Verifier, cosigned_message, open_note, signature_line

_PATH = "/w/add-checkpoint"


class WitnessServer:
    """Knows the logs whose keys it was given; keeps, for each, the head that it cosigned last, also over a restart.

    failing: while set, every request is answered with this status. seen: origin → (size, root).
    """

    def __init__(self, name: str, logs: Sequence[Verifier], *, clock: int = 1_700_000_000) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.verifier = Verifier(name, self._key.public_key(), COSIGNATURE)
        self.logs = list(logs)
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.failing: int | None = None
        self.statuses: list[int] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/w/"

    def start(self) -> None:
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, answer = witness.answer(body) if self.path == _PATH else (404, "text/plain", b"")
                witness.statuses.append(status)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=lambda s=self._server: s.serve_forever(0.01), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type, body."""
        if self.failing is not None:
            return self.failing, "text/plain", b""
        try:
            old, proof, note = _parse(body)
            checkpoint = Checkpoint.parse(note.decode().partition("\n\n")[0] + "\n")
        except (VerificationError, ValueError):
            return 400, "text/plain", b""
        keys = [key for key in self.logs if key.name == checkpoint.origin]
        if not keys:
            return 404, "text/plain", b""
        try:
            text = open_note(note, keys).text
        except VerificationError:
            return 403, "text/plain", b""
        if old > checkpoint.size:
            return 400, "text/plain", b""
        with self._lock:
            return self._judge(checkpoint, text, old, proof)

    def _judge(self, checkpoint: Checkpoint, text: str, old: int, proof: list[bytes]) -> tuple[int, str, bytes]:
        size, root = self.seen.get(checkpoint.origin, (0, b""))
        if old != size:
            return 409, "text/x.tlog.size", b"%d\n" % size
        if size == checkpoint.size and root and root != checkpoint.root:
            return 409, "text/plain", b""
        try:
            if size:
                verify_consistency(size, checkpoint.size, proof, root, checkpoint.root)
            elif proof:
                return 422, "text/plain", b""
        except VerificationError:
            return 422, "text/plain", b""
        self.seen[checkpoint.origin] = checkpoint.size, checkpoint.root
        return 200, "text/plain", self.sign(text)

    def sign(self, text: str) -> bytes:
        """Its signature line, whatever the text says."""
        self._clock += 1
        signature = self._clock.to_bytes(8, "big") + self._key.sign(cosigned_message(text, self._clock))
        return signature_line(self.verifier, signature)


def _parse(body: bytes) -> tuple[int, list[bytes], bytes]:
    head, blank, note = body.partition(b"\n\n")
    first, *proof = head.decode().split("\n")
    word, _, size = first.partition(" ")
    if word != "old" or not blank or not size.isdecimal() or str(int(size)) != size or len(proof) > 63:
        raise ValueError("malformed")
    return int(size), [from_base64(line, "proof") for line in proof], note
