"""Another's program, locked: it runs, reads what was named, and writes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.mesh.lockdown.programs import run

RUN = [sys.executable, "-P", "-m", "mesh.lockdown.run"]


def locked(*words: str, read: Path | None = None) -> subprocess.CompletedProcess[str]:
    named = ["--read", str(read)] if read is not None else []
    return subprocess.run([*RUN, *named, "--", *words], capture_output=True, text=True, check=False)


def test_it_reads_what_was_named_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("named")
    assert locked("/bin/cat", str(tmp_path / "a"), read=tmp_path).stdout == "named"
    assert "Permission denied" in locked("/bin/cat", str(tmp_path / "a")).stderr
    assert "Permission denied" in locked("/bin/cat", "/etc/passwd", read=tmp_path).stderr


def test_it_writes_nowhere(tmp_path: Path) -> None:
    done = locked("/bin/touch", str(tmp_path / "b"), read=tmp_path)
    assert done.returncode != 0 and "Permission denied" in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_landlock_it_does_not_start_unless_it_may() -> None:
    program = "without('landlock_create_ruleset'); from mesh.lockdown.run import main; main({})"
    strict = run(program.format(["--", "/bin/echo", "ran"]))
    assert strict.returncode == 1
    assert "can't hold the server" in strict.stderr
    assert run(program.format(["--permissive", "--", "/bin/echo", "ran"])).stdout == "ran\n"
