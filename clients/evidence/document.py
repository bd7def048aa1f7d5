"""A report as a document: the same headings, tables and plots, whether they end up in HTML or in PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clients.evidence.report import Report
from mesh.rules import BY_ID

_WIDE = 40  # rows of a table after which the document says how many more the JSON has


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """large: the sentence that the report begins with."""

    text: str
    large: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """widths: shares of the page, which add up to 1. Columns whose name begins with "#" hold numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[float]


@dataclass(frozen=True, slots=True)
class Plot:
    """name: one of ``plots.DRAWN``."""

    name: str
    caption: str


Block = Heading | Text | Code | Table | Plot


def blocks(report: Report, beside: str, keyid: str) -> Iterator[Block]:
    """beside: the name of the signed JSON file. keyid: whose signature it has."""
    value, figures = report.value, report.figures
    yield Text(value["sentence"], large=True)
    yield Text(_balance(figures["conservation"]))
    yield Text(
        f"This document is a picture of {beside}, which is signed (DSSE, Ed25519, key id {keyid}) and lies beside it. "
        f"SHA-256 of the signed report: {report.digest}. What counts is that file; to work every figure out again from "
        f"the logs:"
    )
    yield Code(f"mayfly evidence --check {beside} URL/log/ … --trust keys.json --key evidence.pub.pem")
    yield from _conservation(figures)
    yield from _residency(figures["residency"])
    yield from _days(figures)
    yield from _audits(figures["audits"])
    yield from _controls(figures)
    if value["prometheus"] is not None:
        yield from _metrics(value)
    yield from _logs(value)
    yield from _definitions(value)


def _balance(flow: dict[str, Any]) -> str:
    left, right = f"{_n(flow['carried_in'])} + {_n(flow['admitted'])}", f"{_n(flow['ended'])} + {_n(flow['open'])}"
    if flow["balanced"]:
        return f"Conservation holds: there before + admitted = ended + there after: {left} = {right}."
    sides = f"there before + admitted ({left}), ended + there after ({right})"
    return f"CONSERVATION DOES NOT HOLD: {sides}; see the problems below."


def _conservation(figures: dict[str, Any]) -> Iterator[Block]:
    flow, whole = figures["conservation"], figures["whole_log"]
    yield Heading("Photos, recounted from the log")
    rows = [
        ("there when the period began", _n(flow["carried_in"]), ""),
        ("admitted", _n(flow["admitted"]), _n(whole["granted"])),
        ("settled: delivered", _n(flow["settled"]), _n(whole["settled"])),
        ("revoked: taken back, on request or after a failure", _n(flow["revoked"]), _n(whole["revoked"])),
        ("expired: out of time", _n(flow["expired"]), _n(whole["expired"])),
        ("there at its end", _n(flow["open"]), _n(whole["open"])),
    ]
    yield Table(("photos", "#in the period", "#in the whole log"), rows, (0.6, 0.2, 0.2))
    if whole["problems"]:
        yield Text("Problems of the log:")
        yield Table(("problem",), [(problem,) for problem in whole["problems"][:_WIDE]], (1.0,))
    if figures["reasons"]:
        yield Table(
            ("why they ended", "#photos"),
            [(r.replace("_", " "), _n(n)) for r, n in figures["reasons"].items()],
            (0.8, 0.2),
        )


def _residency(lives: dict[str, Any]) -> Iterator[Block]:
    yield Heading("How long photos lived")
    if not lives["counted"]:
        yield Text("No photo ended in the period, or of none it is known how long it lived.")
        return
    rows = [
        ("half of them at most", _s(lives["median_ms"])),
        ("99 % at most", _s(lives["p99_ms"])),
        ("99.9 % at most", _s(lives["p999_ms"])),
        ("the longest", _longest(lives)),
        ("unknown, since a crash has lost it", _n(lives["unknown"])),
    ]
    yield Table(("from admission to receipt", "#"), rows, (0.6, 0.4))
    yield Plot("residency", "Photos by the seconds that they lived: at most so many; the last bar, longer than all.")


def _days(figures: dict[str, Any]) -> Iterator[Block]:
    yield Heading("Day by day")
    yield Plot("days", "Photos by the day (UTC) on which they ended, and how.")
    rows = [
        (day["day"], *(_n(day[name]) for name in ("admitted", "settled", "revoked", "expired")))
        for day in figures["days"]
        if any(day[name] for name in ("admitted", "settled", "revoked", "expired"))
    ]
    if rows:
        yield Table(("day", "#admitted", "#settled", "#revoked", "#expired"), rows, (0.28, 0.18, 0.18, 0.18, 0.18))


