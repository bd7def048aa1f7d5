"""Starting the command over where it may read the memory of what it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def start_over() -> None:
    """In a user namespace of our own. Returns only where the system doesn't offer one, or if we are in it already."""
    from clients.local.auditing import in_a_namespace_of_our_own  # noqa: PLC0415 - imports the local mesh

    command = in_a_namespace_of_our_own([sys.executable, "-P", "-m", "clients.cli", *sys.argv[1:]])
    if command is not None:
        root = str(Path(__file__).resolve().parents[2])
        os.execve(command[0], command, {**os.environ, "PYTHONPATH": root})  # noqa: S606 - ourselves, once more
