"""Structured logs by allow-list: a field that isn't declared safe is counted, not printed (rule R7)."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from mesh.log_fields import is_allowed

withheld = 0
"""How many fields were not printed since the start."""
context: Callable[[], Mapping[str, str]] = dict
"""What every line says of the work in which it is printed: the ids of a trace, where there are traces."""


def _allow(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    global withheld  # noqa: PLW0603 - one process, one count; read by the metrics collector
    safe: dict[str, Any] = {}
    for key, value in event.items():
        if is_allowed(key, value):
            safe[key] = value
        else:
            withheld += 1
    return safe


def configure(service: str, instance: str) -> None:
    """JSON lines on stderr. Libraries that log by themselves are silenced: nobody vouches for what they print."""
    logging.disable(logging.CRITICAL)

    def name(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # Not as context variables: worker threads don't inherit them.
        return {**context(), **event, "service": service, "instance": instance}

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
