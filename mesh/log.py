"""Structured logs by allow-list: a field that isn't declared safe is counted, not printed (rule R7)."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

# Everything that a log line may say. Values are short words, numbers or random ids; never anything that a user,
# a photo or a client chose.
_WORD = re.compile(r"[A-Za-z0-9_.:/\[\]@+ -]{0,200}")
# What happened, as a constant of the code: no sentence, into which a value could have been formatted.
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
ALLOWED = frozenset(
    re.findall(
        r"\w+",
        """
        event level timestamp service instance epoch photo_id reason outcome code method holder peer address ops_address
        seconds count bytes sequence error_type error_at control fact setting state signal version engine scene_id step
        attempt origin index size registry
        """,
    )
)
withheld = 0
"""How many fields were not printed since the start."""


def _allow(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    global withheld  # noqa: PLW0603 - one process, one count; read by the metrics collector
    safe: dict[str, Any] = {}
    for key, value in event.items():
        if key in ALLOWED and _is_safe(key, value):
            safe[key] = value
        else:
            withheld += 1
    return safe


def _is_safe(key: str, value: object) -> bool:
    # Exact types: what an exception or a message would turn into as a string is nobody's word.
    if isinstance(value, str):
        return (_EVENT if key == "event" else _WORD).fullmatch(value) is not None
    return isinstance(value, bool | int | float)


def configure(service: str, instance: str) -> None:
    """JSON lines on stderr. Libraries that log by themselves are silenced: nobody vouches for what they print."""
    logging.disable(logging.CRITICAL)

    def name(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # Not as context variables: worker threads don't inherit them.
        return {**event, "service": service, "instance": instance}

    structlog.configure(
        processors=[
            name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _allow,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    sys.excepthook = lambda kind, error, at: _uncaught(error)
    threading.excepthook = lambda caught: _uncaught(caught.exc_value)
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_value)


def _uncaught(error: BaseException | None) -> None:
    """Instead of Python's traceback, which prints the error's text."""
    if error is not None:
        get_logger().critical("uncaught", error_type=type(error).__name__, error_at=error_at(error))


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """A logger whose fields must stand in ``ALLOWED``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def error_at(error: BaseException) -> str:
    """Where an unexpected error came from, as ``module:line`` of the innermost frame; never its text."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown"
    return f"{frame.tb_frame.f_globals.get('__name__', '?')}:{frame.tb_lineno}"
