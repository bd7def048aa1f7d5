"""Which processes are the mesh: told by pid, or found in /proc by a word of their command line; and their children."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PROC = Path("/proc")


def find(wanted: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """Service → pids, each process before its children; an empty list where there is none.

    wanted:  service and its mark: a pid, a file with a pid, or a word that the command line must hold (the module that
             Python runs, or the program's name).
    """
    alive = {pid: _Process.read(pid) for pid in _pids()}
    processes = {pid: process for pid, process in alive.items() if process is not None}
    found: dict[str, list[int]] = {}
    for service, mark in wanted:
        first = [pid for pid in _marked(mark, processes) if pid != os.getpid()]
        mine = found.setdefault(service, [])
        mine.extend(pid for pid in _with_children(first, processes) if pid not in mine)
    return found


class _Process:
    __slots__ = ("parent", "words")

    def __init__(self, parent: int, words: frozenset[str]) -> None:
        self.parent = parent
        self.words = words

    @classmethod
    def read(cls, pid: int) -> _Process | None:
        try:
            stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
            words = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return None
        # proc(5): the second field is a name in parentheses and may hold anything; state is field 3, ppid 4.
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state in "ZX":
            return None
        # Valkey sets its title: "/path/valkey-server unixsocket:/…".
        program = words[0].split(" ", 1)[0]
        return cls(int(parent), frozenset([*words, Path(program).name]))


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _marked(mark: str, processes: Mapping[int, _Process]) -> list[int]:
    if mark.startswith("/"):
        try:
            mark = Path(mark).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return []
    if mark.isdigit():
        return [int(mark)] if int(mark) in processes else []
    return sorted(pid for pid, process in processes.items() if mark in process.words)


def _with_children(pids: Sequence[int], processes: Mapping[int, _Process]) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    waiting = list(pids)
    while waiting:
        pid = waiting.pop(0)
        yield pid
        waiting.extend(sorted(children.get(pid, ())))
