"""Files that no folder shows any more but that a process has open: deleted ones, and those that never had a name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched

_DELETED = " (deleted)"


class Descriptors:
    """processes: service → pids."""

    where = "descriptor"

    def __init__(self, processes: Callable[[], Mapping[str, Sequence[int]]]) -> None:
        self._processes = processes

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        for service, pids in self._processes().items():
            for pid in pids:
                for descriptor, name in _nameless(pid, searched):
                    self._one(service, descriptor, name, hunted, searched)
        return [searched]

    def _one(self, service: str, descriptor: str, name: str, hunted: Hunted, searched: Searched) -> None:
        try:
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
                size, found = contents.search(file, hunted)
        except FileNotFoundError:
            return
        except OSError as error:
            searched.failed.append(f"{descriptor} ({name}) can't be read: {error.strerror}")
            return
        searched.bytes += size
        searched.add(Found(service, self.where, what, count, f"{descriptor}: {name}") for what, count in found.items())


def _nameless(pid: int, searched: Searched) -> Iterator[tuple[str, str]]:
    folder = f"/proc/{pid}/fd"
    try:
        numbers = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return
    except OSError as error:
        searched.failed.append(f"{folder} can't be read: {error.strerror}")
        return
    for number in numbers:
        path = f"{folder}/{number}"
        try:
            name = str(Path(path).readlink())
            if not stat.S_ISREG(Path(path).stat().st_mode):
                continue  # opening a pipe or a terminal would wait for its other end
        except OSError:
            continue
        # A memfd's name ends like a deleted file's; sockets and pipes have no slash at their beginning.
        if name.startswith("/") and name.endswith(_DELETED):
            yield path, name.removesuffix(_DELETED)
