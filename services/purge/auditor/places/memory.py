"""The memory of every process of the mesh, and of its Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from services.purge.auditor.hunt import memory
from services.purge.auditor.hunt.process import NotPermitted
from services.purge.auditor.places.found import Found, Hunted, Searched

_UNREAD = 0.01
"""Of a process: what is there and can't be read, such as a device's memory. With more than that it was not searched."""

Processes = Callable[[], Mapping[str, Sequence[int]]]


class Memory:
    """processes: service → pids, asked anew for each search, since processes come and go."""

    where = "memory"

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        for service, pids in self._processes().items():
            searched.memory[service] += 0  # a service without memory is seen to have none
            if not pids:
                searched.failed.append(f"no process of {service} is there")
            for pid in pids:
                self._one(service, pid, hunted, searched)
        return [searched]

    def _one(self, service: str, pid: int, hunted: Hunted, searched: Searched) -> None:
        try:
            result = memory.search(pid, hunted.index)
        except NotPermitted as error:
            searched.failed.append(str(error))
            return
        searched.bytes += result.searched
        searched.memory[service] += result.searched
        if result.unread > _UNREAD * (result.searched + result.unread):
            searched.failed.append(f"{result.unread} bytes of {service}'s memory (process {pid}) could not be read")
        sizes: Counter[tuple[str, str]] = Counter()
        for remains in result.remains:
            sizes[remains.what, remains.region] += remains.length
        searched.add(
            Found(service, self.where, what, size, f"pid {pid}, {region}") for (what, region), size in sizes.items()
        )
