"""What ingest is told by its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mesh.config import Address, MeshSettings
from services.ingest.limits import MIB, Limits

_DEFAULT = Limits()


class IngestSettings(MeshSettings):
    """The mesh's settings, and the bounds of one photo."""

    registry_target: Address
    """Purge's address."""
    ingest_max_bytes: Annotated[int, Field(ge=1, le=512 * MIB)] = _DEFAULT.max_bytes
    """The largest upload, bytes."""
    ingest_max_pixels: Annotated[int, Field(ge=1)] = _DEFAULT.max_pixels
    """Width × height."""
    ingest_max_dimension: Annotated[int, Field(ge=1)] = _DEFAULT.max_dimension
    """The longer side, pixels."""

    def limits(self) -> Limits:
        return Limits(
            max_bytes=self.ingest_max_bytes,
            max_pixels=self.ingest_max_pixels,
            max_dimension=self.ingest_max_dimension,
        )