def _audits(audits: dict[str, Any]) -> Iterator[Block]:
    yield Heading("Audits")
    statements, gaps = audits["statements"], audits["gaps"]
    checked = "were checked" if audits["signatures_checked"] else "were not checked: the auditor’s key was not given"
    if statements:
        yield Text(f"{len(statements)} statements in the period; their signatures {checked}.")
    else:
        yield Text("No audit statement lies in the period.")
    rows: list[tuple[str, ...]] = [
        (
            each["time"], each["outcome"], _n(each["bytes_found"]), _bytes(each["bytes_searched"]),
            _n(each["canaries"]),
            f"{each['control_permille'] / 10:.1f} %", ", ".join(each["not_searched"]) or "nothing",
        )
        for each in statements[-_WIDE:]
    ]  # fmt: skip
    if rows:
        columns = ("time", "outcome", "#bytes found", "#searched", "#photos", "#control", "out of reach")
        yield Table(columns, rows, (0.25, 0.14, 0.13, 0.13, 0.1, 0.1, 0.15))
    if len(statements) > _WIDE:
        yield Text(f"These are the last {_WIDE}; the JSON has all.")
    if gaps:
        yield Text(f"Longer than {audits['gap_seconds']} s without an audit:")
        rows = [(gap["from"], gap["to"], f"{gap['seconds'] / 3600:.1f} h") for gap in gaps[-_WIDE:]]
        yield Table(("from", "to", "#how long"), rows, (0.4, 0.4, 0.2))
    elif statements:
        yield Text(f"Never longer than {audits['gap_seconds']} s without one.")


def _controls(figures: dict[str, Any]) -> Iterator[Block]:
    yield Heading("Who held the photos, and under which controls")
    rows: list[tuple[str, ...]] = [
        (holder, ", ".join(f"{state} {_n(n)}" for state, n in states.items()))
        for holder, states in figures["custody"].items()
    ]
    if not rows:
        yield Text("No receipt of the period names a holder.")
        return
    yield Table(("service", "how its holds ended"), rows, (0.2, 0.8))
    rows = []
    for holder, seen in figures["lockdown"].items():
        always = [name for name, n in seen["controls"].items() if n == seen["receipts"]]
        partly = [
            f"{name} ({_n(n)} of {_n(seen['receipts'])})"
            for name, n in seen["controls"].items()
            if n != seen["receipts"]
        ]
        rows.append((holder, ", ".join(always) or "none", ", ".join(partly) or "none"))
    yield Table(("service", "controls in force, in all receipts", "in some receipts only"), rows, (0.14, 0.6, 0.26))
    processors = [(name, _n(n)) for name, n in figures["processors"].items()]
    yield Table(("processor", "#photos"), processors or [("none is named", "0")], (0.8, 0.2))
    yield Table(
        ("policy version that was consented to", "#photos"),
        [(v, _n(n)) for v, n in figures["policy_versions"].items()],
        (0.8, 0.2),
    )


def _metrics(value: dict[str, Any]) -> Iterator[Block]:
    asked = value["prometheus"]
    yield Heading("What Prometheus says")
    yield Text(
        f"Of {asked['url']}, as of {asked['at']}. Metrics are the mesh’s own word: unlike the log, nobody can "
        "recount them."
    )
    rows = []
    for definition in value["definitions"]:
        if (query := definition["query"]) in asked["answers"]:
            rows.append((definition["figure"], _answer(asked["answers"][query])))
    yield Table(("figure", "answer"), rows, (0.5, 0.5))


def _logs(value: dict[str, Any]) -> Iterator[Block]:
    yield Heading("What this rests on")
    yield Text(
        "Each log below was read from its first entry to the signed head that stands here. Every entry was hashed "
        "again, and the tree’s root is the one that was signed."
    )
    for log in value["logs"]:
        yield Code(log["checkpoint"].rstrip("\n"))


def _definitions(value: dict[str, Any]) -> Iterator[Block]:
    yield Heading("What each figure means, and how to work it out again")
    for definition in value["definitions"]:
        way = definition["log"] if definition["log"].startswith("Not") else f"From the log: {definition['log']}"
        asked = "From Prometheus:" if definition["query"] else "No metric says it."
        yield Text(f"{definition['figure']}: {definition['meaning']} {way} {asked}")
        if definition["query"]:
            yield Code(definition["query"])


def _longest(lives: dict[str, Any]) -> str:
    of = f" of {lives['longest_lease_seconds']} s" if lives["longest_lease_seconds"] is not None else ""
    return f"{_s(lives['longest_ms'])}{of} ({lives['longest_outcome']})"


def _answer(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"refused: {answer['error']}"
    series = [
        (", ".join(_label(name, label) for name, label in each["labels"].items()), _shorter(each["value"]))
        for each in answer["series"]
    ]
    return "; ".join(f"{labels}: {number}" if labels else number for labels, number in series) or "no data"


def _label(name: str, label: str) -> str:
    """A rule is said by its name, too."""
    rule = BY_ID.get(label) if name == "rule" else None
    return f"{name}={label}" if rule is None else f"{rule.id} {rule.name}"


def _shorter(number: str) -> str:
    try:
        return f"{float(number):,.6g}"
    except ValueError:
        return number


def _n(number: int) -> str:
    return f"{number:,}"


def _s(milliseconds: int) -> str:
    return f"{milliseconds / 1000:,.3f} s"


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
