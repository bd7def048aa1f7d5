"""What executes a recipe. One protocol, several implementations; ``choice`` picks among those of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.render.picture import Cancelled, Job, Picture, Progress


class Engine(Protocol):
    """Started once, shared by all jobs. ``render`` is called from several worker threads at a time.

    processors: who works on a photo that is given to this engine, as receipts name them (rule R9).
    """

    name: str
    processors: tuple[str, ...]

    def start(self) -> None:
        """Load and warm. Raises ``mesh.errors.ConfigError`` when something that it needs is missing or altered."""

    def ready(self) -> bool:
        """Whether a job that comes now would be worked on. Called often: must not block."""

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        """Raises ``mesh.errors.Invalid`` (photo, scene or caption), ``Cancelled`` (asked for, between two steps or
        while a remote network works), ``Unavailable`` (a pool is away), ``Overdue`` (``job.deadline`` has passed)."""

    def close(self) -> None:
        """Let go of the networks. No job is running any more."""


Make = Callable[[], Engine]
