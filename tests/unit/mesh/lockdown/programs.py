"""Programs that lock themselves, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from mesh.forgetting.environment import SETTINGS

# without: system calls fail with ENOSYS, as if this kernel didn't have them.
_PRELUDE = """
import errno, json, os
from pathlib import Path
from mesh.kernel import seccomp
from mesh.lockdown import locking
from mesh.lockdown.needs import Needs
def without(*names):
    seccomp.install([*seccomp.prologue(), *seccomp.answer(names, seccomp.fails(errno.ENOSYS)),
                     (seccomp.RETURN, 0, 0, seccomp.ALLOW)])
"""


def run(code: str, *, pass_fds: Sequence[int] = (), stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` to its end."""
    return subprocess.run(
        [sys.executable, "-c", _PRELUDE + textwrap.dedent(code)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        pass_fds=pass_fds,
        env={**os.environ, **SETTINGS, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def said(code: str, **options: Any) -> Any:
    """What ``code`` printed, as JSON."""
    done = run(code, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
