"""What ingest is told by its environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from mesh.config import Addresses, MeshSettings
from mesh.lockdown.needs import Needs
from services.ingest.isolated.convert import MEMORY_BYTES
from services.ingest.limits import MIB, Limits

_DEFAULT = Limits()


class IngestSettings(MeshSettings):
    """The mesh's settings, and the bounds of one photo."""

    registry_target: Addresses
    """Purge's address; of each replica, comma-separated, where it has several."""
    ingest_max_bytes: Annotated[int, Field(ge=1, le=512 * MIB)] = _DEFAULT.max_bytes
    """The largest upload, bytes."""
    ingest_max_pixels: Annotated[int, Field(ge=1)] = _DEFAULT.max_pixels
    """Width × height."""
    ingest_max_dimension: Annotated[int, Field(ge=1)] = _DEFAULT.max_dimension
    """The longer side, pixels."""

    ingest_workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Photos that are decoded at the same time (HEIC, AVIF, TIFF, BMP, and checks)."""
    ingest_worker_bytes: Annotated[int, Field(ge=64 * MIB, le=16_384 * MIB)] = MEMORY_BYTES
    """Memory of one decode, bytes; 24 per pixel bound the pixels of those formats (64 million)."""
    ingest_decode_check: Literal["off", "reduced"] = "off"
    """``reduced``: decode each scrubbed photo at an eighth before it is sealed, for engines that are remote."""

    def limits(self) -> Limits:
        return Limits(
            max_bytes=self.ingest_max_bytes,
            max_pixels=self.ingest_max_pixels,
            max_dimension=self.ingest_max_dimension,
        )

    def needs(self) -> Needs:
        return replace(super().needs().connecting(self.registry_target), decoders=True)
