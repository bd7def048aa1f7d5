"""A real Prometheus scrapes ops ports by mutual TLS, as the deployed configuration tells it; another caller can't."""

from __future__ import annotations

import json
from pathlib import Path

from clients.local.pki import TRUST_DOMAIN, Pki
from mesh.health import Health
from mesh.metrics import MeshMetrics
from mesh.ops import OpsServer
from mesh.ops_tls import MutualTls
from mesh.testing.wait import eventually
from tests.deploy.panels import get
from tests.deploy.programs import DEPLOY, read_yaml
from tests.deploy.prometheus import PrometheusServer


async def test_prometheus_is_let_in_by_its_certificate(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.ensure()
    servers = {name: _server(pki, name) for name in ("gateway", "ingest")}
    for server in servers.values():
        await server.start()
    prometheus = PrometheusServer(tmp_path, {name: server.address for name, server in servers.items()})
    _by_mutual_tls(tmp_path / "prometheus.yml", pki, {"gateway": "prometheus", "ingest": "render"})
    with prometheus:
        seen = await eventually(lambda: len(found := _up(prometheus.url)) == 2 and found, within=20, every=0.2)
        assert seen == {"gateway": 1, "ingest": 0}, "metrics are not for another service"
    for server in servers.values():
        await server.stop()


def _server(pki: Pki, service: str) -> OpsServer:
    tls = MutualTls(pki.certificate(service), pki.key(service), pki.ca, TRUST_DOMAIN)
    return OpsServer("127.0.0.1:0", MeshMetrics(service, "test").registry, Health(), tls)


def _by_mutual_tls(file: Path, pki: Pki, shown: dict[str, str]) -> None:
    """Puts the deployed way of scraping back in. shown: job → whose certificate is shown."""
    deployed = {each["job_name"]: each for each in read_yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]}
    config = json.loads(file.read_text())
    for scrape in config["scrape_configs"]:
        whose = shown[scrape["job_name"]]
        scrape["scheme"] = deployed[scrape["job_name"]]["scheme"]
        scrape["tls_config"] = deployed[scrape["job_name"]]["tls_config"] | {
            "ca_file": str(pki.ca),
            "cert_file": str(pki.certificate(whose)),
            "key_file": str(pki.key(whose)),
        }
    file.write_text(json.dumps(config))


def _up(url: str) -> dict[str, float]:
    """job → up."""
    return {each["metric"]["job"]: float(each["value"][1]) for each in get(url, "/api/v1/query", query="up")["result"]}
