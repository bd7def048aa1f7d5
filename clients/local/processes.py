"""Child processes: started apart from our terminal, known by pid and start time, ended gently and then not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from clients.local.state import ProcessRecord, write_private

_POLL = 0.02  # seconds
_HEARD_SECONDS = 5.0
_KEPT = ".process.json"
SOURCE_ROOT = Path(__file__).resolve().parents[2]


class Child(subprocess.Popen[bytes]):
    """A process whose output a keeper (``log_keeper``) writes to its log."""

    keeper: subprocess.Popen[bytes] | None = None

    def has_been_heard(self) -> None:
        """Returns when its log holds all that it said, now that it has ended; or soon."""
        if self.keeper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keeper.wait(_HEARD_SECONDS)


def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, kept: str = "raw") -> Child:
    """Starts ``argv`` in a session of its own, so that our Ctrl-C is not its Ctrl-C. Its output goes to ``log``.

    kept: what of it, see ``log_keeper``.
    """
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    read, write = os.pipe()
    try:
        child = Child(
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=write, stderr=write,
            start_new_session=True,
        )  # fmt: skip
        child.keeper = subprocess.Popen(
            [sys.executable, "-P", "-s", "-S", "-m", "clients.local.log_keeper", kept],
            env={"PYTHONPATH": str(SOURCE_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, cwd="/", stdin=read, stdout=file,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return child
    finally:
        for fd in (file, read, write):
            os.close(fd)


def started_at(pid: int) -> str | None:
    """When the process was started, in whatever unit the system tells it; None if there is none, or a dead one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self").exists() else _started_at_without_proc(pid)
    except OSError:
        return None
    # proc(5): the second field is a name in parentheses and may hold anything; state is field 3, starttime 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _started_at_without_proc(pid: int) -> str | None:
    ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    found = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)
    return None if not found or found[0].startswith("Z") else found[1].strip()


def is_alive(record: ProcessRecord) -> bool:
    """Whether it is this process that runs, not another one that got its pid."""
    return started_at(record.pid) == record.started


def send(record: ProcessRecord, number: signal.Signals) -> bool:
    """Signals the process and its children; False if it is gone."""
    if not is_alive(record):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(record.pid, number)
    return True


def keep(record: ProcessRecord, folder: Path, name: str) -> Path:
    """Writes down what was started, for ``end_kept``, in a file of its own; returns it."""
    path = folder / f"{name}{_KEPT}"
    write_private(path, json.dumps(asdict(record)).encode())
    return path


def end_kept(folder: Path, seconds: float) -> None:
    """Ends what was written down below ``folder`` and still runs: whoever started it was killed. See ``end``."""
    for path in folder.glob(f"**/*{_KEPT}"):
        try:
            record = ProcessRecord(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue  # it was killed while it wrote
        end(record, seconds)
        path.unlink(missing_ok=True)


def wait_gone(record: ProcessRecord, seconds: float) -> bool:
    """Waits until the process is gone; False if it is still there after ``seconds``."""
    deadline = time.monotonic() + seconds
    while is_alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end(record: ProcessRecord, seconds: float) -> bool:
    """SIGTERM, ``seconds`` of patience, SIGKILL. True if it ended by itself."""
    if not send(record, signal.SIGTERM) or wait_gone(record, seconds):
        return True
    send(record, signal.SIGKILL)
    wait_gone(record, 5.0)
    return False
