"""What render measures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.label import listed
from mesh.metrics import FINE_SECONDS, SECONDS
from services.render.fair_queue import CLASSES
from services.render.recipe import STEPS
from services.render.scene import ENGINES, KINDS

_RENDER = ("render",)
_CLASS = (listed("service_class", CLASSES),)
_KIND = (listed("scene_kind", KINDS),)
DIFFUSE = "diffuse"
"""The one step that no recipe names: where a diffusion model paints instead of what it names."""
# Reasons of errors of engines (docs/api.md).
FAILURES = (
    "MALFORMED_PHOTO", "PHOTO_TOO_LARGE", "PHOTO_TOO_SMALL", "PICTURE_REFUSED", "DECODER_UNAVAILABLE", "LEASE_EXPIRED",
    "RENDER_CANCELLED", "RENDER_FAILED", "ENGINE_AWAY", "POOL_AWAY", "POOL_BUSY", "POOL_TOO_SLOW", "POOL_FAILED",
    "POOL_ANSWERED_NONSENSE", "UNKNOWN_SCENE", "UNKNOWN_CAPTION",
)  # fmt: skip

QUEUED = declare.Gauge(
    name="mayfly_render_queue_photos",
    help="Photos that wait for an engine slot.",
    unit="photos",
    services=_RENDER,
    labels=_CLASS,
)
WAITED = declare.Histogram(
    name="mayfly_render_queue_wait_seconds",
    help="From a photo's last byte to its engine slot.",
    unit="seconds",
    services=_RENDER,
    labels=_CLASS,
    buckets=SECONDS,
)
REFUSED = declare.Counter(
    name="mayfly_render_refused_total",
    help="Photos that were refused for want of a place or of time.",
    unit="photos",
    services=_RENDER,
    labels=(listed("reason", ("RENDER_QUEUE_FULL", "RENDER_TOO_LATE")),),
)
COLD_START = declare.Gauge(
    name="mayfly_render_cold_start_seconds",
    help="Loading and warming the engines, at the start.",
    unit="seconds",
    services=_RENDER,
)
SLOTS = declare.Gauge(
    name="mayfly_render_slots",
    help="Engine slots there are.",
    unit="slots",
    services=_RENDER,
)
USED = declare.Gauge(
    name="mayfly_render_slots_used",
    help="Engine slots in use.",
    unit="slots",
    services=_RENDER,
)
RENDER_SECONDS = declare.Histogram(
    name="mayfly_render_seconds",
    help="From slot to picture.",
    unit="seconds",
    services=_RENDER,
    labels=_KIND,
    buckets=FINE_SECONDS,
    traced=True,
)
STEP_SECONDS = declare.Histogram(
    name="mayfly_render_step_seconds",
    help="One step of a recipe.",
    unit="seconds",
    services=_RENDER,
    labels=(listed("step", (*STEPS, DIFFUSE)),),
    buckets=SECONDS,
)
FAILED = declare.Counter(
    name="mayfly_render_failed_total",
    help="Renders that failed.",
    unit="photos",
    services=_RENDER,
    labels=(listed("reason", FAILURES, other=True),),
)
FALLBACKS = declare.Counter(
    name="mayfly_render_fallbacks_total",
    help="Pictures that another engine took over, since the first choice was away.",
    unit="pictures",
    services=_RENDER,
    labels=(listed("engine", sorted(ENGINES)), listed("instead", sorted(ENGINES))),
    combined=len(ENGINES) * (len(ENGINES) - 1),
)
MARKED = declare.Counter(
    name="mayfly_render_marked_total",
    help="Pictures that were signed and say that they are generated or altered.",
    unit="pictures",
    services=_RENDER,
    labels=_KIND,
)
MARKING = declare.Gauge(
    name="mayfly_render_marking",
    help="1 if pictures say what they are; 0 if it was switched off.",
    unit="1 or 0",
    services=_RENDER,
)
CREDENTIALS_EXPIRE = declare.Gauge(
    name="mayfly_render_credentials_expire_timestamp_seconds",
    help="When the certificate that signs pictures ends; 0 where none is needed.",
    unit="seconds since 1970",
    services=_RENDER,
)
SCENES = declare.Gauge(
    name="mayfly_render_scenes",
    help="Scenes that are served.",
    unit="scenes",
    services=_RENDER,
)
SCENES_REFUSED = declare.Gauge(
    name="mayfly_render_scenes_refused",
    help="1 while the scenes in the folders are not those that are served, since something is wrong with them.",
    unit="1 or 0",
    services=_RENDER,
)


class RenderMetrics:
    """What is measured of the queue, the engines and the pictures."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queued = QUEUED.family(registry)
        self.waited = WAITED.family(registry)
        for each in CLASSES:  # here and below: from 0 on, so that the first photo is seen as a rise
            self.waited.labels(each)
        self.refused = REFUSED.family(registry)
        self.cold_start = COLD_START.on(registry)
        self.slots = SLOTS.on(registry)
        self.used = USED.on(registry)
        self.seconds = RENDER_SECONDS.family(registry)
        for each in KINDS:
            self.seconds.labels(each)
        self.step_seconds = STEP_SECONDS.family(registry)
        for each in (*STEPS, DIFFUSE):
            self.step_seconds.labels(each)
        self.failed = FAILED.family(registry)
        self.fallbacks = FALLBACKS.family(registry)
        self.marked = MARKED.family(registry)
        self.marking = MARKING.on(registry)
        self.marking.set(1)
        self.credentials_expire = CREDENTIALS_EXPIRE.on(registry)
        self.scenes = SCENES.on(registry)
        self.scenes_refused = SCENES_REFUSED.on(registry)
