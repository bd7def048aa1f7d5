"""The same attempts where nothing stops them: ``python -m tests.lockdown.unlocked`` with a target, as JSON, in stdin.

Each in a process of its own, the child of another that it may attack. The answer is JSON: attempt → what came of it.
Namespaces of mounts and of IPC keep what succeeds from the machine; who may not have them leaves such attempts out.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from mesh.kernel.calls import syscall
from mesh.kernel.numbers import number
from tests.lockdown import attempts
from tests.lockdown.attempts import ALLOWED, LEFT, Target

_CLONE_NEWNS, _CLONE_NEWIPC = 0x20000, 0x8000000  # unshare(2)
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # mount(2)
LASTING = ("mount", "System V shared memory", "System V messages", "POSIX message queue")
"""What would stay on the machine, or change it."""
_LEFT_OUT = "LEFT OUT"


def main() -> None:
    target = Target(**json.load(sys.stdin))
    os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    found = {name: said for name in attempts._ALL if (said := _tried(name, target)) != _LEFT_OUT}
    sys.stdout.write(json.dumps(found))


def _apart() -> bool:
    try:
        syscall(number("unshare"), _CLONE_NEWNS | _CLONE_NEWIPC)
        syscall(number("mount"), b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    except OSError:
        return False
    return True


def _tried(name: str, target: Target) -> str:
    Path(target.victim).write_bytes(b"here before")
    read, write = os.pipe()  # exec closes it
    victim = os.fork()
    if victim == 0:
        os.close(read)
        if name in LASTING and not _apart():
            os.write(write, _LEFT_OUT.encode())
            os._exit(0)
        intruder = os.fork()
        if intruder == 0:
            os.write(write, attempts._ended(attempts._ALL[name], target).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(intruder, 0)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.kill(victim, signal.SIGKILL)  # it may have been stopped
    os.waitpid(victim, 0)
    _clean(Path(target.victim))
    return said or (ALLOWED if name == "exec" else "DIED")


def _clean(victim: Path) -> None:
    victim.with_name(victim.name + LEFT).unlink(missing_ok=True)
    victim.write_bytes(b"here before")
    for folder in (".", "/tmp", "/var/tmp", "/dev/shm"):
        left = Path(folder, LEFT)
        with contextlib.suppress(FileNotFoundError):
            left.rmdir() if left.is_dir() and not left.is_symlink() else left.unlink()


if __name__ == "__main__":
    main()
