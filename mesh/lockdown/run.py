"""``python -m mesh.lockdown.run [--read PATH]… [--socket FOLDER] -- PROGRAM ARGUMENT…``: another's program, locked.

For a server that we start and didn't write: it may read its program, the system's libraries and what is named, make a
socket in one folder, and write to no file at all; no TCP, no process besides it, no core dump, no new privileges, and
none of the calls that no service of ours makes either. It inherits the standard three descriptors and no others. Then
it is exec'd: whoever waits for this process waits for the server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
from pathlib import Path

from mesh.kernel import landlock, seccomp
from mesh.kernel.landlock import READ, Fs
from mesh.lockdown import filters, probes

_CODE = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_LOOKED_AT = ("/proc", "/sys/devices/system", "/sys/kernel/mm", "/dev/urandom", "/usr/share/zoneinfo", "/etc/localtime")
_HIGHEST_FD = 1 << 20


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="mesh.lockdown.run")
    parser.add_argument("--read", action="append", default=[], type=Path)
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--permissive", action="store_true")
    parser.add_argument("program", nargs="+")
    told = parser.parse_args(arguments)
    os.closerange(3, _HIGHEST_FD)
    if not _locked(Path(told.program[0]), told.read, told.socket) and not told.permissive:
        sys.exit(
            "lockdown: this kernel can't hold the server: it needs Landlock's ABI 4, Linux 6.7, and seccomp filters"
        )
    os.execv(told.program[0], told.program)  # noqa: S606 - what this module is for


def _locked(program: Path, read: list[Path], socket_folder: Path | None) -> bool:
    """Locks; whether all of it is in force. Where one part is missing, the others hold."""
    with contextlib.suppress(OSError):
        _lock(program, read, socket_folder)
    if seccomp.available():
        with contextlib.suppress(OSError):
            seccomp.install(filters.for_a_server())
    return landlock.in_force() and landlock.abi() >= landlock.ABI_NET and probes.filtered()


def _no_core() -> None:
    """exec makes a process dumpable again, and a core_pattern that is a program gets cores although the limit is 0. Of
    a process whose limit is 1 byte it gets none (core(5); do_coredump in the kernel's fs/coredump.c, which keeps such
    programs from dumping into themselves); and 1 byte is too little for a file, too."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError:  # the hard limit is 0 already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _lock(program: Path, read: list[Path], socket_folder: Path | None) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _no_core()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    granted = [
        ({Path(path) for path in _CODE} | {program}, READ | Fs.EXECUTE),
        ({Path(path) for path in _LOOKED_AT} | set(read), READ),
        ([Path("/dev/null")], READ | Fs.WRITE_FILE),
    ]
    if socket_folder is not None:
        granted.append(([socket_folder], Fs.MAKE_SOCK))
    landlock.restrict(landlock.rights(granted))


if __name__ == "__main__":
    main(sys.argv[1:])
