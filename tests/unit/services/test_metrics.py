"""The list of all metrics: named as Prometheus has it, bounded, in step with the code that it takes its values from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from mesh.instruments.declare import SERVICES, Metric
from mesh.metrics import CODES
from services.gateway.metrics import COSTS, REFUSALS
from services.gateway.scenes import _COSTS
from services.ingest.refusals import Reason
from services.ingest.verify.disagreement import REASON
from services.metrics import BY_NAME, CATALOGUE, MOST_SAMPLES
from services.render import scene
from services.render.engines.diffusers import plan
from services.render.metrics import DIFFUSE, FAILURES
from tools import metrics as page

ROOT = Path(__file__).resolve().parents[3]
MOST = 5000
"""Lines of one process's /metrics. A Prometheus takes a hundred times as many in its stride."""
_UNITS = {"_seconds": "seconds", "_bytes": "bytes", "_ratio": "share of 1"}


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_its_name_says_what_it_is(metric: Metric) -> None:
    assert re.fullmatch(r"(mayfly|grpc_server|process|python)(_[a-z0-9]+)+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    for suffix, unit in _UNITS.items():
        if metric.name.removesuffix("_total").endswith(suffix):
            assert metric.unit.startswith(unit)
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")
    assert metric.help and "\n" not in metric.help and "|" not in metric.help
    assert set(metric.services) <= set(SERVICES) and metric.services


def test_each_name_is_declared_once() -> None:
    assert len(BY_NAME) == len(CATALOGUE)


def test_what_any_process_can_show_is_bounded() -> None:
    assert all(label.bound for metric in CATALOGUE for label in metric.labels)
    assert {service: most for service, most in MOST_SAMPLES.items() if most > MOST} == {}


def test_values_are_those_of_the_code() -> None:
    assert set(CODES) == {code.name for code in grpc.StatusCode}
    assert DIFFUSE == plan.DIFFUSE
    assert set(COSTS) == set(scene.COSTS) == set(_COSTS)


ELSEWHERE = {
    # before there is a lease
    "START_MISSING", "REQUEST_ID", "NONCE_COMMITMENT_SIZE", "FIELD_TOO_LONG", "UNKNOWN_FIELD", "TOKEN_MISSING",
    "TOKEN_INVALID", "TOKEN_EXPIRED", "OWNER_BUSY", "GATEWAY_FULL", "SHUTTING_DOWN",
    # once the picture is where it must be
    "DELIVERY_UNCONFIRMED", "RECEIPT_PENDING",
    # of a collection
    "CLAIMANT_SIZE", "RECEIVED_MESSAGES",
}  # fmt: skip
"""Reasons that the gateway and purge's parking give, and that don't end a photo between its lease and its picture."""


def test_reasons_are_those_that_the_code_gives() -> None:
    """What is listed can come; what services and custody can say to a photo on its way is listed."""
    given = set(_reasons("mesh", "services"))
    assert set(REFUSALS) - given - set(Reason) - {REASON, "PEER_UNAVAILABLE", "CANCELLED"} == set()
    assert set(FAILURES) - given - set(Reason) == set()
    of_a_photo = set(_reasons("services/ingest", "services/render", "mesh/custody", "mesh/attestation.py"))
    assert (of_a_photo | set(Reason) | {REASON}) - set(REFUSALS) == set()
    of_a_journey = set(_reasons("services/gateway", "services/purge/parked.py", "services/purge/refusal.py"))
    assert of_a_journey - set(REFUSALS) == ELSEWHERE


def test_the_page_is_what_the_code_says() -> None:
    assert page.PAGE.read_text("utf-8") == page.page(), "run `make metrics`"


def test_another_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "metrics.md")
    assert page.main(["--check"]) == 1
    assert page.main([]) == 0
    assert page.main(["--check"]) == 0
    page.PAGE.write_text(page.PAGE.read_text("utf-8").replace("residency", "presence"), "utf-8")
    assert page.main(["--check"]) == 1


def _reasons(*places: str) -> Iterator[str]:
    """First arguments of calls that are UPPER_SNAKE words: what errors are made with."""
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    name, value = getattr(node.func, "id", getattr(node.func, "attr", "")), node.args[0].value
                    is_error = name[:1].isupper() or name in ("_refuse", "__init__")
                    if is_error and isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z_]+", value):
                        yield value
