"""Keeps what a process says: ``python -m clients.local.log_keeper allowed|raw``, lines on stdin, its file on stdout.

A service under lockdown may hold no file that is open for writing, so it writes to a pipe, and this process to the
file. It ends when whoever writes has ended. ``allowed``: once the service has said that it serves, and so may hold a
photo, only what stands on the log's allow-list is kept; before, everything, since why it can't start is in no list.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import IO

from mesh.log_fields import is_allowed

_LONGEST = 4096  # bytes of a line
_WITHHELD = b'{"event": "line_withheld"}\n'


def main(kind: str) -> None:
    # Whoever stops the mesh stops the service; its last words are still to come.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lines = _lines(sys.stdin.buffer)
    for line in kept(lines) if kind == "allowed" else lines:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def kept(lines: Iterable[bytes]) -> Iterator[bytes]:
    serving = False
    for line in lines:
        fields = _fields(line)
        if not serving:
            serving = fields.get("event") == "serving"
            yield line
        else:
            allowed = bool(fields) and all(is_allowed(key, value) for key, value in fields.items())
            yield line if allowed else _WITHHELD


def _fields(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while line := source.readline(_LONGEST):
        yield line


if __name__ == "__main__":
    main(sys.argv[1])
