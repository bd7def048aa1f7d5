"""Each alert, and how what it is for is brought about in a running mesh and mended again.

A trouble is a context manager: before its ``yield`` it is caused, after it mended. Nothing here writes a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from tests.alerts.site import Site
from tests.alerts.troubles.audits import auditor_is_dead, ingest_keeps_photos
from tests.alerts.troubles.books import (
    checkpoint_is_in_the_way,
    disk_is_full,
    lease_is_forgotten,
    reaper_sleeps,
    witness_knows_another_history,
)
from tests.alerts.troubles.callers import apps_are_behind, code_goes_wrong, nobody_collects, photos_come_without_a_lease
from tests.alerts.troubles.processes import (
    engine_is_slow,
    ingest_is_dead,
    purge_is_dead,
    render_dies_with_photos,
    render_stands_still,
    render_wakes_late,
)
from tests.alerts.troubles.redis import redis_is_gone, settings_change_and_nobody_minds, somebody_else_writes
from tests.alerts.troubles.settings import (
    collector_is_away,
    render_is_set_up_for_development,
    scene_is_broken,
    strangers_at_the_pool,
)

Trouble = Callable[[Site], AbstractAsyncContextManager[None]]
TABLE: Mapping[str, Trouble] = {
    "MayflyConsentRefused": apps_are_behind,
    "MayflyUnleasedPhotos": photos_come_without_a_lease,
    "MayflyKeyWithoutTtl": somebody_else_writes,
    "MayflyKeyUnsound": somebody_else_writes,
    "MayflyRegistryUnsafe": settings_change_and_nobody_minds,
    "MayflyGrantedWhileUnsafe": settings_change_and_nobody_minds,
    "MayflyScrubDisagreement": code_goes_wrong,
    "MayflyDecoderForbidden": code_goes_wrong,
    "MayflyLogFieldWithheld": code_goes_wrong,
    "MayflyMetricValueWithheld": code_goes_wrong,
    "MayflyTraceFieldWithheld": code_goes_wrong,
    "MayflyScenesRefused": scene_is_broken,
    "MayflyRevocationUnconfirmed": render_stands_still,
    "MayflyCustodyOverdue": render_stands_still,
    "MayflyLeaseIrrevocable": render_stands_still,
    "MayflyDeletionLagBurn": render_stands_still,
    "MayflyMemoryUnswept": render_wakes_late,
    "MayflyLatencyBurn": engine_is_slow,
    "MayflyCustodyLost": render_dies_with_photos,
    "MayflyServiceDown": ingest_is_dead,
    "MayflyRpcFailures": ingest_is_dead,
    "MayflyAvailabilityBurn": ingest_is_dead,
    "MayflyCustodyStreamDown": purge_is_dead,
    "MayflyReceiptsUnlogged": disk_is_full,
    "MayflyLogLagging": checkpoint_is_in_the_way,
    "MayflyWitnessRefused": witness_knows_another_history,
    "MayflyLeaseOverdue": reaper_sleeps,
    "MayflyLockdownIncomplete": render_is_set_up_for_development,
    "MayflyOpsPortOpen": render_is_set_up_for_development,
    "MayflyPicturesUnmarked": render_is_set_up_for_development,
    "MayflyPoolImpostor": strangers_at_the_pool,
    "MayflyCredentialsExpiring": strangers_at_the_pool,
    "MayflyTracesLost": collector_is_away,
    "MayflyConservationBroken": lease_is_forgotten,
    "MayflyGrantWithoutEnd": lease_is_forgotten,
    "MayflyCountsDisagree": lease_is_forgotten,
    "MayflyAuditSilent": auditor_is_dead,
    "MayflyCanaryResidue": ingest_keeps_photos,
    "MayflyResidencyBurn": nobody_collects,
    "MayflyRegistryDown": redis_is_gone,
}
"""Alert → how it is caused and mended. In this order: what ends every lease comes last."""
AUDITED = (lease_is_forgotten, auditor_is_dead, ingest_keeps_photos)
"""Those that take an auditor."""


def alerts_of(trouble: Trouble) -> set[str]:
    """What a trouble is to set off."""
    return {alert for alert, cause in TABLE.items() if cause is trouble}
