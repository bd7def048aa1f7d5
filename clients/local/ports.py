"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

from mesh.errors import ConfigError

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FLOOR = 10_240  # below: well-known services of development machines
_WIDTH = 16_384
_ATTEMPTS = 1000


def free_ports(count: int) -> list[int]:
    """``count`` different ports that nobody listens on at the moment.

    They lie below the kernel's ephemeral range: a port in it could become some connection's own between our look
    and the service's bind. Another launcher can still be faster; whoever binds must be ready to be refused.
    """
    ceiling = _ephemeral_start()
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(_ATTEMPTS):
            if len(chosen) == count:
                return chosen
            port = random.randrange(max(_FLOOR, ceiling - _WIDTH), ceiling)  # noqa: S311 - spreads, hides nothing
            probe = held.enter_context(socket.socket())
            # Not SO_REUSEADDR: with it a bind succeeds beside some sockets that are still in use.
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                chosen.append(port)
    raise ConfigError("No free TCP ports on 127.0.0.1; stop something that listens there.")


def _ephemeral_start() -> int:
    try:
        start = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768  # Linux's default; macOS begins above it
    return start if start > _FLOOR + 1024 else 32_768
