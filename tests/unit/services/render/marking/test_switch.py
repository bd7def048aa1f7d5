"""Marking is on unless it is switched off by name, and nothing but the null engine does without a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from mesh.config import load
from mesh.errors import ConfigError
from services.render.catalogue import Catalogue
from services.render.config import RenderSettings
from services.render.marking.marked import Marked
from tests.unit.services.render.deployments import deployed
from tests.unit.services.render.marking.marks import signer_files

CATALOGUE = Catalogue.load()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    file = tmp_path / "file"
    file.touch()
    for name in ("TLS_CERT", "TLS_KEY", "TLS_CA"):
        monkeypatch.setenv(f"MAYFLY_{name}", str(file))
    for name in ("LISTEN", "OPS_LISTEN", "REGISTRY_TARGET"):
        monkeypatch.setenv(f"MAYFLY_{name}", "127.0.0.1:1")
    return monkeypatch


def _built() -> tuple[dict[str, bool], CollectorRegistry]:
    """engine -> whether its pictures are marked."""
    registry = CollectorRegistry()
    choice = deployed(load(RenderSettings, "render"), registry).engine()
    return {engine.name: isinstance(engine, Marked) for engine in choice._engines}, registry


def test_with_a_certificate_all_but_the_null_engine_mark(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chain, key = signer_files(tmp_path)
    told.setenv("MAYFLY_RENDER_C2PA_CERT", str(chain))
    told.setenv("MAYFLY_RENDER_C2PA_KEY", str(key))
    told.setenv("MAYFLY_RENDER_ENGINE", "onnx,null")
    marked, registry = _built()
    assert marked == {"onnx": True, "null": False}
    assert registry.get_sample_value("mayfly_render_marking") == 1
    assert (registry.get_sample_value("mayfly_render_credentials_expire_timestamp_seconds") or 0) > 1.7e9


def test_without_a_certificate_it_does_not_start(told: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_CERT: is not set"):
        _built()


def test_the_null_engine_alone_needs_none(told: pytest.MonkeyPatch) -> None:
    told.setenv("MAYFLY_RENDER_ENGINE", "null")
    marked, registry = _built()
    assert marked == {"null": False}
    assert registry.get_sample_value("mayfly_render_credentials_expire_timestamp_seconds") == 0


def test_switching_it_off_shouts(told: pytest.MonkeyPatch) -> None:
    told.setenv("MAYFLY_RENDER_MARKING", "off")
    with capture_logs() as lines:
        marked, registry = _built()
    assert marked == {"onnx": False}
    assert [(line["event"], line["log_level"]) for line in lines] == [("marking_off", "critical")]
    assert registry.get_sample_value("mayfly_render_marking") == 0


@pytest.mark.parametrize("value", ["", "no", "false", "Off"])
def test_it_is_not_switched_off_by_other_words(told: pytest.MonkeyPatch, value: str) -> None:
    told.setenv("MAYFLY_RENDER_MARKING", value)
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_MARKING: "):
        load(RenderSettings, "render")


def test_the_lockdown_lets_it_read_both_files(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chain, key = signer_files(tmp_path)
    told.setenv("MAYFLY_RENDER_C2PA_CERT", str(chain))
    told.setenv("MAYFLY_RENDER_C2PA_KEY", str(key))
    assert {chain, key} <= load(RenderSettings, "render").needs().reads
