"""A real Alertmanager with the deployed configuration: who is told of what, how it is gathered, what nobody is told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.testing.wait import eventually
from tests.deploy.alertmanager import AlertmanagerServer, Pager
from tests.deploy.test_alerts import ALERTS


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as pager:
        yield pager


@pytest.fixture
def manager(tmp_path: Path, pager: Pager) -> Iterator[AlertmanagerServer]:
    with AlertmanagerServer(tmp_path, pager) as server:
        yield server


def post(manager: AlertmanagerServer, *names: str, over: bool = False) -> None:
    """As Prometheus does; with the labels of our rules."""
    ends = datetime.now(UTC) + timedelta(seconds=0 if over else 60)
    alerts = [
        {"labels": {"alertname": name, **ALERTS[name]["labels"], "job": "ingest"}, "endsAt": ends.isoformat()}
        for name in names
    ]
    request = urllib.request.Request(
        f"http://{manager.address}/api/v2/alerts",
        data=json.dumps(alerts).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def messages(pager: Pager, receiver: str) -> list[dict[str, Any]]:
    return [message for to, message in pager.messages if to == receiver]


async def test_pages_and_tickets_by_rule_and_no_consequence_of_a_cause(
    manager: AlertmanagerServer, pager: Pager
) -> None:
    post(manager, "MayflyServiceDown")
    await eventually(lambda: pager.told("pager", "MayflyServiceDown", "firing"), within=20, every=0.1)
    post(
        manager,
        *("MayflyRpcFailures", "MayflyRevocationUnconfirmed", "MayflyCustodyLost", "MayflyCustodyOverdue"),
        *("MayflyCustodyStreamDown", "MayflyMemoryUnswept"),
    )
    await eventually(lambda: pager.told("tickets", "MayflyCustodyLost", "firing"), within=20, every=0.1)
    await eventually(lambda: pager.told("pager", "MayflyCustodyOverdue", "firing"), within=20, every=0.1)
    await eventually(lambda: pager.told("pager", "MayflyMemoryUnswept", "firing"), within=20, every=0.1)
    # Alerts of one rule are one message; the tickets' have none of them.
    (r4,) = [message for message in messages(pager, "pager") if message["groupLabels"] == {"rule": "R4"}]
    assert {alert["labels"]["alertname"] for alert in r4["alerts"]} == {
        "MayflyCustodyOverdue",
        "MayflyCustodyStreamDown",
        "MayflyRevocationUnconfirmed",
    }
    assert len(messages(pager, "tickets")) == 1
    assert manager.inhibited("MayflyRpcFailures")
    for name in ("MayflyRevocationUnconfirmed", "MayflyCustodyStreamDown", "MayflyMemoryUnswept"):
        assert not manager.inhibited(name)

    post(manager, "MayflyServiceDown", over=True)
    await eventually(lambda: pager.told("pager", "MayflyServiceDown", "resolved"), within=20, every=0.1)
    # What followed from the cause stands on its own now.
    await eventually(lambda: pager.told("pager", "MayflyRpcFailures", "firing"), within=20, every=0.1)


async def test_the_token_that_is_shown_is_the_file_s(manager: AlertmanagerServer, pager: Pager, tmp_path: Path) -> None:
    post(manager, "MayflyKeyWithoutTtl")
    await eventually(lambda: pager.told("pager", "MayflyKeyWithoutTtl", "firing"), within=20, every=0.1)
    (tmp_path / "token").write_text("another")
    post(manager, "MayflyPoolImpostor")
    await eventually(lambda: pager.refused > 0, within=20, every=0.1)
    assert not pager.told("pager", "MayflyPoolImpostor", "firing")
