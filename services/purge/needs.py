"""What purge may do once it is locked, beyond what every service may: keep its log, and reach its Redis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.lockdown.needs import Needs
from services.purge.address import DEFAULT_PORT, Kind
from services.purge.signing import LOG_AGENT_FILE, LOG_FILE, RECEIPTS_AGENT_FILE, RECEIPTS_FILE
from services.purge.witnessing import read_witnesses

if TYPE_CHECKING:
    from services.purge.config import PurgeSettings


def beyond(base: Needs, settings: PurgeSettings) -> Needs:
    """Raises ConfigError for an address or a file that is wrong."""
    return _files(_network(base, settings), settings)


def _network(base: Needs, settings: PurgeSettings) -> Needs:
    target = settings.redis().target()
    needs = base.connecting(f"{host.host}:{host.port}" for host in target.hosts)
    if target.kind is not Kind.SINGLE:
        # Where the servers are is said by Sentinel, or by the cluster, and may change at any time.
        needs = needs.connecting(f"{target.hosts[0].host}:{port}" for port in (DEFAULT_PORT, *settings.redis_ports))
    needs = needs.fetching(witness.url for witness in read_witnesses(settings.purge_witnesses))
    needs = needs.fetching(shard.url for shard in settings.shards())
    needs = needs.fetching(filter(None, [settings.purge_prometheus_url]))
    return replace(needs, unix_sockets=bool(target.socket) or settings.purge_key_agent is not None)


def _files(needs: Needs, settings: PurgeSettings) -> Needs:
    # Folders, where files are replaced under a running purge: keys (SIGHUP), and what TLS to Redis reads anew for each
    # connection.
    tls = (settings.redis_tls_ca, settings.redis_tls_cert, settings.redis_tls_key)
    needs = needs.reading(
        settings.purge_key_dir,
        settings.redis_password_file,
        settings.redis_sentinel_password_file,
        settings.purge_witnesses,
        settings.purge_shards_file,
        *(path.parent for path in tls if path is not None),
    ).writing(settings.purge_log_dir)
    return needs.writing(settings.purge_key_dir) if _makes_keys(settings) else needs


def _makes_keys(settings: PurgeSettings) -> bool:
    """A process that has found its keys can't replace them."""
    pairs = ((RECEIPTS_FILE, RECEIPTS_AGENT_FILE), (LOG_FILE, LOG_AGENT_FILE))
    return settings.purge_key_create and not all(_is_there(settings.purge_key_dir, pair) for pair in pairs)


def _is_there(folder: Path, names: tuple[str, str]) -> bool:
    return any((folder / name).exists() for name in names)
