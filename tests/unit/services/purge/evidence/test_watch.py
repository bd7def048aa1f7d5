"""Who looks goes on, and the page says so, whatever answers where Prometheus should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh.rules import RULES
from mesh.testing.wait import eventually
from services.purge.evidence import sections
from services.purge.evidence.own import Finding, State
from services.purge.evidence.prometheus import Prometheus
from services.purge.evidence.watch import EVERY, Watch
from tests.unit.services.purge.evidence.test_prometheus import RULE, Server, server
from tests.unit.serving import FakeClock

__all__ = ["server"]

ANSWERED = "and by the alerts of Prometheus"
AWAY = "Prometheus does not answer now, or not as Prometheus does"
DEEP = b"[" * 200_000
GOOD = {"data": {"groups": [{"rules": [RULE]}], "result": []}}


def answering(alert: dict[str, object] | None = None, **rule: object) -> dict[str, object]:
    """A Prometheus's answer, with one thing of a rule, or of its alert, that is none of its."""
    alerts = [{**RULE["alerts"][0], **alert}] if alert else RULE["alerts"]
    return {"data": {"groups": [{"rules": [{**RULE, "alerts": alerts, **rule}]}], "result": []}}


def queried(result: object) -> dict[str, object]:
    return {"data": {"groups": [], "result": result}}


GARBAGE = [
    b"\xff\xfe\x00", b"{", b"3", b'"data"', DEEP, b'{"data": ' + DEEP, {"data": []}, {"data": {"groups": {}}},
    {"data": {"groups": [[]]}}, answering(labels=[]), answering(labels="R3"), answering(labels={"rule": 3}),
    answering(alerts={}), answering(name=None), answering(name="\ud800"), answering(query=None),
    answering({"activeAt": 5}), answering({"activeAt": "-292277022399-01-01T00:00:00Z"}), answering({"state": "odd"}),
    answering({"state": []}), answering({"activeAt": "0001-01-01T00:00:00Z"}), queried({}), queried([[]]),
    *[queried([{"metric": {"rule": "R3"}, "value": [1, value]}])
      for value in ("NaN", "+Inf", "1e300", "-5", "soon", None, [], "9" * 5000)],
]  # fmt: skip


class Whole:
    """Purge itself finds every rule kept."""

    def look(self) -> dict[str, Finding]:
        return {rule.id: Finding(State.KEPT, "seen") for rule in RULES}


class Watching:
    """A watch at a server, and a clock that is turned on by hand."""

    def __init__(self, server: Server) -> None:
        self.clock, self.asked = FakeClock(), 0
        prometheus = Prometheus(f"http://127.0.0.1:{server.http.server_port}")
        self.watch = Watch(Whole(), self.clock, prometheus)  # type: ignore[arg-type]
        whole = prometheus.ask

        def ask() -> object:
            try:
                return whole()
            finally:
                self.asked += 1

        prometheus.ask = ask  # type: ignore[method-assign,assignment]

    async def says(self, text: str) -> str:
        """The page's rules, once they say that, and Prometheus has been asked again."""
        asked = self.asked

        def found() -> str:
            self.clock.advance(EVERY)
            said = sections.rules(self.watch.look)
            return said if text in said and self.asked > asked else ""

        return await eventually(found, within=20, every=0.02)


@pytest.fixture
async def watching(server: Server) -> Iterator[Watching]:
    server.body = GOOD
    made = Watching(server)
    await made.watch.start()
    yield made
    await made.watch.stop()


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: repr(garbage)[:60])
async def test_garbage_is_no_answer_and_the_next_one_that_makes_sense_is(
    server: Server, watching: Watching, garbage: object
) -> None:
    await watching.says(ANSWERED)
    server.body = garbage
    said = await watching.says(AWAY)
    assert "MayflyRegistryUnsafe" not in said and watching.watch.look.verdicts[2].state is State.KEPT
    server.body = GOOD
    assert "Alert: MayflyRegistryUnsafe since" in await watching.says(ANSWERED)


async def test_an_error_that_nobody_thought_of_is_no_end_of_asking(watching: Watching) -> None:
    await watching.says(ANSWERED)
    prometheus = watching.watch._prometheus
    assert prometheus is not None
    whole = prometheus.ask

    def fails() -> object:
        watching.asked += 1
        raise ZeroDivisionError

    prometheus.ask = fails  # type: ignore[method-assign,assignment]
    await watching.says(AWAY)
    prometheus.ask = whole  # type: ignore[method-assign]
    await watching.says(ANSWERED)
