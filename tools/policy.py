"""docs/policy-matrix.md, made of docs/policy-matrix.toml: ``python -m tools.policy`` writes it, ``--check`` compares.

Both refuse a cell that is empty, or that names what isn't there: a rule, a piece of code, a test, a metric, an alert;
and a row whose alert is about another rule, or doesn't read its metric.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mesh.rules import BY_ID, RULES
from services.metrics import BY_NAME

ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs/policy-matrix.toml"
PAGE = ROOT / "docs/policy-matrix.md"
ALERTS = ROOT / "deploy/prometheus/rules.yml"
RUNBOOKS = "runbooks"
_PROMISE = ("id", "says", "limits", "keeps")
_KEEPS = ("rules", "how", "code", "test", "metric", "alert")
SERVICE = "service"
"""Instead of a rule: of alerts, and so of rows, that are about none of the nine."""
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED = re.compile(r'"[^"]*"')
_WHOLE = "*"  # of a file, instead of a name in it
_HEAD = """# The policy matrix

What the privacy policy promises, and for each promise: the rules that it rests on, the code that enforces them, a test
that fails without that code, the metric that shows it and the alert that fires when it is broken ("service": what
they are about is none of the nine). This page is made of [policy-matrix.toml](policy-matrix.toml) (`make policy`);
`make lint` fails where a cell is empty or names what isn't there, and where an alert is about another rule or doesn't
read the metric beside it.
"""


def read(path: Path = DATA) -> list[dict[str, Any]]:
    """The promises. tomllib.TOMLDecodeError if the file is none."""
    promises: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8")).get("promise", [])
    return promises


def faults(promises: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each cell that is empty, unknown, or names what isn't there; none when the matrix is whole."""
    if not promises:
        yield "there are no promises"
    for number, promise in enumerate(promises, 1):
        name = str(promise.get("id") or f"promise {number}")
        yield from (f"{name}: {fault}" for fault in _shape(promise, _PROMISE))
        for at, keeps in enumerate(promise.get("keeps") or (), 1):
            yield from (
                f"{name}, {at}: {fault}" for fault in (*_shape(keeps, _KEEPS), *_dangling(keeps), *_unfit(keeps))
            )
    unused = set(BY_ID) - {
        rule for promise in promises for keeps in promise.get("keeps") or () for rule in _rules(keeps)
    }
    yield from (f"no promise rests on {rule}" for rule in sorted(unused))


def page(promises: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    lines = [_HEAD, "| rule | |", "| --- | --- |"]
    lines += [*(f"| {rule.id} {rule.name} | {rule.says} |" for rule in RULES), ""]
    for promise in promises:
        lines += [f"## {promise['says']}", "", str(promise["limits"]), ""]
        lines += ["| how it is kept | rules | code | test | metric | alert |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [_row(keeps) for keeps in promise["keeps"]]
        lines.append("")
    return "\n".join(lines)


def _row(keeps: Mapping[str, Any]) -> str:
    cells = (
        keeps["how"],
        ", ".join(keeps["rules"]),
        _link(keeps["code"]),
        _link(keeps["test"]),
        f"[`{keeps['metric']}`](metrics.md)",
        f"[{keeps['alert']}]({RUNBOOKS}/{keeps['alert']}.md)",
    )
    return "| " + " | ".join(cells) + " |"


def _link(place: str) -> str:
    path, _, name = place.partition("::")
    return f"[`{path if name == _WHOLE else name}`](../{path})"


def _shape(table: Mapping[str, Any], fields: Sequence[str]) -> Iterator[str]:
    yield from (f"`{field}` is empty" for field in fields if not table.get(field))
    yield from (f"`{field}` is unknown" for field in table if field not in fields)


def _rules(keeps: Mapping[str, Any]) -> Sequence[str]:
    rules = keeps.get("rules")
    return rules if isinstance(rules, list) else ()


def _dangling(keeps: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"there is no rule {rule}" for rule in _rules(keeps) if rule not in (*BY_ID, SERVICE))
    for field in ("code", "test"):
        place = str(keeps.get(field) or "")
        if place and not _exists(place, function=field == "test"):
            yield f"`{field}`: there is no {place}"
    metric, alert = keeps.get("metric"), str(keeps.get("alert") or "")
    if metric and metric not in BY_NAME:
        yield f"`metric`: nothing emits {metric}"
    if alert and alert not in _alerts():
        yield f"`alert`: nothing fires {alert}"
    if alert and not (PAGE.parent / RUNBOOKS / f"{alert}.md").is_file():
        yield f"`alert`: {alert} has no runbook"


def _unfit(keeps: Mapping[str, Any]) -> Iterator[str]:
    """Where the alert would not say that this is broken. What isn't there was said already."""
    metric, alert = BY_NAME.get(keeps.get("metric") or ""), _alerts().get(keeps.get("alert") or "")
    if alert is None:
        return
    about, rules = alert["labels"]["rule"], _rules(keeps)
    if rules and about not in rules and {*BY_ID, SERVICE}.issuperset(rules):
        yield f"`alert`: {alert['alert']} is about {about}, which is not among the rules"
    if metric is not None and not _read(alert["expr"]).intersection(metric.sample_names):
        yield f"`alert`: {alert['alert']} does not read {metric.name}"


def _read(expression: str) -> set[str]:
    """The series that it reads, those included that a recorded one was made of; and other words of PromQL."""
    found: set[str] = set()
    waiting = [expression]
    while waiting:
        new = set(_WORD.findall(_QUOTED.sub("", waiting.pop()))) - found
        found |= new
        waiting += [rule["expr"] for name in new for rule in _recorded().get(name, ())]
    return found


@cache
def _deployed() -> Sequence[Mapping[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def _alerts() -> Mapping[str, Mapping[str, Any]]:
    """By name."""
    return {rule["alert"]: rule for rule in _deployed() if "alert" in rule}


@cache
def _recorded() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """By name, which several may share that differ by their labels."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for rule in _deployed():
        if "record" in rule:
            found.setdefault(rule["record"], []).append(rule)
    return found


def _exists(place: str, *, function: bool) -> bool:
    """place: "path::name", from the root; "*" is any name. function: it must be a test's."""
    path, _, name = place.partition("::")
    names = _names(ROOT / path)
    if function:
        names = {each for each in names if each.startswith("test_")}
    return bool(names) if name == _WHOLE else name in names


@cache
def _names(path: Path) -> set[str]:
    """What a module defines at its top level; nothing if it isn't there."""
    if path.suffix != ".py" or not path.is_file():
        return set()
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def main(arguments: Sequence[str]) -> int:
    """1 if a cell is empty or dangling, or if the page is to be checked and isn't what the data says."""
    promises = read()
    wrong = list(faults(promises))
    for fault in wrong:
        print(f"{DATA.relative_to(ROOT)}: {fault}", file=sys.stderr)  # noqa: T201
    if wrong:
        return 1
    made = page(promises)
    if "--check" not in arguments:
        PAGE.write_text(made, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != made:
        print("docs/policy-matrix.md is not what its data says; run `make policy`", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
