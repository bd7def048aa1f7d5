"""Runs a few lines in a Python of their own, for what a process does to itself."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run(code: str, *, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` to its end."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )
