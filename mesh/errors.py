"""The one family of errors. ``mesh/status.py`` maps it to gRPC status and back.

Each error carries a machine-readable ``reason`` (UPPER_SNAKE, stable, part of the API) and one sentence for a
person that says what to do next. Neither may ever hold a value taken from a photo, a file name or a user.
"""

from __future__ import annotations


class MeshError(Exception):
    """Base of every typed error.

    reason:       UPPER_SNAKE, stable across releases.
    message:      one sentence: what was wrong, what to do.
    field:        the request field (dotted path) or the property of the upload that broke a rule, if one did.
    limit:        the limit that was exceeded, in ``field``'s unit, if one was.
    retry_after:  seconds after which trying again is worth it, if it ever is.
    registry:     with LEASE_ELSEWHERE: the name of the replica of purge that keeps the lease.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        retry_after: float | None = None,
        registry: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after = retry_after
        self.registry = registry

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Invalid(MeshError):
    """The input is malformed, unsupported or over a limit; sending it again won't help."""


class Aborted(MeshError):
    """The upload ended without its seal."""


class NotFound(MeshError):
    """Expired, purged or never existed: indistinguishable on purpose."""


class Unauthenticated(MeshError):
    """The credential is missing or wrong."""


class Denied(MeshError):
    """The caller is known and may not do this."""


def no_such_photo() -> NotFound:
    """The one sentence for everything that isn't there, so that nobody learns which of the reasons it is."""
    return NotFound("PHOTO_NOT_FOUND", "There is no such photo: it has expired, was purged, or never existed.")


class Exhausted(MeshError):
    """Quota, rate, or bytes in flight."""


class Unavailable(MeshError):
    """The registry, an engine or a peer is away."""


class Overdue(MeshError):
    """The deadline (the lease's end) has passed."""


class Cancelled(MeshError):
    """The work was taken back: by its owner, or because the caller went away."""


class Internal(MeshError):
    """A bug. The message says nothing."""


class ConfigError(Exception):
    """The configuration is wrong; the process prints the one line and exits with status 78 (EX_CONFIG)."""
