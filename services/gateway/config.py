"""What the gateway is told by its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from mesh.config import Address, Addresses, ExistingFile, MeshSettings
from mesh.lockdown.needs import Needs

MIB = 1 << 20


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class GatewaySettings(MeshSettings):
    """The mesh's settings, the peers, who may come in, and how many at a time."""

    registry_target: Addresses
    """Purge's address; of each replica, comma-separated, where it has several."""
    gateway_ingest_target: Address
    gateway_render_target: Address
    gateway_public_cert: ExistingFile
    """The certificate that apps see, PEM. Not the mesh identity: that one never leaves the mesh."""
    gateway_public_key: ExistingFile
    gateway_token_key: ExistingFile
    """Public key (Ed25519, PEM) of the sign-in service that issues the users' tokens."""
    gateway_token_issuer: str
    """The tokens' ``iss``."""
    gateway_token_audience: str = "mayfly"  # noqa: S105 - an audience, not a secret
    """The tokens' ``aud``."""
    gateway_policy_versions: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)] = (
        "2026-11",
    )
    """Versions of the privacy policy whose consent is accepted, comma-separated, the newest last."""
    gateway_max_photos: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Photos in flight. Memory is bounded by this times 4 frames and gRPC's windows (docs/operations.md)."""
    gateway_max_photos_per_owner: Annotated[int, Field(ge=1, le=100_000)] = 4
    """Photos in flight of one owner."""
    gateway_max_photo_bytes: Annotated[int, Field(ge=1, le=512 * MIB)] = 32 * MIB
    """The largest upload, bytes; what clients are told. Ingest enforces its own limit."""
    gateway_delivery_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """How long a client that has the whole picture may take to confirm it before the picture is parked."""
    gateway_start_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long a client may take to say what it wants."""

    def needs(self) -> Needs:
        needs = super().needs().reading(self.gateway_public_cert, self.gateway_public_key, self.gateway_token_key)
        return needs.connecting([*self.registry_target, self.gateway_ingest_target, self.gateway_render_target])
