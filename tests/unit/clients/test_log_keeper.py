"""What is kept of a service's output: all of it until it serves, log lines by allow-list after that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from clients.local.log_keeper import kept
from clients.local.processes import spawn

SERVING = json.dumps({"event": "serving", "address": "127.0.0.1:1", "level": "info"}).encode() + b"\n"
FINE = json.dumps({"event": "draining", "level": "info", "count": 3}).encode() + b"\n"
WITHHELD = b'{"event": "line_withheld"}\n'


def test_why_a_start_fails_is_kept_whole() -> None:
    lines = [b"Traceback (most recent call last):\n", b"ModuleNotFoundError: no x\n", FINE]
    assert list(kept(lines)) == lines


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xd8\xff\xe1 a photo\n",
        b"Exif of Emma's first day\n",
        b'{"event": "draining", "file_name": "emma.jpg"}\n',
        b'{"event": "Emma\'s first day"}\n',
        b'{"event": {"a": "b"}}\n',
        b'"text"\n',
        b"\n",
    ],
)
def test_once_it_serves_only_the_allow_list_passes(line: bytes) -> None:
    assert list(kept([SERVING, line, FINE])) == [SERVING, WITHHELD, FINE]


def test_it_outlives_whoever_writes_by_the_last_line(tmp_path: Path) -> None:
    code = f"import sys; sys.stderr.write({SERVING.decode()!r} + 'photo\\n' + {FINE.decode()!r})"
    child = spawn([sys.executable, "-c", code], env={}, cwd=tmp_path, log=tmp_path / "log", kept="allowed")
    child.wait()
    child.has_been_heard()
    assert (tmp_path / "log").read_bytes() == SERVING + WITHHELD + FINE
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
