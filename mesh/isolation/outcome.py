"""How a job can end, and what the function says when it refuses its input."""

from __future__ import annotations

import re
from enum import StrEnum

CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Outcome(StrEnum):
    """Closed: the label of the metric."""

    OK = "ok"
    REFUSED = "refused"  # the function said that it doesn't take this input
    CRASHED = "crashed"  # died of a signal, or left without an answer
    FORBIDDEN = "forbidden"  # asked the kernel for what no decoder asks for, and was killed for it
    TIMED_OUT = "timed_out"  # the deadline, or its CPU seconds
    OUT_OF_MEMORY = "out_of_memory"  # its own limit, not the machine's
    GARBLED = "garbled"  # an answer that isn't one, or is too large, or a refusal that nobody knows
    CANCELLED = "cancelled"  # taken back by its caller
    UNAVAILABLE = "unavailable"  # no child: the template died, or could not fork


class Refused(Exception):
    """Raised by the function, inside. Only ``code`` gets out, and only if the parent knows it.

    A child may be under control of the bytes that it was given: nothing that it says reaches a log or a person.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
