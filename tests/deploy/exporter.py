"""The true metrics of all processes on true ops ports, without the processes; at peace until a test disturbs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh import log
from mesh.clock import SystemClock
from mesh.custody.book import CustodyBook
from mesh.health import Health
from mesh.instruments import withheld
from mesh.instruments.declare import HOLDERS
from mesh.instruments.family import Family
from mesh.instruments.label import Label
from mesh.isolation.metrics import IsolationMetrics
from mesh.metrics import MeshMetrics
from mesh.ops import OpsServer
from mesh.transparency.note import Signer
from services.gateway.metrics import GatewayMetrics
from services.ingest.metrics import IngestMetrics
from services.purge.address import RedisAddress
from services.purge.audit import ALWAYS_SEARCHED
from services.purge.auditor.metrics import AuditorMetrics
from services.purge.auditor.run import Report
from services.purge.core import Core
from services.purge.grants import Terms
from services.purge.log import Log
from services.purge.metrics import PurgeMetrics
from services.purge.witnessing import Witnessing
from services.render.engines.triton.metrics import PoolMetrics
from services.render.metrics import RenderMetrics
from tests.deploy.settings import AUDITOR, SERVICES

_ORIGIN = "mayfly.local/log"
_VALUES = {
    "grpc_service": "mayfly.gateway.v1.PhotoService",
    "grpc_method": "Render",
    "grpc_code": "OK",
    "outcome": "settled",
    "reason": "delivered",
    "control": "no_core_dumps",
    "registry": "purge:9000",
    "where": "memory",
    "ending": "delivered",
    "countings": "metrics",
}


class Mesh:
    """metrics: by service. core: purge's, never started; what its gauges read can be set. render: its own metrics."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        log.withheld = withheld.count = 0  # one count a process: other tests have withheld before
        self.metrics = {service: MeshMetrics(service, "0.0.0") for service in (*SERVICES, AUDITOR)}
        for service, metrics in self.metrics.items():
            _touch(metrics, service)
            if service in HOLDERS:
                CustodyBook(service, clock, metrics)
                metrics.custody_stream_up.labels(service, _VALUES["registry"]).set(1)
            metrics.lockdown.labels(service, _VALUES["control"]).set(1)
        purge = PurgeMetrics(self.metrics["purge"].registry)
        self.render = RenderMetrics(self.metrics["render"].registry)
        for own in (
            GatewayMetrics(self.metrics["gateway"].registry),
            IngestMetrics(self.metrics["ingest"].registry),
            self.render,
            PoolMetrics(self.metrics["render"].registry),
            IsolationMetrics(self.metrics["ingest"].registry, "ingest"),
            IsolationMetrics(self.metrics["render"].registry, "render"),
            purge,
        ):
            _touch(own, "")
        self.log = Log.open(
            folder, origin=_ORIGIN, signer=Signer(_ORIGIN, Ed25519PrivateKey.generate()), clock=clock, interval=0.5
        )
        self.core = Core(
            redis=RedisAddress("unix:///nowhere?db=0"),
            log=self.log,
            key=Ed25519PrivateKey.generate(),
            terms=Terms(usual=120, ceiling=300, daily_quota=1000),
            parked_limit=1 << 20,
            clock=clock,
            metrics=purge,
        )
        purge.witnesses(Witnessing(self.log, [], clock).results, lambda: self.log.cosigned_size)
        self.auditor = AuditorMetrics(self.metrics[AUDITOR].registry, SERVICES)
        self.auditor.interval.set(900)
        searched = Counter(dict.fromkeys(ALWAYS_SEARCHED, 1))
        memory = Counter(dict.fromkeys(SERVICES, 1))
        searched["memory"] = memory.total()
        clean = Report(sent=Counter(delivered=1), searched=searched, memory=memory, control=1.0, reconciled=True)
        self.auditor.ran(clean, clock.wall())
        self.auditor.looked({})
        self.core.link.up = True
        self.core.attestation.violations = {}


@asynccontextmanager
async def exporting(mesh: Mesh) -> AsyncIterator[Mapping[str, str]]:
    """Serves them; gives service -> HOST:PORT."""
    ports = {service: OpsServer("127.0.0.1:0", own.registry, Health()) for service, own in mesh.metrics.items()}
    for port in ports.values():
        await port.start()
    try:
        yield {service: port.address for service, port in ports.items()}
    finally:
        for port in ports.values():
            await port.stop()
        await mesh.log.close()


def _touch(metrics: object, service: str) -> None:
    """Gives every metric with labels one child, so that it is exported before anything has happened."""
    for family in vars(metrics).values():
        if not isinstance(family, Family):
            continue
        values = [_value(label, service) for label in family.label_set]
        if "" in values:
            continue  # another service's
        for label, value in zip(family.label_set, values, strict=True):
            if label.source:
                family.admit(**{label.name: (value,)})
        family.labels(*values)


def _value(label: Label, service: str) -> str:
    """One of those that it may have; none for a service that hasn't got the metric."""
    if label.name == "service" and not label.source:
        return service if service in label.values else ""
    wanted = _VALUES.get(label.name, "some")
    return wanted if wanted in label.values or label.source else label.values[0]
