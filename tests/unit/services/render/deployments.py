"""What the settings make of engines, without a service around them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from services.render.catalogue import Catalogue
from services.render.config import RenderSettings
from services.render.decoding import decode_here
from services.render.deployed import Deployed
from services.render.metrics import RenderMetrics

CATALOGUE = Catalogue.load()


def deployed(settings: RenderSettings, registry: CollectorRegistry | None = None) -> Deployed:
    """Without identity: for all engines but ``triton``."""
    parts: Any = None
    return Deployed(settings, parts, CATALOGUE, decode_here, RenderMetrics(registry or CollectorRegistry()))
