"""A real Prometheus scrapes ops ports by mutual TLS, as the deployed configuration tells it; another caller can't."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from clients.local.pki import TRUST_DOMAIN, Pki
from clients.observe.program import Program
from mesh.health import Health
from mesh.metrics import MeshMetrics
from mesh.ops import OpsServer
from mesh.ops_tls import MutualTls
from mesh.testing.ports import Reserved
from mesh.testing.wait import eventually
from tests.deploy.panels import get
from tests.deploy.programs import DEPLOY, program, read_yaml


async def test_prometheus_is_let_in_by_its_certificate(tmp_path: Path) -> None:
    program("prometheus", "Debian: prometheus")
    pki = Pki(tmp_path / "pki")
    pki.ensure()
    servers = {name: _server(pki, name) for name in ("gateway", "ingest")}
    for server in servers.values():
        await server.start()
    targets = {name: server.address for name, server in servers.items()}
    shown = {"gateway": "prometheus", "ingest": "render"}
    (tmp_path / "prometheus.yml").write_text(json.dumps(_configuration(pki, targets, shown)))  # JSON is YAML
    reserved = Reserved()
    with closing(reserved), _Prometheus("prometheus", tmp_path, reserved.number) as prometheus:
        await eventually(lambda: _targets(prometheus.url).get("gateway") == ("up", ""), within=60, every=0.2)
        # A scrape that was late says something else, and the next one this.
        refused = ("down", "server returned HTTP status 403 Forbidden")
        await eventually(lambda: _targets(prometheus.url).get("ingest") == refused, within=60, every=0.2)
    for server in servers.values():
        await server.stop()


class _Prometheus(Program):
    """With the configuration that lies in its folder."""

    def command(self) -> Sequence[str]:
        return [
            program("prometheus", "Debian: prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address={self.address}",
        ]


def _server(pki: Pki, service: str) -> OpsServer:
    tls = MutualTls(pki.certificate(service), pki.key(service), pki.ca, TRUST_DOMAIN)
    return OpsServer("127.0.0.1:0", MeshMetrics(service, "test").registry, Health(), tls)


def _configuration(pki: Pki, targets: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, Any]:
    """The deployed one, with files and targets of this test. shown: job → whose certificate is shown."""
    config: dict[str, Any] = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": []}
    for scrape in read_yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]:
        if (job := scrape["job_name"]) in targets:
            mine = {"cert_file": str(pki.certificate(shown[job])), "key_file": str(pki.key(shown[job]))}
            scrape["tls_config"] |= {"ca_file": str(pki.ca)} | mine
            config["scrape_configs"].append(scrape | {"static_configs": [{"targets": [targets[job]]}]})
    return config


def _targets(url: str) -> dict[str, tuple[str, str]]:
    """job → its health and what its last scrape failed of; none before Prometheus answers."""
    try:
        found = get(url, "/api/v1/targets", state="active")["activeTargets"]
    except OSError:
        return {}
    return {each["labels"]["job"]: (each["health"], each["lastError"]) for each in found}
