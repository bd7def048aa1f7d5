"""All that is done to a registry's Redis."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos import failovers, losses
from tests.chaos.certificates import certificates_changed
from tests.chaos.trouble import Make

ALL: Sequence[Make] = (
    failovers.primary_killed,
    failovers.primary_cut_off,
    failovers.primary_asleep,
    failovers.shard_killed,
    failovers.shard_asleep,
    failovers.shard_flushed,
    losses.flushed,
    losses.memory_full_of_others,
    losses.memory_full_of_pictures,
    certificates_changed,
)
