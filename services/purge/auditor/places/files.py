"""Files that are new or changed since the audit began, wherever a process of the mesh could have put one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # it may have become a link or a pipe since it was looked at
# Not file systems that keep bytes: what processes and the kernel show of themselves.
_VIRTUAL = frozenset({"/proc", "/sys"})
_COARSE = 0.1  # seconds: files are dated by a clock that lags behind by a tick
_ELF_CORE = 4  # e_type of a core file, elf(5)


class Files:
    """roots: service → folders, as seen from here; ``MACHINE`` for those that all share.

    Each search looks at what has changed since the one before it began, the first since this was made: what is
    searched for was sent after that.

    processes: whose own views of ``own`` (absolute paths) are searched as well, where they have another root than this
    process. passed_over: files and folders that are somebody else's to search, or the auditor's own.
    """

    where = "file"

    def __init__(
        self,
        roots: Sequence[tuple[str, Path]],
        *,
        processes: Callable[[], Mapping[str, Sequence[int]]],
        own: Sequence[str] = (),
        passed_over: Sequence[Path] = (),
    ) -> None:
        self._roots = roots
        self._since = time.time() - _COARSE
        self._processes = processes
        self._own = own
        self._passed_over = frozenset(map(str, passed_over))

    def search(self, hunted: Hunted) -> list[Searched]:
        searched, cores, began = Searched(self.where), Searched("core"), time.time() - _COARSE
        looked: set[tuple[int, int]] = set()
        for service, root in [*self._roots, *self._roots_of_processes()]:
            for path in self._changed(str(root), looked, searched):
                self._one(service, path, hunted, searched, cores)
        self._since = began
        return [searched, cores]

    def _roots_of_processes(self) -> Iterator[tuple[str, Path]]:
        """Folders of containers: the same path in another mount namespace."""
        here = Path("/proc/self/ns/mnt").stat().st_ino
        seen = {here}
        for service, pids in self._processes().items():
            for pid in pids:
                try:
                    there = Path(f"/proc/{pid}/ns/mnt").stat().st_ino
                except OSError:
                    continue
                if there not in seen:
                    seen.add(there)
                    yield from ((service, Path(f"/proc/{pid}/root{folder}")) for folder in self._own)

    def _changed(self, root: str, looked: set[tuple[int, int]], searched: Searched) -> Iterator[str]:
        """Regular files; each folder and each file once, by device and inode, so that the first root names it.

        There may be hundreds of thousands of them: hence no pathlib, and no more than one look at each.
        """
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            try:
                status = os.stat(folder)  # noqa: PTH116
                if folder in _VIRTUAL or folder in self._passed_over or _is_known(status, looked):
                    continue
                entries = list(os.scandir(folder))
                searched.bytes += sum(len(entry.name) for entry in entries)
            except FileNotFoundError:
                continue
            except OSError as error:
                searched.failed.append(f"{folder} can't be read: {error.strerror}")
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and self._is_changed(entry, looked):
                    yield entry.path

    def _is_changed(self, entry: os.DirEntry[str], looked: set[tuple[int, int]]) -> bool:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        # A file's ctime moves with each change, and nobody can set it back.
        return status.st_ctime >= self._since and entry.path not in self._passed_over and not _is_known(status, looked)

    def _one(self, service: str, path: str, hunted: Hunted, searched: Searched, cores: Searched) -> None:
        try:
            searched.add(
                Found(service, self.where, what, count, path)
                for what, count in contents.search_bytes(os.fsencode(Path(path).name), hunted).items()
            )
            with os.fdopen(os.open(path, _OPEN), "rb", buffering=0) as file:
                into = cores if _is_core(file.read(18)) else searched
                file.seek(0)
                size, found = contents.search(file, hunted)
        except FileNotFoundError:
            return
        except OSError as error:
            searched.failed.append(f"{path} can't be read: {error.strerror}")
            return
        into.bytes += size
        into.add(Found(service, into.where, what, count, path) for what, count in found.items())


def _is_known(status: os.stat_result, looked: set[tuple[int, int]]) -> bool:
    """Whether it was looked at before; it is from now on."""
    key = status.st_dev, status.st_ino
    known = key in looked
    looked.add(key)
    return known


def _is_core(head: bytes) -> bool:
    return head.startswith(b"\x7fELF") and int.from_bytes(head[16:18], "little") == _ELF_CORE
