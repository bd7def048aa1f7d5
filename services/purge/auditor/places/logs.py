"""What services have written to their logs since the audit began."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from services.purge.auditor.hunt.words import WINDOW
from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched


class Logs:
    """files: service → its log. A log that was rotated away meanwhile is searched from its beginning."""

    where = "log"

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self._files = [(service, path, *_state(path)) for service, path in files]

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        for service, path, begin, was in self._files:
            try:
                with path.open("rb", buffering=0) as file:
                    now = os.fstat(file.fileno())
                    goes_on = now.st_ino == was and now.st_size >= begin
                    file.seek(max(0, begin - WINDOW) if goes_on else 0)
                    size, found = contents.search(file, hunted)
            except OSError as error:
                searched.failed.append(f"{service}'s log {path} can't be read: {error.strerror}")
                continue
            searched.bytes += size
            searched.add(Found(service, self.where, what, count, str(path)) for what, count in found.items())
        return [searched]


def _state(path: Path) -> tuple[int, int]:
    """Its size and its inode's number; zeros while there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_ino
