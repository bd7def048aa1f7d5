"""The `mayfly` command as a person runs it: a process, with a state folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Mayfly:
    """env: beyond PATH and HOME, what the person has set."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.state = folder / ".mayfly"
        self._env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._env |= {"PYTHONPATH": str(ROOT), "GRPC_VERBOSITY": "NONE", "MAYFLY_RENDER_ENGINE": "null", **env}

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "clients.cli", *args],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *args: str) -> Ran:
        with self.start(*args) as process:
            out, err = process.communicate(timeout=110)
        return Ran(process.returncode, out, err)

    def pids(self, state: Path | None = None) -> dict[str, int]:
        """What mesh.json says runs."""
        record = json.loads(((state or self.state) / "mesh.json").read_text())
        return {name: process["pid"] for name, process in record["processes"].items()}
