"""What render is told by its environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mesh.config import Addresses, MeshSettings
from mesh.lockdown.needs import Needs
from services.render import models

MIB = 1 << 20


class RenderSettings(MeshSettings):
    """The mesh's settings, the engine, and how much work is taken on."""

    registry_target: Addresses
    """Purge's address; of each replica, comma-separated, where it has several."""
    render_engine: Literal["onnx", "null"] = "onnx"
    """``null`` makes no picture of the photo, only a colour for its size: for measuring and testing the mesh."""
    render_model_dir: Annotated[Path, Field(default_factory=models.default_dir)]
    """Where `make setup` has put the models."""
    render_slots: Annotated[int, Field(ge=1, le=64)] = 2
    """Pictures that are made at the same time."""
    render_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of one network's run."""
    render_queue: Annotated[int, Field(ge=0, le=10_000)] = 32
    """Photos that may wait for a slot; their bytes are held meanwhile."""
    render_max_bytes: Annotated[int, Field(ge=1, le=512 * MIB)] = 33 * MIB
    """The largest scrubbed photo, bytes."""

    def needs(self) -> Needs:
        needs = super().needs().reading(self.render_model_dir).connecting(self.registry_target)
        return replace(needs, decoders=True)
