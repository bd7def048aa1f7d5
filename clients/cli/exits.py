"""What the command's exit status means, and which error gets which."""

from __future__ import annotations

import enum

from mesh import errors


class ExitCode(enum.IntEnum):
    """Stable: scripts read them."""

    OK = 0
    INTERNAL = 1
    REFUSED = 2
    USAGE = 3
    NOT_FOUND = 4
    AGAIN = 5
    NOT_ALLOWED = 6
    NOT_VERIFIED = 7
    IRREVOCABLE = 8
    RESIDUE = 9
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


MEANINGS = (
    (ExitCode.OK, "done"),
    (ExitCode.INTERNAL, "an unexpected failure"),
    (ExitCode.REFUSED, "the photo or a choice was refused; the same again won't help"),
    (ExitCode.USAGE, "wrong use: arguments, a missing file, settings"),
    (ExitCode.NOT_FOUND, "not found, expired, or collected already"),
    (ExitCode.AGAIN, "try again later: away, busy, or out of time"),
    (ExitCode.NOT_ALLOWED, "not signed in, or not allowed"),
    (ExitCode.NOT_VERIFIED, "verification failed"),
    (ExitCode.IRREVOCABLE, "a service has not confirmed that a photo is gone"),
    (ExitCode.RESIDUE, "an audit has found bytes of photos that should be gone"),
    (ExitCode.INTERRUPTED, "interrupted"),
)

_OF: tuple[tuple[type[errors.MeshError], ExitCode], ...] = (
    (errors.Invalid, ExitCode.REFUSED),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.Unauthenticated, ExitCode.NOT_ALLOWED),
    (errors.Denied, ExitCode.NOT_ALLOWED),
    (errors.Exhausted, ExitCode.AGAIN),
    (errors.Unavailable, ExitCode.AGAIN),
    (errors.Overdue, ExitCode.AGAIN),
    (errors.Aborted, ExitCode.AGAIN),
    (errors.Cancelled, ExitCode.AGAIN),
)


def code_of(error: errors.MeshError) -> ExitCode:
    return next((code for kind, code in _OF if isinstance(error, kind)), ExitCode.INTERNAL)


class UsageFailed(Exception):
    """The person has to change something; the message says what."""


class VerificationFailed(Exception):
    """A check has failed. check: which one, a word."""

    def __init__(self, check: str, sentence: str) -> None:
        super().__init__(sentence)
        self.check = check
