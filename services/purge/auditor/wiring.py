"""Builds the auditor."""

from __future__ import annotations

from collections.abc import Mapping

from mesh.app import App
from mesh.assembly import ops_server
from mesh.build import VERSION
from mesh.clock import SystemClock
from mesh.health import Health
from mesh.identity import Identity
from mesh.lockdown.locking import Lockdown
from mesh.metrics import MeshMetrics
from services.purge.auditor import keys, locking
from services.purge.auditor.auditor import Auditor, Schedule
from services.purge.auditor.config import AuditorSettings, pairs
from services.purge.auditor.keys import PublicKey
from services.purge.auditor.metrics import AuditorMetrics
from services.purge.auditor.peers import Purge
from services.purge.auditor.places.found import MACHINE

SERVICE = "auditor"


def build(settings: AuditorSettings, _lockdown: Lockdown) -> App:
    """The auditor, ready to run. ConfigError if its environment or its key is wrong.

    It is no holder of photos: it has no custody and serves no gRPC. But it may read what others lock away, so whatever
    is in their memory at that moment passes through its own.
    """
    metrics = MeshMetrics(SERVICE, VERSION)
    services = [service for service, _ in pairs(settings.auditor_processes)]
    own = AuditorMetrics(metrics.registry, [*dict.fromkeys(services), MACHINE])
    own.interval.set(settings.auditor_interval)
    key = keys.load(settings.auditor_key_dir)
    ops = ops_server(settings, metrics, Health())
    ops.mount(keys.PATH, PublicKey(key.public_key()))
    app = App(lambda: {"ops_address": ops.address})
    auditor, controls = assemble(settings)
    for control, held in controls.items():
        metrics.lockdown.labels(SERVICE, control).set(held)
    schedule = Schedule(
        auditor,
        interval=settings.auditor_interval,
        look_interval=settings.auditor_look_interval,
        clock=SystemClock(),
        ran=own.ran,
        looked=own.looked,
    )
    app.add(ops, schedule)
    return app


def assemble(settings: AuditorSettings) -> tuple[Auditor, Mapping[str, bool]]:
    """The auditor without its schedule, and this process's controls: it is locked from now on (``locking``).

    Must be called with an event loop running. ConfigError as ``build``, and if a control is missing.
    """
    identity = Identity.load(
        cert=settings.tls_cert,
        key=settings.tls_key,
        ca=settings.tls_ca,
        trust_domain=settings.trust_domain,
        service=SERVICE,
    )
    purge = Purge(settings.registry_target, identity)
    auditor = Auditor(settings, key=keys.load(settings.auditor_key_dir), purge=purge, clock=SystemClock())
    return auditor, locking.lock(settings.lockdown)
