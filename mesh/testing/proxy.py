"""A TCP proxy before a server, which a test cuts and heals: a partition without root.

Cut, it keeps connections open and moves nothing, in either direction, and takes no new ones; that is what a network
does that loses packets.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from types import TracebackType

from mesh.testing.ports import HOST, Reserved

_CHUNK = 1 << 16


class Proxy:
    """A context manager. port: where clients connect. target: where the server listens; may be set later."""

    def __init__(self, target: int = 0) -> None:
        self._reserved = Reserved()
        self.port = self._reserved.number
        self.target = target
        self._whole = threading.Event()
        self._whole.set()
        self._stopping = threading.Event()
        self._listener = socket.create_server((HOST, self.port), backlog=128)
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def heal(self) -> None:
        """Everything passes again, also what was kept back."""
        self._whole.set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._whole.set()
        for end in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._reserved.close()
        self._thread.join(2)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._whole.wait()
        with contextlib.suppress(OSError), client, socket.create_connection((HOST, self.target), timeout=2) as server:
            server.settimeout(None)
            self._sockets += [client, server]
            ends = {client: server, server: client}
            while not self._stopping.is_set():
                for source in select.select([*ends], [], [])[0]:
                    self._whole.wait()
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    ends[source].sendall(data)
