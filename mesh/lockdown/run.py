"""``python -m mesh.lockdown.run [--read PATH]… [--socket FOLDER] -- PROGRAM ARGUMENT…``: another's program, locked.

For a server that we start and didn't write: it may read its program, the system's libraries and what is named, make a
socket in one folder, and write to no file at all; no TCP, no core dump, no new
privileges. Then it is exec'd: whoever waits for this process waits for the server.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from pathlib import Path

from mesh.kernel import landlock
from mesh.kernel.landlock import READ, Fs

_CODE = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_LOOKED_AT = ("/proc", "/sys/devices/system", "/sys/kernel/mm", "/dev/urandom", "/usr/share/zoneinfo", "/etc/localtime")
EX_CONFIG = 78  # sysexits.h


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="mesh.lockdown.run")
    parser.add_argument("--read", action="append", default=[], type=Path)
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--permissive", action="store_true")
    parser.add_argument("program", nargs="+")
    told = parser.parse_args(arguments)
    try:
        _lock(Path(told.program[0]), told.read, told.socket)
        if not landlock.in_force() or landlock.abi() < landlock.ABI_NET:
            raise OSError
    except OSError:
        if not told.permissive:
            sys.exit("lockdown: this kernel can't hold the server: it needs Landlock's ABI 4, Linux 6.7")
    os.execv(told.program[0], told.program)  # noqa: S606 - what this module is for


def _lock(program: Path, read: list[Path], socket_folder: Path | None) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
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
