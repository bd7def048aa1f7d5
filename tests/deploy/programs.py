"""Programs that are no Python packages of ours: found where they are, otherwise the test is skipped with one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str, package: str) -> str:
    """The program's path: beside this Python, in ``.tools/``, or on PATH. Skips the test when it is nowhere."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    for folder in sorted((ROOT / ".tools").glob("*/node_modules/.bin")):
        found = found or shutil.which(name, path=str(folder))
    found = found or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs to the end; both outputs in ``stdout``."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def read_yaml(path: Path) -> Any:
    """A YAML file's content."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
