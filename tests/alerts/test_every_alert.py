"""Every alert fires when what it is for happens in a running mesh, seen by a real Prometheus, and clears afterwards.

The rules are those that are deployed; only their times are shorter (tests/deploy/prometheus.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from clients.local import auditing
from tests.alerts.site import Site, Watch, auditing_of, prometheus_of, running
from tests.alerts.troubles.asking import FAILURES, TOO_LONG
from tests.alerts.troubles.callers import nobody_collects
from tests.alerts.troubles.table import AUDITED, TABLE, Trouble, alerts_of
from tests.deploy.programs import DEPLOY, program, read_yaml
from tests.deploy.prometheus import shrunk

TROUBLES = [trouble for trouble in dict.fromkeys(TABLE.values()) if trouble not in AUDITED]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program("prometheus", "Debian: prometheus")  # before anything is started in vain
    with running(tmp_path_factory.mktemp("alerts")) as up:
        yield up


@pytest.fixture(scope="module")
def watch(site: Site) -> Iterator[Watch]:
    with prometheus_of(site) as server, Watch(server) as looking:
        # What takes two minutes begins now.
        asyncio.run(site.park(FAILURES, TOO_LONG))
        site.long_parked = True
        yield looking


@pytest.fixture(scope="module")
def audited(site: Site) -> Iterator[Watch]:
    """Of another Prometheus, which looks at an auditor too."""
    with auditing_of(site) as auditor, prometheus_of(site, auditor, name="audited") as server, Watch(server) as looking:
        site.auditor = auditor
        yield looking
        site.auditor = None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_it_fires(site: Site, watch: Watch, trouble: Trouble) -> None:
    await fires(site, watch, trouble)


@pytest.mark.timeout(240)
async def test_all_of_them_clear_once_all_is_mended(watch: Watch) -> None:
    """Not one by one: while one clears the next one can be caused."""
    await watch.clears(set(TABLE))


@pytest.mark.timeout(240)
@pytest.mark.skipif(not auditing.may_read_others(), reason="takes CAP_SYS_PTRACE")
@pytest.mark.parametrize("trouble", AUDITED, ids=lambda trouble: trouble.__name__)
async def test_what_an_auditor_sees_fires(site: Site, audited: Watch, trouble: Trouble) -> None:
    await fires(site, audited, trouble)


@pytest.mark.timeout(240)
@pytest.mark.skipif(not auditing.may_read_others(), reason="takes CAP_SYS_PTRACE")
async def test_what_an_auditor_sees_clears_as_well(audited: Watch) -> None:
    await audited.clears(set(TABLE))


async def fires(site: Site, watch: Watch, trouble: Trouble) -> None:
    """None of a trouble's alerts fires before it is caused, then each of them does; it is mended in the end."""
    alerts, site.watch = alerts_of(trouble), watch
    await site.serves()
    await watch.clears(alerts)
    watch.forget()
    async with trouble(site):
        await watch.fires(alerts, ever=trouble is nobody_collects)


def test_the_table_has_every_alert() -> None:
    groups = read_yaml(DEPLOY / "prometheus/rules.yml")["groups"]
    assert set(TABLE) == {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize(
    ("deployed", "here"),
    [("15s", "1500ms"), ("1m", "2000ms"), ("5m", "2500ms"), ("1h", "30000ms"), ("6h", "180000ms")],
)
def test_times_shrink_but_keep_some_looks(deployed: str, here: str) -> None:
    assert shrunk(deployed, 0.5, 5.0) == here
