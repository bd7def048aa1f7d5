"""Builds purge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mesh.app import App
from mesh.assembly import Assembly
from mesh.forgetting import rinse
from mesh.lockdown.locking import Lockdown
from mesh.ops_ports import OpsPorts
from mesh.transparency.note import Verifier
from services.purge import audit_servicer, operator_servicer
from services.purge.audits import Audits
from services.purge.config import PurgeSettings
from services.purge.core import Core, Farewell
from services.purge.evidence.app import PREFIX, EvidenceApp
from services.purge.evidence.audits import LastAudit
from services.purge.evidence.checkpoints import Heads
from services.purge.evidence.live import Live
from services.purge.evidence.lookup import Lookup
from services.purge.evidence.own import Own
from services.purge.evidence.prometheus import Prometheus
from services.purge.evidence.view import View
from services.purge.evidence.watch import Watch
from services.purge.key_ring import KeyRing, read_list
from services.purge.log import Log
from services.purge.metrics import PurgeMetrics
from services.purge.public_files import LogFiles, PublicKeys
from services.purge.servicer import CUSTODY, REGISTRY, add_to
from services.purge.shards import Shards, ended_in_shard
from services.purge.witnessing import Witnessing, read_witnesses

_REGISTRY_METHODS = (
    "GrantLease", "SettleLease", "RevokeLease", "RevokeOwner", "Park", "Claim", "ReturnClaim", "GetReceipt",
)  # fmt: skip
ALLOWED = {
    **{f"/{REGISTRY}/{method}": frozenset({"gateway"}) for method in _REGISTRY_METHODS},
    rinse.METHOD: frozenset({"gateway"}),
    f"/{CUSTODY}/Attend": frozenset({"gateway", "ingest", "render"}),
    **operator_servicer.ALLOWED,
    **audit_servicer.ALLOWED,
}


def build(settings: PurgeSettings, lockdown: Lockdown) -> App:
    """Purge, ready to run. ConfigError if its environment, its keys or its log are wrong."""
    parts = Assembly("purge", settings, lockdown)
    origin = settings.purge_log_origin
    witnesses = read_witnesses(settings.purge_witnesses)
    keys = KeyRing(
        settings.purge_key_dir,
        read_list(settings.purge_log_dir, origin),
        clock=parts.clock,
        create=settings.purge_key_create,
        agent=settings.purge_key_agent,
        witnesses=[witness.verifier.vkey for witness in witnesses],
    )
    redis = settings.redis()
    log = Log.open(
        settings.purge_log_dir,
        origin=origin,
        signer=keys.keys.log,
        retired=keys.retired,
        clock=parts.clock,
        interval=settings.purge_log_interval,
    )
    keys.keep(log)
    metrics = PurgeMetrics(parts.metrics.registry)
    core = Core(
        redis=redis,
        log=log,
        key=keys.keys.receipts,
        terms=settings.terms(),
        parked_limit=settings.purge_parked_limit,
        clock=parts.clock,
        metrics=metrics,
        name=settings.instance,
        address=settings.listen,
        shards=Shards(settings.shards(), partial(ended_in_shard, ports=OpsPorts(settings.mutual_tls())), parts.clock),
    )
    parts.health.checks["registry"] = lambda: core.attestation.safe
    parts.health.pages["registry"] = core.attestation.page
    parts.ops.mount("/log/", LogFiles("/log/", log.public_directory))
    public_keys = PublicKeys("/keys/", keys.list)
    keys.serve(core.ledger, public_keys.show)
    parts.ops.mount("/keys/", public_keys)
    server = parts.inside_server(ALLOWED)
    add_to(server.grpc, core, settings.trust_domain)
    rinse.add_to(server.grpc, core.link.rinse)
    operator_servicer.add_to(server.grpc, core.operator)
    audit_servicer.add_to(server.grpc, Audits(log, parts.clock))
    if settings.reflection:
        server.serve_reflection((REGISTRY, CUSTODY, operator_servicer.OPERATOR, audit_servicer.AUDIT))
    app = parts.app(core, server=server)
    witnessing = Witnessing(log, witnesses, parts.clock)
    metrics.witnesses(witnessing.results, lambda: log.cosigned_size)
    app.add(Farewell(core), keys, witnessing, _evidence(parts, settings, core, [w.verifier for w in witnesses]))
    return app


def _evidence(parts: Assembly, settings: PurgeSettings, core: Core, witnesses: Sequence[Verifier]) -> Watch:
    """The page at /evidence, and what looks for it."""
    audits, heads = LastAudit(core.ledger), Heads(core.ledger.log, witnesses)
    prometheus = Prometheus(settings.purge_prometheus_url) if settings.purge_prometheus_url else None
    watch = Watch(Own(core, audits, parts.controls, parts.clock), parts.clock, prometheus)
    view = View(core, watch, heads, audits)
    app = EvidenceApp(
        view,
        Live(view, watch),
        Lookup(core.ledger),
        replica=settings.instance,
        origin=settings.purge_log_origin,
        others=[shard.origin for shard in settings.shards()],
    )
    parts.ops.mount(PREFIX, app)
    return watch
