"""How canaries are spread over the ways of ending, and what a report comes to."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.clock import SystemClock
from mesh.config import load
from mesh.errors import ConfigError, Invalid, MeshError, Unavailable
from services.purge.audit import ALWAYS_SEARCHED, Residue
from services.purge.auditor import run
from services.purge.auditor.canary import canary
from services.purge.auditor.config import AuditorSettings, pairs
from services.purge.auditor.endings import ENDINGS, Gone, UnexpectedEnd
from services.purge.auditor.hunt.words import as_bytes
from services.purge.auditor.metrics import AuditorMetrics
from services.purge.auditor.places.found import Hunted, Searched
from services.purge.auditor.run import Audit, Ended, Plan, Report, hunted_for


@given(st.integers(1, 300))
def test_canaries_are_spread_evenly_over_the_ways_of_ending(canaries: int) -> None:
    plan = Plan(ENDINGS, canaries, 8, 4, 1.0, ("a", "b"), "2026-11", ("jpeg", "png"))
    sequence = plan.sequence()
    counts = Counter(ending.name for ending, _, _ in sequence)
    assert len(sequence) == canaries
    assert max(counts.values()) - min([*counts.values(), *([0] if len(counts) < len(ENDINGS) else [])]) <= 1
    assert all(kind == (ending.kind or kind) for ending, kind, _ in sequence)


def test_in_time_each_way_of_ending_meets_each_kind_and_each_scene() -> None:
    kinds, scenes = ("jpeg", "png", "webp"), ("a", "b")
    met = {
        (ending.name, kind, scene)
        for first in range(6)
        for ending, kind, scene in Plan(
            ENDINGS, len(ENDINGS), 8, 4, 1.0, scenes, "2026-11", kinds, first=first
        ).sequence()
    }
    each = {
        (ending.name, kind, s)
        for ending in ENDINGS
        for kind in ([ending.kind] if ending.kind else kinds)
        for s in scenes
    }
    assert met == each


def _report(**fields: object) -> Report:
    """Of an audit that looked everywhere, but for ``fields``."""
    whole: dict[str, object] = {
        "planned": ("delivered",),
        "sent": Counter(delivered=2),
        "searched": Counter(dict.fromkeys(ALWAYS_SEARCHED, 64)),
        "memory": Counter(ingest=64),
        "control": 1.0,
        "reconciled": True,
    }
    return Report(**(whole | fields))  # type: ignore[arg-type]


def test_an_audit_is_clean_only_if_it_looked_everywhere_and_everything_adds_up() -> None:
    assert (_report().outcome, _report().undone) == ("clean", [])
    assert Report().outcome == "incomplete"
    for lacking in (
        {"reconciled": False},
        {"reconciled": None},
        {"failed": ["no process of ingest is there"]},
        {"control": 0.9899},
        {"planned": ("delivered", "expired")},
        {"memory": Counter(ingest=64, render=0)},
        *({"searched": Counter(dict.fromkeys(set(ALWAYS_SEARCHED) - {place}, 64))} for place in ("file", "redis")),
    ):
        report = _report(**lacking)
        assert (report.outcome, len(report.undone)) == ("incomplete", 1), lacking
        assert report.statement(0.0).outcome == "incomplete"
    found = Counter({("delivered", "ingest", "memory"): 32})
    assert _report(residue=found, failed=["something"]).outcome == "residue"


class _Broken:
    where = "redis"

    def search(self, _hunted: Hunted) -> list[Searched]:
        raise MemoryError


class _Whole:
    where = "file"

    def search(self, _hunted: Hunted) -> list[Searched]:
        return [Searched("file", 64)]


async def test_a_place_that_breaks_makes_the_audit_incomplete_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(ENDINGS, 1, 8, 4, 1.0, ("a",), "2026-11", ("jpeg",))
    nobody: Any = None
    places = [_Broken(), _Whole()]
    audit = Audit(plan, gateway=nobody, victim=nobody, places=places, parked=nobody, clock=SystemClock())
    await audit._hunt([])
    assert audit.report.failed == ["the search of redis broke off: MemoryError"]
    assert (audit.report.searched["file"], audit.report.outcome) == (64, "incomplete")

    monkeypatch.setattr(run, "hunted_for", _Broken().search)
    await audit._hunt([])
    assert audit.report.failed[-1].startswith("what was to be looked for could not be prepared")


AWAY = Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=1)


@pytest.mark.parametrize(
    ("refusal", "refusals", "made"),
    [
        (AWAY, 0, 2),
        (AWAY, 3, 2),
        (AWAY, 1000, 0),
        # What a mesh that is there does wrong is not tried until it goes well.
        (UnexpectedEnd("NO_RECEIPT"), 1, 0),
        (Invalid("EMPTY_PHOTO", "Empty.", field="photo"), 1, 0),
    ],
)
async def test_no_picture_is_sought_that_there_are_no_others_to_compare_with(
    refusal: Exception, refusals: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of purge: what all pictures have in common would be found in every process."""
    nobody: Any = None
    plan = Plan(ENDINGS, 1, 8, 4, 1.0, ("a", "b"), "2026-11", ("jpeg",))
    audit = Audit(plan, gateway=nobody, victim=nobody, places=[], parked=nobody, clock=SystemClock())
    monkeypatch.setattr(run, "_PICTURE_PAUSE", 0.0)
    ended = Ended(ENDINGS[0], canary.make("jpeg"), Gone("0" * 32, picture=b"a picture that can't be decoded " * 4))
    answers = iter([refusal] * refusals)

    async def go_through(*_: object) -> Ended:
        if (error := next(answers, None)) is not None:
            raise error
        return ended

    monkeypatch.setattr(audit, "_go_through", go_through)
    await audit._make_pictures()
    assert len(audit._pictures or ()) == made
    word = refusal.reason if isinstance(refusal, MeshError) else str(refusal)
    failed = [
        f"a canary (jpeg) did not end as delivered: {word}",
        "pictures were not looked for, for want of others to compare them with",
    ]
    assert audit.report.failed == ([] if made else failed)
    assert not audit.report.sent, "they are none of those that are counted"

    picture = as_bytes(ended.gone.picture)
    assert bool(hunted_for([ended], [] if made else None).index.search(picture)) == bool(made)
    assert hunted_for([ended], None).index.search(as_bytes(ended.canary.data)), "the photo is, whatever its picture"


