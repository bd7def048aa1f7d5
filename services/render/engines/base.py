"""What executes a recipe. One protocol; ``onnx`` is embedded, others join here."""

from __future__ import annotations

from typing import Protocol

from services.render.picture import Cancelled, Job, Picture, Progress


class Engine(Protocol):
    """Started once, shared by all jobs. ``render`` is called from several worker threads at a time."""

    name: str

    def start(self) -> None:
        """Load and warm. Raises ``mesh.errors.ConfigError`` when something that it needs is missing or altered."""

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        """Raises ``mesh.errors.Invalid`` (photo, scene or caption), ``Cancelled`` (asked for, between two steps)."""

    def close(self) -> None:
        """Let go of the networks. No job is running any more."""
