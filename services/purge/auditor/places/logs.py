"""What services have written to their logs since the audit began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.purge.auditor.hunt.words import WINDOW
from services.purge.auditor.places import contents
from services.purge.auditor.places.found import Found, Hunted, Searched


class Logs:
    """files: service → its log. A log that was rotated away meanwhile is searched from its beginning."""

    where = "log"

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self._files = [(service, path, _size(path)) for service, path in files]

    def search(self, hunted: Hunted) -> list[Searched]:
        searched = Searched(self.where)
        for service, path, begin in self._files:
            try:
                with path.open("rb") as file:
                    file.seek(max(0, begin - WINDOW) if _size(path) >= begin else 0)
                    size, found = contents.search(file, hunted)
            except OSError as error:
                searched.failed.append(f"{service}'s log {path} can't be read: {error.strerror}")
                continue
            searched.bytes += size
            searched.add(Found(service, self.where, what, count, str(path)) for what, count in found.items())
        return [searched]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
