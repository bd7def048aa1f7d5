"""Whether dashboards and alerts do what they are for: each panel, each rule, and one real fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from clients.observe import panels
from clients.observe.alerts import alerts, firing
from clients.observe.prometheus import get
from clients.observe.stack import HASTY, Stack
from clients.observe.workload import Workload
from clients.sdk.client import MayflyClient

CAUSED = "MayflyKeyWithoutTtl"
"""The alert that is caused: by a key that would stay in Redis."""
CANARIES = 1
"""Few enough pictures that none of the alerts which wait for five failures is about how busy this machine is."""
_ENGINES = {"MAYFLY_RENDER_ENGINE": "null,onnx", "MAYFLY_RENDER_SCENE_ENGINES": "bright_day=onnx"}
OVERRIDES = {**HASTY, "render": {**HASTY["render"], **_ENGINES}}
"""For the mesh of a check: networks paint the light scene and canaries; other scenes' pictures are a colour, so that a
check takes a minute."""
_KEY = "quota:observe:check"
_AUDITED_SECONDS = 90.0  # on a busy machine
_FILLED_SECONDS = 60.0
_FIRES_SECONDS = 20.0
_POLL = 0.5


@dataclass(slots=True)
class Report:
    """faults: one line each; none when all is well. seconds: of the whole check, without the start."""

    panels: int = 0
    panels_ok: int = 0
    alerts: int = 0
    alerts_ok: int = 0
    caused: str = CAUSED
    fired: bool = False
    cleared: bool = False
    photos: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults

    def to_value(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": self.ok, **asdict(self), "seconds": round(self.seconds, 1)}

    def line(self) -> str:
        """For people: the figures."""
        caused = f"{self.caused} {'fired and cleared' if self.cleared else 'fired' if self.fired else 'did not fire'}"
        return (
            f"{self.panels_ok}/{self.panels} panels · {self.alerts_ok}/{self.alerts} alerts · {caused} · "
            f"{sum(self.photos.values())} photos · {self.seconds:.0f} s"
        )


async def check(stack: Stack, data: bytes, tell: Callable[[str], None] = lambda _: None) -> Report:
    """Sends photos through the mesh and looks at everything. data: a photo. tell: what is being done.

    What is wrong is in the report. Raises mesh/errors.py's family when the mesh can't even say its scenes, OSError when
    Prometheus or Alertmanager is away.
    """
    began, report = time.monotonic(), Report()
    # What is counted before it is first looked at is no rise, and a panel of rises would stay empty.
    tell("waiting until every process is looked at")
    if not await _until(lambda: _all_are_seen(stack.prometheus.url), _FIRES_SECONDS):
        report.faults.append("Prometheus does not reach every process")
    tell("waiting for the first audit")
    # The next one begins minutes later: what it fills would stay empty, and what it does would be among the photos'.
    if stack.auditor is not None:
        await _until(lambda: bool(_audits(stack.prometheus.url)), _AUDITED_SECONDS)
        if (ended := _audits(stack.prometheus.url)) != {"clean"}:
            report.faults.append(f"the first audit was {' and '.join(sorted(ended)) or 'not over in time'}")
    tell("sending photos")
    async with MayflyClient(stack.mesh.gateway_address, stack.mesh.ca_file, stack.mesh.token()) as client:
        workload = Workload(client, await client.scenes(), data)
        await workload.round()
    report.photos = dict(workload.ended)
    report.faults += [f"{count} photos: {reason}" for reason, count in workload.failed.items()]
    tell("looking at every panel")
    await _look_at_panels(stack, report)
    tell("looking at every alert")
    await _look_at_alerts(stack, report)
    tell(f"causing {CAUSED}")
    await _cause(stack, report)
    report.seconds = time.monotonic() - began
    return report


def _all_are_seen(url: str) -> bool:
    found = get(url, "/api/v1/targets", state="active")["activeTargets"]
    return bool(found) and all(target["health"] == "up" for target in found)


def _audits(url: str) -> set[str]:
    """How audits have ended, as Prometheus has seen it."""
    found = get(url, "/api/v1/query", query="mayfly_canary_runs_total > 0")["result"]
    return {each["metric"]["outcome"] for each in found}


async def _look_at_panels(stack: Stack, report: Report) -> None:
    """Until each has shown something, and then all of them once more: they are to show it together."""
    every = list(panels.panels())
    waiting = list(every)

    def look() -> bool:
        """Only at those that were empty so far."""
        waiting[:] = [panel for panel in waiting if panels.faults(panel, stack.prometheus.url)]
        return not waiting

    await _until(look, _FILLED_SECONDS)
    found = [await asyncio.to_thread(panels.faults, panel, stack.prometheus.url) for panel in every]
    report.panels, report.panels_ok = len(every), sum(not faults for faults in found)
    report.faults += [fault for faults in found for fault in faults]


async def _look_at_alerts(stack: Stack, report: Report) -> None:
    """What waits to be sure may still think better of it: the workload is over."""
    await _until(lambda: not any(each.fault for each in alerts(stack.prometheus.url)), _FIRES_SECONDS)
    every = alerts(stack.prometheus.url)
    wrong = [each.fault for each in every if each.fault]
    report.alerts, report.alerts_ok = len(every), len(every) - len(wrong)
    report.faults += wrong


async def _cause(stack: Stack, report: Report) -> None:
    if not stack.mesh.has_own_valkey:
        report.faults.append(f"{CAUSED} was not caused: this mesh has no Valkey of its own")
        return
    with _key_that_stays(stack.mesh.valkey_client_url):
        report.fired = await _until(lambda: CAUSED in stack.alertmanager.active(), _FIRES_SECONDS)
    if not report.fired:
        report.faults.append(f"{CAUSED} did not get to Alertmanager")
        return
    gone = await _until(lambda: not stack.alertmanager.active() and not firing(stack.prometheus.url), _FIRES_SECONDS)
    report.cleared = gone
    if not gone:
        still = {*stack.alertmanager.active(), *firing(stack.prometheus.url)}
        report.faults.append(f"still firing after its cause has gone: {', '.join(sorted(still))}")


@contextmanager
def _key_that_stays(url: str) -> Iterator[None]:
    from redis import Redis  # noqa: PLC0415 - comes with the extra `demo`

    with Redis.from_url(url, protocol=2) as valkey:
        valkey.set(_KEY, "1")
        try:
            yield
        finally:
            valkey.delete(_KEY)


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """The condition's value: True as soon as it is, or what it is after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True
