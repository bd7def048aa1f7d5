"""The auditor beside a mesh that is watched: canaries, and the hunt for what is left of them, again and again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from clients.local import auditing
from clients.observe.program import Program

INTERVAL = 300
"""Seconds from one audit's begin to the next one's."""


class Auditor(Program):
    """env: what ``auditing.environment`` gives. It takes the right to read other processes' memory (``auditing``)."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, interval: int = INTERVAL) -> None:
        super().__init__("auditor", folder, ready="/healthz")
        self.token_file = Path(env["MAYFLY_AUDITOR_TOKEN_FILE"])
        self._env = {
            **env,
            "MAYFLY_OPS_LISTEN": self.address,
            "MAYFLY_AUDITOR_INTERVAL": str(interval),
            "MAYFLY_AUDITOR_LOOK_INTERVAL": "2",
            # Whatever else happens on this machine is not searched: `mayfly audit` does that.
            "MAYFLY_AUDITOR_SHARED_ROOTS": str(folder),
            "MAYFLY_AUDITOR_KINDS": "jpeg",
        }

    def command(self) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "services.purge.auditor"]

    def environment(self) -> Mapping[str, str]:
        return self._env


def is_possible() -> bool:
    """Whether an auditor that we start could do its work."""
    return auditing.may_read_others()
