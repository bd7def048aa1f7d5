"""`mayfly purge`: an operator's big red button. It needs a credential of its own, which no user and no service has."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from clients.cli import options
from clients.cli.exits import ExitCode, UsageFailed
from clients.cli.output import emit
from clients.local.state import StateFolder
from mesh.errors import MeshError

if TYPE_CHECKING:
    from clients.sdk.operator import Credential, OperatorClient, Purged

_OPERATOR = "Operator (default: the mesh of the state folder)"
T = TypeVar("T")
Answers = Mapping[str, T | MeshError]
"""By address, what a replica has answered, or how it failed."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Where purge's replicas are, and who asks."""

    addresses: Sequence[str]
    credential: Credential

    async def ask(self, call: Callable[[str, OperatorClient], Awaitable[T]]) -> Answers[T]:
        """Asks all of them at once; one that fails keeps nobody from the others."""
        from clients.sdk.operator import OperatorClient  # noqa: PLC0415 - gRPC takes a while to import

        async def one(address: str) -> T | MeshError:
            try:
                async with OperatorClient(address, self.credential) as client:
                    return await call(address, client)
            except MeshError as error:
                return error

        answers = await asyncio.gather(*map(one, self.addresses))
        return dict(zip(self.addresses, answers, strict=True))


def purge(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Revoke every photo of every user.")] = False,
    list_stuck: Annotated[bool, typer.Option("--list", help="Photos that a service has not let go of.")] = False,
    pause: Annotated[
        float | None, typer.Option(min=1, max=3600, metavar="SECONDS", help="Let no new photo in for so long.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Let photos in again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: options.Json = False,
    address: Annotated[
        list[str] | None,
        typer.Option("--purge", metavar="HOST:PORT", help="A replica; once for each.", rich_help_panel=_OPERATOR),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="The operator's certificate.", rich_help_panel=_OPERATOR)] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", rich_help_panel=_OPERATOR)] = None,
    ca: Annotated[Path | None, typer.Option(help="The mesh's CA.", rich_help_panel=_OPERATOR)] = None,
    state: options.State = options.STATE,
) -> None:
    """Operators: revoke everything (--all), and see what could not be moved (--list)."""
    if [everything or pause is not None, list_stuck, resume].count(True) != 1:
        raise UsageFailed("Say one of --all (with or without --pause), --pause, --resume and --list.")
    replicas = _replicas(address or [], cert, key, ca, state)
    if list_stuck:
        code = _list(replicas, as_json)
    elif resume or not everything:
        code = _pause(replicas, pause or 0.0, as_json)
    else:
        code = _purge_all(replicas, pause, as_json, yes)
    raise typer.Exit(code)


def _purge_all(replicas: Replicas, pause: float | None, as_json: bool, yes: bool) -> ExitCode:
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageFailed("This revokes every photo of every user; without a terminal it needs --yes.")
        _confirm(replicas)
    if pause is not None:
        failed = _failed(asyncio.run(replicas.ask(lambda _, client: client.pause(pause))))
        if failed:
            raise next(iter(failed.values()))  # a purge without the pause that was asked for is not what was asked for
    answers = asyncio.run(replicas.ask(_Watch(quiet=as_json).purge))
    failed, done = _failed(answers), _answered(answers)
    if as_json:
        emit({"replicas": {a: asdict(p) for a, p in done.items()} | _explained(failed), **_sums(done.values())})
    else:
        _print_purged(done, failed)
    if any(purged.irrevocable for purged in done.values()):
        return ExitCode.IRREVOCABLE
    return ExitCode.AGAIN if failed or any(purged.elsewhere for purged in done.values()) else ExitCode.OK


def _confirm(replicas: Replicas) -> None:
    answers = asyncio.run(replicas.ask(lambda _, client: client.count()))
    if failed := _failed(answers):
        _print_failed(failed)
    count = sum(_answered(answers).values())
    print(f"This revokes every photo of every user: {count} now, at {len(replicas.addresses)} replica(s) of purge.")
    if input(f"Type {count} to go on: ").strip() != str(count):
        raise UsageFailed("Nothing was revoked.")


class _Watch:
    """Shows how far the replicas are, all together."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._latest: dict[str, Purged] = {}
        self._shown = ""

    async def purge(self, address: str, client: OperatorClient) -> Purged:
        async for purged in client.purge_all():
            self._latest[address] = purged
            self._show()
        return self._latest[address]

    def _show(self) -> None:
        sums = _sums(self._latest.values())
        waiting = ", ".join(f"{service} {count}" for service, count in sorted(sums["waiting"].items()))
        line = f"{sums['ended']} of {sums['total']} revoked" + (f"; waiting for {waiting}" if waiting else "")
        if not self._quiet and line != self._shown:
            self._shown = line
            print(line, file=sys.stderr)


def _print_purged(done: Mapping[str, Purged], failed: Mapping[str, MeshError]) -> None:
    sums = _sums(done.values())
    print(f"Revoked {sums['ended']} of {sums['total']} photos.")
    if sums["irrevocable"]:
        print(f"Not confirmed gone: {sums['irrevocable']}; `mayfly purge --list` says where.")
    if sums["elsewhere"]:
        print(f"Taken over by another replica meanwhile: {sums['elsewhere']}; run it again.")
    _print_failed(failed)


def _list(replicas: Replicas, as_json: bool) -> ExitCode:
    answers = asyncio.run(replicas.ask(lambda _, client: client.irrevocable()))
    failed, found = _failed(answers), _answered(answers)
    stuck = sorted((each for leases, _ in found.values() for each in leases), key=lambda each: each.since)
    total = sum(count for _, count in found.values())
    if as_json:
        leases = [asdict(each) | {"since": each.since.isoformat()} for each in stuck]
        emit({"irrevocable": total, "leases": leases, "replicas": _explained(failed)})
    else:
        for each in stuck:
            print(f"{each.photo_id}  {each.holder}  since {each.since:%Y-%m-%d %H:%M:%S} UTC")
        print(f"{total} photos are not confirmed gone." if total else "Every photo that has ended is confirmed gone.")
        _print_failed(failed)
    if total:
        return ExitCode.IRREVOCABLE
    return ExitCode.AGAIN if failed else ExitCode.OK


def _pause(replicas: Replicas, seconds: float, as_json: bool) -> ExitCode:
    answers = asyncio.run(replicas.ask(lambda _, client: client.pause(seconds)))
    failed = _failed(answers)
    until = next((until for until in _answered(answers).values() if until is not None), None)
    if as_json:
        emit({"paused_until": until.isoformat() if until else None, "replicas": _explained(failed)})
    else:
        print(f"No photo comes in until {until:%H:%M:%S} UTC." if until else "Photos come in again.")
        _print_failed(failed)
    return ExitCode.AGAIN if failed else ExitCode.OK


def _sums(purged: Any) -> dict[str, Any]:
    waiting: dict[str, int] = {}
    sums = dict.fromkeys(("total", "ended", "elsewhere", "irrevocable"), 0)
    for each in purged:
        for name in sums:
            sums[name] += getattr(each, name)
        for service, count in each.waiting.items():
            waiting[service] = waiting.get(service, 0) + count
    return {**sums, "waiting": waiting}


def _answered(answers: Answers[T]) -> dict[str, T]:
    return {address: answer for address, answer in answers.items() if not isinstance(answer, MeshError)}


def _failed(answers: Answers[T]) -> dict[str, MeshError]:
    return {address: answer for address, answer in answers.items() if isinstance(answer, MeshError)}


def _explained(failed: Mapping[str, MeshError]) -> dict[str, Any]:
    return {address: {"error": {"reason": e.reason, "message": e.message}} for address, e in failed.items()}


def _print_failed(failed: Mapping[str, MeshError]) -> None:
    for address, error in failed.items():
        print(f"mayfly: {address}: {error.message} ({error.reason})", file=sys.stderr)


def _replicas(addresses: Sequence[str], cert: Path | None, key: Path | None, ca: Path | None, state: Path) -> Replicas:
    from clients.local.pki import OPERATOR, Pki  # noqa: PLC0415 - needs the local mesh's packages
    from clients.sdk.operator import Credential  # noqa: PLC0415 - gRPC takes a while to import

    folder = StateFolder(state)
    if not addresses:
        record = folder.read()
        processes = record.processes if record is not None else {}
        addresses = [p.address for name, p in processes.items() if name == "purge" or name.startswith("purge-")]
        if not addresses:
            raise UsageFailed(f"No mesh is up in {state}; say where purge is with --purge.")
    pki = Pki(folder.pki)
    credential = Credential(cert or pki.certificate(OPERATOR), key or pki.key(OPERATOR), ca or pki.ca)
    for path in (credential.cert, credential.key, credential.ca):
        if not path.is_file():
            raise UsageFailed(f"{path}: no such file; the operator's credential is --cert, --key and --ca.")
    return Replicas(addresses, credential)
