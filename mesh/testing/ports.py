"""TCP ports on the loopback interface that stay free for whoever was promised them."""

from __future__ import annotations

import contextlib
import random
import socket

HOST = "127.0.0.1"
# Below the range that the kernel gives to connections (ip(7), ip_local_port_range: from 32768 on).
_PORTS = range(12_000, 32_000)


class Reserved:
    """A port that nobody listens on, and that nobody else is promised until ``close``: not in this process, nor in
    another that looks for ports by binding them.

    Bound, not listened on: a server that sets SO_REUSEADDR (Redis, gRPC, Go's net) can listen there nevertheless, also
    a second time after it was killed.
    """

    def __init__(self) -> None:
        while True:
            port = random.choice(_PORTS)  # noqa: S311 - spreads, hides nothing
            self._socket = socket.socket()
            # Without SO_REUSEADDR, or it would succeed beside others' reservations.
            with contextlib.suppress(OSError):
                self._socket.bind((HOST, port))
                break
            self._socket.close()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number = port

    def close(self) -> None:
        """The port is anybody's again, unless somebody listens there."""
        self._socket.close()
