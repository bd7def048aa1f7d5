"""Where templates come from, also when one has died long after exec was refused to its service: the parent's side."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import mesh
from mesh.errors import ConfigError
from mesh.isolation import control

_ROOT = Path(mesh.__file__).resolve().parents[1]
# Nothing of our own environment: no address, no path to a key. One arena and no threads, so that forks stay small.
ENVIRONMENT = {
    "PYTHONPATH": str(_ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_ANSWER_SECONDS = 10.0


class NurseryGone(Exception):
    """There is no nursery, or it could not start a process."""


class Nursery:
    """Made before files can't be opened for writing any more; started before exec is refused, by a thread that lasts
    (PR_SET_PDEATHSIG is per thread)."""

    def __init__(self) -> None:
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """0 before the start."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Raises ConfigError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_ANSWER_SECONDS)
        command = [sys.executable, "-P", "-s", "-S", "-m", "mesh.isolation.nursery_process", str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                env=ENVIRONMENT,
                stdin=self._null,
                stdout=self._null,
                stderr=self._null,  # a decoder's complaints may quote its input
            )
        except OSError as error:
            raise ConfigError(f"the decoders' nursery does not start: {error.strerror}") from None
        finally:
            theirs.close()
            self._close_null()
        self._line = ours

    def template(self, fd: int, module: str, *, memory_bytes: int, strict: bool) -> tuple[int, int]:
        """A new template process at the other end of ``fd``: its pid and its pidfd, which is the caller's to close.

        Blocks for the milliseconds of an exec. Raises NurseryGone.
        """
        if self._line is None:
            raise NurseryGone
        words = "\0".join((module, str(memory_bytes), "strict" if strict else "permissive"))
        try:
            socket.send_fds(self._line, [words.encode()], [fd])
            pid, fds, _, _ = socket.recv_fds(self._line, control.SIZE, 1)
        except OSError:
            # A late answer would be taken for the next one's.
            self._line.close()
            self._line = None
            raise NurseryGone from None
        if not fds:
            raise NurseryGone
        return int(pid), fds[0]

    def stop(self) -> None:
        """Ends it and, through it, its templates; returns when it is no more. Its templates' owners go first."""
        self._close_null()
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _close_null(self) -> None:
        if self._null >= 0:
            os.close(self._null)
            self._null = -1
