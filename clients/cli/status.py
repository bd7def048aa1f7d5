"""`mayfly status`: what runs on this machine, and which photos are where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from clients.cli import options
from clients.cli.exits import ExitCode
from clients.cli.output import emit
from clients.local.state import StateFolder

if TYPE_CHECKING:
    from clients.local.ops import Sample
    from clients.local.state import ProcessRecord


@dataclass(frozen=True, slots=True)
class Row:
    """photos: in this process's custody now; None when it does not say."""

    name: str
    pid: int
    alive: bool
    ready: bool
    failing: tuple[str, ...]
    address: str
    ops_address: str
    photos: int | None


def status(as_json: options.Json = False, state: options.State = options.STATE) -> None:
    """Show what runs, whether it is ready, and which photos are where. Exit status 5 unless all is well."""
    record = StateFolder(state).read()
    processes = record.processes if record is not None else {}
    samples = {name: _samples(process) for name, process in processes.items()}
    rows = [_row(name, process, samples[name]) for name, process in processes.items()]
    counts = _counts([found for name, found in samples.items() if name.partition("-")[0] == "purge"])
    ready = bool(rows) and all(row.alive and row.ready for row in rows)
    if as_json:
        emit({"up": ready, "processes": [asdict(row) for row in rows], **counts})
    elif not rows:
        print(f"No mesh is up in {state}; start one with `mayfly up`.")
    else:
        _print(rows, counts)
    raise typer.Exit(ExitCode.OK if ready else ExitCode.AGAIN)


def _samples(process: ProcessRecord) -> list[Sample]:
    from clients.local import ops  # noqa: PLC0415 - the metrics parser is slow to import

    return ops.metrics(process.ops_address) if process.ops_address else []


def _row(name: str, process: ProcessRecord, samples: list[Sample]) -> Row:
    from clients.local.ops import readiness, total  # noqa: PLC0415
    from clients.local.processes import is_alive  # noqa: PLC0415

    alive = is_alive(process)
    photos = total(samples, "mayfly_custody_photos")
    held = None if photos is None else int(photos)
    if not process.ops_address:  # Valkey: purge speaks for it
        return Row(name, process.pid, alive, alive, (), process.address, "", held)
    answer = readiness(process.ops_address)
    return Row(name, process.pid, alive, answer.ready, answer.failing, process.address, process.ops_address, held)


def _counts(replicas: list[list[Sample]]) -> dict[str, Any]:
    """Each replica of purge counts its own leases; all of them look at the same keys. None: one of them can't say."""
    from clients.local.ops import total  # noqa: PLC0415

    def counted(name: str) -> list[float] | None:
        found = [total(samples, name) for samples in replicas]
        known = [value for value in found if value is not None]
        return known if known and len(known) == len(found) else None

    leases, keys = counted("mayfly_leases"), counted("mayfly_registry_keys_without_ttl")
    return {"leases_live": leases and int(sum(leases)), "keys_without_ttl": keys and int(max(keys))}


def _print(rows: list[Row], counts: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table("Process", "Pid", "State", "Address", "Ops", "Photos now", box=None, pad_edge=False)
    for row in rows:
        photos = "" if row.photos is None else str(row.photos)
        table.add_row(row.name, str(row.pid), _state(row), row.address, row.ops_address, photos)
    console = Console()
    console.print(table)
    known = {key: "?" if value is None else value for key, value in counts.items()}
    console.print(f"Leases live: {known['leases_live']} · Redis keys without a TTL: {known['keys_without_ttl']}")


def _state(row: Row) -> str:
    if not row.alive:
        return "dead"
    return "ready" if row.ready else f"not ready ({', '.join(row.failing)})"
