"""How every command fails: one line on stderr (or one JSON object on stdout), and an exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from clients.cli.exits import ExitCode, UsageFailed, VerificationFailed, code_of
from mesh.errors import ConfigError, MeshError

_BROKEN_PIPE = 128 + 13  # as if SIGPIPE had ended us


@dataclass(frozen=True, slots=True)
class Failure:
    """details: what goes into the JSON object beside reason and message. line: for a person, if it says more."""

    code: ExitCode
    reason: str
    message: str
    details: dict[str, Any]
    line: str = ""


_NO_DETAILS: dict[str, Any] = {}


def explain(error: BaseException) -> Failure:
    """Any error, as what a person is told. Never the text of an error that isn't ours."""
    if isinstance(error, MeshError):
        known = {"field": error.field, "limit": error.limit, "retry_after": error.retry_after}
        details = {name: value for name, value in known.items() if value is not None}
        return Failure(code_of(error), error.reason, _sentence(error), details, _line(error))
    if isinstance(error, VerificationFailed):
        return Failure(ExitCode.NOT_VERIFIED, "NOT_VERIFIED", str(error), {"check": error.check})
    for kind, code, reason, sentence in _PLAIN:
        if isinstance(error, kind):
            return Failure(code, reason, sentence(error), _NO_DETAILS)
    return Failure(ExitCode.INTERNAL, "INTERNAL", f"Unexpected: {type(error).__name__}. This is a bug.", _NO_DETAILS)


def _of_the_command_line(error: typer.TyperException) -> str:
    said = error.format_message()
    command = getattr(getattr(error, "ctx", None), "command_path", "mayfly")
    return f"{said} See `{command} --help`." if said else ""  # without arguments there was help already


def _of_a_file(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."


_PLAIN: tuple[tuple[type[BaseException], ExitCode, str, Callable[[Any], str]], ...] = (
    (UsageFailed, ExitCode.USAGE, "USAGE", str),
    (ConfigError, ExitCode.USAGE, "CONFIGURATION", str),
    (typer.TyperException, ExitCode.USAGE, "USAGE", _of_the_command_line),
    (KeyboardInterrupt, ExitCode.INTERRUPTED, "INTERRUPTED", lambda _: "Interrupted."),
    (OSError, ExitCode.USAGE, "FILE", _of_a_file),
)


def report(error: BaseException, *, as_json: bool) -> int:
    """Tells the person or the program, and returns the exit status."""
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has enough. Python's own flush at exit must find somewhere to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    failure = explain(error)
    if as_json:
        print(json.dumps({"error": {"reason": failure.reason, "message": failure.message, **failure.details}}))
    elif failure.message:
        print(f"mayfly: {failure.line or failure.message}", file=sys.stderr)
    return failure.code


def _sentence(error: MeshError) -> str:
    if error.reason == "PEER_UNAVAILABLE":
        return "The mesh does not answer; is it up (`mayfly status`), and is the address right?"
    return error.message


def _line(error: MeshError) -> str:
    wait = f" Wait {error.retry_after:.0f} s." if error.retry_after and error.retry_after >= 1 else ""
    return f"{_sentence(error)}{wait} ({error.reason})"
