"""Second opinions that may be installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Exiftool = Callable[[bytes], dict[str, str]]


@pytest.fixture
def exiftool(tmp_path: Path) -> Exiftool:
    """What exiftool finds in a file: group:tag to value, without what it says about the file and itself."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed (Debian package libimage-exiftool-perl)")

    def look(data: bytes) -> dict[str, str]:
        path = tmp_path / "photo"
        path.write_bytes(data)
        command = [program, "-a", "-u", "-U", "-G1", "-s", "-ee", str(path)]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        found = {}
        for line in lines:
            group, _, rest = line.removeprefix("[").partition("]")
            tag, _, value = rest.partition(":")
            if group not in ("System", "ExifTool", "File", "Composite") or tag.strip() in (
                "Comment",
                "Warning",
                "Error",
            ):
                found[f"{group}:{tag.strip()}"] = value.strip()
        return found

    return look
