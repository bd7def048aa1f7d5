"""A locked auditor can't write anything down, and can still do its work. In processes of their own: it is for good."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from mesh.testing.wait import eventually

# Prints, as JSON, what each attempt has come to: the error's number, or what it gave.
_ATTEMPTS = """
import json, os, resource, socket, sys, threading
from pathlib import Path
from services.purge.auditor import control, locking
from services.purge.auditor.hunt import process
import subprocess

threads = threading.Barrier(2)
done = []
def attempt(step):
    try:
        return step()
    except OSError as error:
        return error.errno
def from_a_thread_of_before():
    threads.wait()
    done.append(attempt(lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR)))
older = threading.Thread(target=from_a_thread_of_before)
older.start()
locked_away = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(1, flush=True); input()"
pipe = subprocess.PIPE
stranger = subprocess.Popen([sys.executable, "-c", locked_away], stdin=pipe, stdout=pipe)
stranger.stdout.readline()
held = locking.lock("permissive")
threads.wait()
older.join()
status = Path("/proc/self/status").read_text()
print(json.dumps({
    "held": dict(held),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "thread": done[0],
    "write": attempt(lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR)),
    "append": attempt(lambda: os.open("/dev/null", os.O_WRONLY | os.O_APPEND)),
    "memfd": attempt(lambda: os.memfd_create("x")),
    "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()),
    "mkdir": attempt(lambda: os.mkdir("/dev/shm/auditor-was-here")),
    "control": control.found_share(),
    "stranger": sum(len(c.data) for c in process.chunks(stranger.pid)) if os.geteuid() == 0 else 1 << 20,
    "privileges": [line for line in status.splitlines() if line.startswith("NoNewPrivs")],
}))
stranger.kill()
"""
_EPERM = 1


def test_a_locked_auditor_keeps_nothing_and_reads_what_it_must() -> None:
    ran = subprocess.run([sys.executable, "-c", _ATTEMPTS], capture_output=True, text=True, check=True)
    came_to = json.loads(ran.stdout)
    swap = came_to["held"].pop("no_swap")
    assert swap or len(Path("/proc/swaps").read_text().splitlines()) > 1
    assert came_to["held"] == dict.fromkeys(("no_core_dumps", "not_dumpable", "no_new_privileges", "seccomp"), True)
    assert came_to["core"] == [0, 0]
    assert came_to["privileges"] == ["NoNewPrivs:\t1"]
    for refused in ("thread", "write", "append", "memfd", "udp", "mkdir"):
        assert came_to[refused] == _EPERM, refused
    assert came_to["control"] >= 0.99
    assert came_to["stranger"] >= 1 << 20, "memory of a process that is not dumpable"


_SENDER = """
import asyncio, sys
from services.purge.auditor.peers import User
from services.purge.auditor.victim import Victim
asyncio.run(Victim(sys.argv[1], None).send_and_die(User(None, "token"), b"photo", "scene", "policy", 5.0))
"""


async def test_a_victim_dies_with_the_auditor_that_is_killed() -> None:
    """Its gateway takes the connection and says nothing, so that it would wait for ever."""
    connected = asyncio.Event()
    gateway = await asyncio.start_server(lambda *_: connected.set(), "127.0.0.1", 0)
    address = "{}:{}".format(*gateway.sockets[0].getsockname())
    auditor = await asyncio.create_subprocess_exec(sys.executable, "-c", _SENDER, address)
    await asyncio.wait_for(connected.wait(), 30)
    (victim,) = _children(auditor.pid)
    auditor.kill()
    await auditor.wait()
    await eventually(lambda: not _runs(victim))
    gateway.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """A zombie, whom nobody here can wait for, doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
