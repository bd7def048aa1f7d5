"""Every metric there is, in one list: what /metrics of any process may say, and nothing else (rule R7).

docs/metrics.md is made of it; a test walks /metrics of every service of a real mesh and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mesh import metrics as every
from mesh.instruments import given
from mesh.instruments.declare import SERVICES, Metric, declared_in
from mesh.isolation import metrics as isolation
from services.gateway import metrics as gateway
from services.ingest import metrics as ingest
from services.purge import metrics as purge
from services.purge.auditor import metrics as auditor
from services.render import metrics as render
from services.render.engines.triton import metrics as triton

GROUPS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        "Every process": declared_in(every),
        "The gateway": declared_in(gateway),
        "Ingest": declared_in(ingest),
        "Decoders, in ingest and render": declared_in(isolation),
        "Render": declared_in(render),
        "Inference pools, in render": declared_in(triton),
        "Purge": declared_in(purge),
        "The auditor": declared_in(auditor),
        "Processes and Python": declared_in(given),
    }
)
"""By whose they are, in the order in which people read of them."""
CATALOGUE: tuple[Metric, ...] = tuple(metric for group in GROUPS.values() for metric in group)
BY_NAME: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in CATALOGUE})


def most_samples(service: str) -> int:
    """How many lines /metrics of one process of ``service`` can have, comments apart, whatever happens."""
    return sum(metric.samples for metric in CATALOGUE if service in metric.services)


MOST_SAMPLES: Mapping[str, int] = MappingProxyType({service: most_samples(service) for service in SERVICES})
