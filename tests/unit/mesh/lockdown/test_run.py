"""Another's program, locked: it runs, reads what was named, and writes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mesh
from mesh.lockdown.reads import of_python
from tests.unit.mesh.lockdown.programs import run

ROOT = Path(mesh.__file__).parents[1]
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


# What is left to somebody who has taken the server over; each ends in a word.
INTRUDER = """
import errno, json, os, resource, socket
from mesh.kernel.calls import syscall
from mesh.kernel.numbers import number
def said(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"
def fork():
    os.fork() or os._exit(0)
print(json.dumps([
    {name: said(syscall, number(name), *[0] * 6) for name in (
        "ptrace", "process_vm_readv", "io_uring_setup", "memfd_create", "keyctl", "mount", "bpf", "userfaultfd")},
    said(fork), said(socket.socket, socket.AF_INET, socket.SOCK_DGRAM), said(os.fstat, INHERITED),
    said(socket.socket, socket.AF_UNIX), resource.getrlimit(resource.RLIMIT_CORE)]))
os.abort()
"""


def test_a_server_that_was_taken_over_gets_nowhere(tmp_path: Path) -> None:
    """And leaves no core: neither in a file, nor for a core_pattern that is a program."""
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as file:
        code = INTRUDER.replace("INHERITED", str(file.fileno()))
        python = [sys.executable, "-P", "-c", code]
        readable = [word for path in (*of_python(), ROOT, Path(sys.base_prefix)) for word in ("--read", str(path))]
        locked = subprocess.Popen(
            [*RUN, *readable, "--", *python], stdout=subprocess.PIPE, pass_fds=[file.fileno()], cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert locked.stdout is not None
        calls, fork, udp, inherited, unix, core = json.load(locked.stdout)
        _, status = os.waitpid(locked.pid, 0)
    locked.returncode = status
    locked.stdout.close()
    assert set(calls.values()) == {"EPERM"}, calls
    assert (fork, udp, inherited, unix) == ("EPERM", "EPERM", "EBADF", "allowed")
    assert core in ([1, 1], [0, 0])
    assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)


@pytest.mark.parametrize("call", ["landlock_create_ruleset", "prctl"])
def test_without_landlock_or_a_filter_it_does_not_start_unless_it_may(call: str) -> None:
    program = f"without({call!r}); from mesh.lockdown.run import main; main({{}})"
    strict = run(program.format(["--", "/bin/echo", "ran"]))
    assert strict.returncode == 1
    assert "can't hold the server" in strict.stderr
    assert run(program.format(["--permissive", "--", "/bin/echo", "ran"])).stdout == "ran\n"
