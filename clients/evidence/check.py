"""Whether a report says what the logs say: everything in it is worked out again, up to the heads that it rests on.

What its figures are said to mean, and what Prometheus is said to have been asked, must be this program's words: a true
number under another definition says something else.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clients.audit import Trust
from clients.evidence import prometheus
from clients.evidence.definitions import DEFINITIONS
from clients.evidence.figures import sentence
from clients.evidence.period import format_moment, read_moment
from clients.evidence.report import Progress, Report, asked_about, count
from mesh.transparency.errors import VerificationError
from mesh.transparency.tiles import Reader

_CLOSE = 1e-6  # relative: Prometheus adds floats in no fixed order


@dataclass(frozen=True, slots=True)
class Checked:
    """differences: sentences; none for an honest report. asked: whether Prometheus was asked again, too."""

    differences: tuple[str, ...]
    asked: bool


def check(
    report: Report,
    readers: Sequence[Reader],
    trust: Trust,
    *,
    prometheus_url: str = "",
    progress: Progress = lambda done, total: None,
) -> Checked:
    """Raises VerificationError when a log is not what it was, or what the report needs is not in it; as ``count``."""
    try:
        heads, gap = report.heads, int(report.figures["audits"]["gap_seconds"])
        made, logs = read_moment(report.value["made"]), sorted(report.value["logs"], key=lambda log: str(log["origin"]))
        asked = _asked(report)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationError("report", "The report lacks what it takes to count again.") from error
    figures, audit = count(readers, trust, report.period, now=made, audit_gap=gap, until=heads, progress=progress)
    read, listed = {shard.checkpoint.origin for shard in audit.shards}, {log["origin"] for log in logs}
    if read != listed:
        raise VerificationError("report", f"The report rests on other logs: {', '.join(sorted(listed ^ read))}.")
    if len(logs) != len(listed):
        raise VerificationError("report", "The report lists a log more than once.")
    differences = list(differing("", report.value["figures"], figures))
    for shard, log in zip(sorted(audit.shards, key=lambda s: s.checkpoint.origin), logs, strict=True):
        head = {"size": shard.checkpoint.size, "root": base64.b64encode(shard.checkpoint.root).decode()}
        differences += differing(f"logs.{log['origin']}", {name: log.get(name) for name in head}, head)
    if report.value["sentence"] != (said := sentence(figures, report.period)):  # type: ignore[arg-type]
        differences.append(f"sentence: counted again it is “{said}”")
    differences += _defined(report)
    if asked is not None:
        differences += _questions(report, asked, made)
    again = bool(prometheus_url and asked is not None)
    if asked is not None and again:
        differences += _asked_again(report, asked, prometheus_url)
    return Checked(tuple(differences), again)


def _asked(report: Report) -> dict[str, Any] | None:
    """What the report says of Prometheus. Raises KeyError, TypeError, ValueError where it can't be that."""
    asked = report.value["prometheus"]
    if asked is None:
        return None
    read_moment(asked["at"])
    for answer in asked["answers"].values():
        _values(answer)
    if asked.keys() != {"url", "at", "answers"}:
        raise ValueError("more or less than was asked")
    return dict(asked)


def _defined(report: Report) -> Iterator[str]:
    """Where the report defines its figures otherwise than this program does."""
    said, ours = report.value["definitions"], [each.to_value(report.period) for each in DEFINITIONS]
    if not isinstance(said, list) or [_figure(each) for each in said] != [each["figure"] for each in ours]:
        yield "definitions: the report defines other figures than this program, or in another order"
        return
    for one, other in zip(said, ours, strict=True):
        yield from differing(f"definitions.{other['figure']}", one, other, "this program")


def _figure(definition: object) -> object:
    return definition.get("figure") if isinstance(definition, dict) else None


def _questions(report: Report, asked: dict[str, Any], made: int) -> Iterator[str]:
    """Where Prometheus was asked something else than this program asks, or about another moment."""
    ours = {each.over(report.period) for each in DEFINITIONS if each.query}
    yield from (f"prometheus: the report leaves out {query}" for query in sorted(ours - asked["answers"].keys()))
    yield from (f"prometheus: this program does not ask {query}" for query in sorted(asked["answers"].keys() - ours))
    yield from differing("prometheus.at", asked["at"], format_moment(asked_about(report.period, made)), "this program")


def differing(where: str, said: Any, found: Any, by: str = "the log") -> Iterator[str]:
    """Each place where two JSON values differ: the report's, and the one that was found ``by`` somebody else."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted(said.keys() | found.keys()):
            yield from differing(f"{where}.{key}".lstrip("."), said.get(key), found.get(key), by)
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for number, (one, other) in enumerate(zip(said, found, strict=True)):
            yield from differing(f"{where}[{number}]", one, other, by)
    elif type(said) is not type(found) or said != found:
        yield f"{where}: the report says {said!r}, {by} {found!r}"


def _asked_again(report: Report, asked: dict[str, Any], url: str) -> Iterator[str]:
    found = prometheus.ask(url, report.period, read_moment(asked["at"]))
    for query, answer in found.items():
        before, now = _values(asked["answers"].get(query, {})), _values(answer)
        if before.keys() != now.keys() or any(not _close(before[key], now[key]) for key in now):
            yield f"prometheus: {query}: the report says {before}, Prometheus {now}"


def _values(answer: dict[str, Any]) -> dict[str, str]:
    if "error" in answer:
        return {"error": str(answer["error"])}
    series = answer.get("series", [])
    return {", ".join(f"{k}={v}" for k, v in each["labels"].items()): str(each["value"]) for each in series}


def _close(one: str, other: str) -> bool:
    try:
        return one == other or math.isclose(float(one), float(other), rel_tol=_CLOSE)
    except ValueError:
        return False
