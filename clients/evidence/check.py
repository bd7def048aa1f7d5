"""Whether a report says what the logs say: everything in it is worked out again, up to the heads that it rests on."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clients.audit import Trust
from clients.evidence import prometheus
from clients.evidence.figures import sentence
from clients.evidence.period import read_moment
from clients.evidence.report import Progress, Report, count
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
        made, listed = read_moment(report.value["made"]), {log["origin"] for log in report.value["logs"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationError("report", "The report lacks what it takes to count again.") from error
    figures, audit = count(readers, trust, report.period, now=made, audit_gap=gap, until=heads, progress=progress)
    read = {shard.checkpoint.origin for shard in audit.shards}
    if read != listed:
        raise VerificationError("report", f"The report rests on other logs: {', '.join(sorted(listed ^ read))}.")
    differences = list(differing("", report.value["figures"], figures))
    for shard, log in zip(sorted(audit.shards, key=lambda s: s.checkpoint.origin), _by_origin(report), strict=True):
        head = {"size": shard.checkpoint.size, "root": base64.b64encode(shard.checkpoint.root).decode()}
        differences += differing(f"logs.{log['origin']}", {name: log[name] for name in head}, head)
    if report.value["sentence"] != (said := sentence(figures, report.period)):  # type: ignore[arg-type]
        differences.append(f"sentence: counted again it is “{said}”")
    again = bool(prometheus_url and report.value["prometheus"])
    if again:
        differences += _asked_again(report, prometheus_url)
    return Checked(tuple(differences), again)


def differing(where: str, said: Any, found: Any) -> Iterator[str]:
    """Each place where two JSON values differ."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted(said.keys() | found.keys()):
            yield from differing(f"{where}.{key}".lstrip("."), said.get(key), found.get(key))
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for number, (one, other) in enumerate(zip(said, found, strict=True)):
            yield from differing(f"{where}[{number}]", one, other)
    elif type(said) is not type(found) or said != found:
        yield f"{where}: the report says {said!r}, the log {found!r}"


def _by_origin(report: Report) -> list[dict[str, Any]]:
    return sorted(report.value["logs"], key=lambda log: str(log["origin"]))


def _asked_again(report: Report, url: str) -> Iterator[str]:
    asked = report.value["prometheus"]
    said, found = asked["answers"], prometheus.ask(url, report.period, read_moment(asked["at"]))
    for query, answer in found.items():
        before, now = _values(said.get(query, {})), _values(answer)
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
