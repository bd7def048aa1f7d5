"""An audit's report as tables: a row for each way of ending, a column for each place, and 0 in every cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_PLACES = {
    "memory": "Memory",
    "file": "Files",
    "descriptor": "Unnamed",
    "redis": "Redis",
    "log": "Logs",
    "metrics": "Metrics",
    "core": "Cores",
}
_SHOWN = 12  # things that were found, and reasons why something could not be done


def show(report: dict[str, Any], console: Console | None = None) -> None:
    """On stdout."""
    console = console or Console()
    by_ending = _sums(report, "ending")
    endings = list(dict.fromkeys([*report["canaries"], *by_ending]))
    console.print(_table("The photo was", by_ending, endings, report["canaries"]))
    if by_service := _sums(report, "service"):
        console.print(_table("Found at", by_service, list(by_service)))
    console.print(_searched(report), soft_wrap=True)
    for sentence in [*_found(report), *_doubts(report)]:
        console.print(sentence, soft_wrap=True)


def _sums(report: dict[str, Any], by: str) -> dict[str, Counter[str]]:
    """Bytes by place, for each way of ending or each service."""
    sums: dict[str, Counter[str]] = {}
    for each in report["residue"]:
        sums.setdefault(each[by], Counter())[each["where"]] += each["bytes"]
    return sums


def _table(title: str, sums: dict[str, Counter[str]], rows: Sequence[str], sent: dict[str, int] | None = None) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title, no_wrap=True)
    if sent is not None:
        table.add_column("Sent", justify="right")
    for name in _PLACES.values():
        table.add_column(name, justify="right")
    for row in rows:
        count = [] if sent is None else [str(sent.get(row, ""))]
        found = sums.get(row, Counter())
        table.add_row(row.replace("_", " "), *count, *(_cell(found[place]) for place in _PLACES))
    return table


def _cell(size: int) -> str:
    return f"[bold red]{_amount(size)}[/]" if size else "[green]0[/]"


def _searched(report: dict[str, Any]) -> str:
    parts = [f"{_PLACES[place].lower()} {_amount(size)}" for place, size in report["searched"].items() if size]
    return (
        f"{sum(report['canaries'].values())} canaries in {report['seconds']:.0f} s; of these {report['hunts']} hunts, "
        f"{report['hunting_seconds']:.0f} s. Searched: {', '.join(parts)}. "
        f"The positive control was found to {report['control']:.1%}."
    )


def _amount(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def _found(report: dict[str, Any]) -> list[str]:
    worst = sorted(report["found"], key=lambda each: -each["bytes"])
    lines = [
        f"[red]found[/] {_amount(each['bytes'])} of the {each['what'].replace('_', ' ')} ({each['ending']}): "
        f"{each['service']}, {each['where']}, {each['detail']}"
        for each in worst[:_SHOWN]
    ]
    return lines + _more(len(worst))


def _doubts(report: dict[str, Any]) -> list[str]:
    lines = [f"[yellow]not done[/] {sentence}" for sentence in report["failed"][:_SHOWN]] + _more(len(report["failed"]))
    for name, what in report["differences"].items():
        lines.append(f"[yellow]the countings disagree[/] ({name.replace('_', ' ')}): {', '.join(what[:_SHOWN])}")
    if report["not_searched"]:
        lines.append(f"[yellow]out of reach[/] as was declared: {', '.join(report['not_searched'])}")
    if report["reconciled"]:
        lines.append("Metrics, Redis and the log count the same leases.")
    if report["log_index"] is not None:
        lines.append(f"Signed, and entry {report['log_index']} of the log.")
    return lines


def _more(count: int) -> list[str]:
    return [f"and {count - _SHOWN} more; --json lists them"] if count > _SHOWN else []
