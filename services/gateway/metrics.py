"""What the gateway counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.label import listed
from mesh.metrics import FINE_SECONDS
from services.gateway.delivery import Outcome

_GATEWAY = ("gateway",)
COSTS = ("light", "standard", "heavy")
"""Of scenes, as render's catalogue has them."""
# Reasons of errors that can end a photo between its lease and its picture (docs/api.md), by who gives them.
REFUSALS = (
    # the gateway, or custody anywhere
    "CLIENT_GONE", "UPLOAD_UNSEALED", "MALFORMED_FRAME", "PHOTO_REVOKED", "PHOTO_NOT_FOUND", "PHOTO_IN_USE",
    "LEASE_EXPIRED", "LEASE_MISSING", "MALFORMED_PHOTO_ID", "MALFORMED_REGISTRY", "REGISTRY_UNAVAILABLE",
    # the transport
    "PEER_UNAVAILABLE", "CANCELLED", "MESSAGE_TOO_LARGE", "INTERNAL", "CALLER_UNKNOWN", "CALLER_NOT_ALLOWED",
    # ingest
    "EMPTY_PHOTO", "UNSUPPORTED_FORMAT", "UNSUPPORTED_CODING", "TRUNCATED_PHOTO", "MALFORMED_PHOTO", "PHOTO_TOO_LARGE",
    "DIMENSION_TOO_LARGE", "TOO_MANY_PIXELS", "TOO_MANY_SEGMENTS", "TOO_MANY_SCANS", "TOO_MANY_FRAMES",
    "BYTE_COUNT_MISMATCH", "SCRUB_DISAGREEMENT", "DECODER_UNAVAILABLE",
    # render
    "ATTESTATION_INVALID", "UNKNOWN_SCENE", "UNKNOWN_CAPTION", "OPTIONS_MISSING", "OWNER_TAG_SIZE", "PHOTO_TOO_SMALL",
    "PICTURE_REFUSED", "RENDER_QUEUE_FULL", "RENDER_TOO_LATE", "RENDER_CANCELLED", "RENDER_FAILED", "ENGINE_AWAY",
    "POOL_AWAY", "POOL_BUSY", "POOL_TOO_SLOW", "POOL_FAILED", "POOL_ANSWERED_NONSENSE", "PROCESSOR_NOT_LISTED",
    # purge, where the picture is parked
    "PARK_START", "UNSEALED", "ALREADY_PARKED", "NOT_PARKED_YET", "RESULT_TOO_LARGE", "SEGMENT_SIZE", "REGISTRY_FULL",
    "REGISTRY_UNSAFE", "LEASE_ELSEWHERE", "LEASE_MOVED",
)  # fmt: skip

IN_FLIGHT = declare.Gauge(
    name="mayfly_gateway_photos_in_flight",
    help="Photos on their way.",
    unit="photos",
    services=_GATEWAY,
)
LIMIT = declare.Gauge(
    name="mayfly_gateway_photos_in_flight_limit",
    help="Photos that may be on their way.",
    unit="photos",
    services=_GATEWAY,
)
REFUSED = declare.Counter(
    name="mayfly_gateway_refused_total",
    help="Photos that did not end in a picture.",
    unit="photos",
    services=_GATEWAY,
    labels=(listed("reason", REFUSALS, other=True),),
)
CONSENT_REFUSED = declare.Counter(
    name="mayfly_gateway_consent_refused_total",
    help="Photos that were refused before they had a lease: the consent names no version of the policy in force.",
    unit="photos",
    services=_GATEWAY,
)
JOURNEYS = declare.Counter(
    name="mayfly_gateway_journeys_total",
    help="Photos that ended in a picture.",
    unit="photos",
    services=_GATEWAY,
    labels=(listed("outcome", [outcome.value for outcome in Outcome]),),
)
SECONDS = declare.Histogram(
    name="mayfly_gateway_journey_seconds",
    help="From lease to a picture that was handed out whole, confirmed or not, or parked; by what the scene costs.",
    unit="seconds",
    services=_GATEWAY,
    labels=(listed("cost", COSTS, other=True),),
    buckets=FINE_SECONDS,
    traced=True,
)


class GatewayMetrics:
    """What is counted about photos on their way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = IN_FLIGHT.on(registry)
        self.limit = LIMIT.on(registry)
        self.refused = REFUSED.family(registry)
        self.consent_refused = CONSENT_REFUSED.on(registry)
        self.journeys = JOURNEYS.family(registry)
        self.seconds = SECONDS.family(registry)
        for cost in COSTS:  # from 0 on, so that a share of all can be told from the first picture on
            self.seconds.labels(cost)
