"""A service that leaks: it takes a photo from stdin, does as if it had let go of it, and keeps it in one way.

Usage: python leaky.py WAY FOLDER. Prints "done" and stays until its stdin ends. Each way is a mistake that a service
could make.
"""

from __future__ import annotations

import base64
import ctypes
import http.server
import os
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

_KEPT: list[object] = []


def in_a_list(photo: bytes, folder: Path) -> None:
    _KEPT.append(photo)


def by_ordinary_malloc(photo: bytes, folder: Path) -> None:
    """Copied as C code would, and freed; glibc's defaults leave it where it was."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    size = 16 << 10
    copies = [libc.malloc(size) for _ in range(0, len(photo), size)]
    pin = libc.malloc(100_000)  # too large for a hole, so it lies last, and the heap can't shrink
    for number, copy in enumerate(copies):
        part = photo[number * size : (number + 1) * size]
        ctypes.memmove(copy, part, len(part))
    for copy in copies:
        libc.free(copy)
    _KEPT.append(pin)


def in_a_temporary_file(photo: bytes, folder: Path) -> None:
    fd, _ = tempfile.mkstemp(dir=folder)
    os.write(fd, photo)
    os.close(fd)


def in_a_deleted_file(photo: bytes, folder: Path) -> None:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as upload parsers do
    file.write(photo)
    file.flush()
    _KEPT.append(file)


def in_a_memfd(photo: bytes, folder: Path) -> None:
    fd = os.memfd_create("spool")
    os.write(fd, photo)


def in_the_log_as_repr(photo: bytes, folder: Path) -> None:
    _log(folder, f"ValueError: not a photo: {_middle(photo)!r}")


def in_the_log_as_hex(photo: bytes, folder: Path) -> None:
    _log(folder, f"first bytes {_middle(photo).hex()}")


def in_the_log_as_base64(photo: bytes, folder: Path) -> None:
    _log(folder, f'{{"body": "{base64.b64encode(_middle(photo)).decode()}"}}')


def in_the_log_as_json(photo: bytes, folder: Path) -> None:
    import json

    _log(folder, json.dumps({"error": repr(_middle(photo))}))


def in_a_core_file(photo: bytes, folder: Path) -> None:
    """What the kernel writes for a process that crashes: an ELF header of the type CORE, then its memory."""
    head = struct.pack("<16sHH", b"\x7fELF\x02\x01\x01", 4, 62)
    (folder / "core.1234").write_bytes(head.ljust(4096, b"\0") + photo)


def in_metrics(photo: bytes, folder: Path) -> None:
    """A label that somebody took from the photo."""
    page = f'mayfly_uploads_total{{first="{_middle(photo).hex()}"}} 1\n'.encode()

    class Ops(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Ops)
    (folder / "port").write_text(str(server.server_port))
    threading.Thread(target=server.serve_forever, daemon=True).start()


def not_at_all(photo: bytes, folder: Path) -> None:
    """The counter-example: this one leaks nothing outside its memory."""


def _middle(photo: bytes) -> bytes:
    """Some bytes of its pixels; at its beginning is much that all photos have."""
    return photo[len(photo) // 2 :][:100]


def _log(folder: Path, line: str) -> None:
    with (folder / "leaky.log").open("a") as file:
        file.write(line + "\n")


WAYS: dict[str, Callable[[bytes, Path], None]] = {
    way.__name__: way
    for way in (
        in_a_list, by_ordinary_malloc, in_a_temporary_file, in_a_deleted_file, in_a_memfd, in_the_log_as_repr,
        in_the_log_as_hex, in_the_log_as_base64, in_the_log_as_json, in_a_core_file, in_metrics, not_at_all,
    )
}  # fmt: skip


def main() -> None:
    size = int(sys.stdin.buffer.readline())
    WAYS[sys.argv[1]](sys.stdin.buffer.read(size), Path(sys.argv[2]))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
