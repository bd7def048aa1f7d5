"""The mesh's processes are found by pid, by a file with a pid, and by their command lines; with their children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.purge.auditor.places.processes import find

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"])
child.wait()
"""


def test_by_pid_by_file_and_by_word(tmp_path: Path) -> None:
    mark = f"services.of.{os.getpid()}"
    command = [sys.executable, "-c", PARENT, mark]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"  # the child's
        (tmp_path / "pid").write_text(f"{parent.pid}\n")
        found = find([("a", str(parent.pid)), ("b", str(tmp_path / "pid")), ("c", mark), ("d", "no-such-program")])
        assert found["a"] == found["b"] == found["c"]
        assert found["a"][0] == parent.pid
        assert len(found["a"]) == 2
        assert found["d"] == []
        (child,) = found["a"][1:]
        assert find([("x", str(child)), ("x", mark)])["x"] == [child, parent.pid]
        parent.stdin.close()  # type: ignore[union-attr]
    assert find([("a", str(parent.pid))]) == {"a": []}


def test_the_auditor_itself_is_nobodys_process() -> None:
    assert os.getpid() not in find([("me", str(os.getpid()))])["me"]