def test_a_statement_sums_over_the_ways_of_ending() -> None:
    found = Counter(
        {("delivered", "ingest", "memory"): 32, ("expired", "ingest", "memory"): 8, ("any", "valkey", "redis"): 5}
    )
    report = _report(residue=found)
    statement = report.statement(1_767_225_600.0)
    assert report.statement(1_767_225_600.0).id != statement.id
    assert statement.residue == (Residue("ingest", "memory", 40), Residue("valkey", "redis", 5))


def test_metrics_forget_what_the_next_audit_does_not_find() -> None:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    metrics = AuditorMetrics(registry, ["ingest"])
    metrics.ran(_report(residue=Counter({("delivered", "machine", "file"): 99})), 1000.0)
    value = registry.get_sample_value
    residue = "mayfly_canary_residue_bytes"
    assert value(residue, {"service": "machine", "where": "file"}) == 99
    assert value(residue, {"service": "ingest", "where": "memory"}) == 0
    assert value("mayfly_canary_last_clean_timestamp_seconds") == 0
    metrics.ran(_report(), 2000.0)
    assert value(residue, {"service": "machine", "where": "file"}) is None
    assert value("mayfly_canary_last_clean_timestamp_seconds") == 2000.0
    assert value("mayfly_canary_runs_total", {"outcome": "residue"}) == 1
    metrics.looked({"ended_twice": frozenset("ab")})
    assert value("mayfly_reconciliation_differences", {"countings": "ended_twice"}) == 2
    assert value("mayfly_reconciliation_differences", {"countings": "metrics"}) == 0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MAYFLY_AUDITOR_KINDS", "jpeg,bmp", "no canary of the kind bmp"),
        ("MAYFLY_AUDITOR_PROCESSES", "ingest", "must be NAME=VALUE"),
        ("MAYFLY_AUDITOR_CANARIES", "0", "greater than or equal to 1"),
        ("MAYFLY_AUDITOR_NOT_SEARCHED", "memory", "memory must be searched; only log and redis may be out of reach"),
        ("MAYFLY_AUDITOR_NOT_SEARCHED", "log", "names log, and MAYFLY_AUDITOR_LOGS says where it is"),
        ("MAYFLY_AUDITOR_METRICS", "purge=purge:9100,ingest=mtls://ingest", "ingest=mtls://ingest has no port"),
        ("MAYFLY_AUDITOR_METRICS", "purge=purge:90000", "purge=purge:90000 has no port from 1 to 65535"),
        ("MAYFLY_AUDITOR_KIND", "jpeg", "no such setting"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    for needed in ("TLS_CERT", "TLS_KEY", "TLS_CA", "AUDITOR_TOKEN_FILE"):
        monkeypatch.setenv(f"MAYFLY_{needed}", str(tmp_path / "file"))
    for needed in ("OPS_LISTEN", "REGISTRY_TARGET", "AUDITOR_GATEWAY_TARGET"):
        monkeypatch.setenv(f"MAYFLY_{needed}", "127.0.0.1:1")
    monkeypatch.setenv("MAYFLY_AUDITOR_KEY_DIR", str(tmp_path))
    monkeypatch.setenv("MAYFLY_AUDITOR_LOGS", f"ingest={tmp_path}/log")
    monkeypatch.setenv("MAYFLY_AUDITOR_METRICS", "purge=[::1]:9100,ingest=mtls://ingest:9100")
    assert pairs(load(AuditorSettings, "auditor").auditor_processes)[0] == ("gateway", "services.gateway")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name}.*{says}"):
        load(AuditorSettings, "auditor")
