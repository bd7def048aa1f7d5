"""What is shown: the pieces that change, rendered once for all who look at the same moment."""

from __future__ import annotations

import threading

from services.purge.core import Core
from services.purge.evidence import figures, sections
from services.purge.evidence.audits import LastAudit
from services.purge.evidence.checkpoints import Head, Heads
from services.purge.evidence.watch import Look, Watch


class View:
    """May be asked from any thread."""

    def __init__(self, core: Core, watch: Watch, heads: Heads, audits: LastAudit) -> None:
        self._core = core
        self._watch = watch
        self._heads = heads
        self._audits = audits
        self._lock = threading.Lock()
        self._made: tuple[Look | None, Head | None, dict[str, str]] = None, None, {}

    def pieces(self) -> dict[str, str]:
        """By the id of the element that holds it. Raises OSError when the log can't be read."""
        look = self._watch.look
        with self._lock:
            # Also anew for a new head: beside it stands the proof of an entry that may be under this one only.
            head = self._heads.newest()
            if self._made[:2] != (look, head):
                self._made = look, head, self._render(look, head)
            return self._made[2]

    def _render(self, look: Look, head: Head) -> dict[str, str]:
        read = figures.read(self._core, look.at)
        return {
            "as-of": sections.as_of(look),
            "sentence": sections.sentence(read),
            "summary": sections.summary(look),
            "flow": sections.flow_picture(read),
            "residency": sections.residency_picture(read),
            "rules": sections.rules(look),
            "audit": sections.audit(self._audits.last()),
            "log": sections.log(head),
        }
