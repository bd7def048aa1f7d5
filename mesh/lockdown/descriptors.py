"""What was open when we were started: a descriptor of a file is a way to a disk that Landlock doesn't close."""

from __future__ import annotations

import os
import stat

from mesh.lockdown.reads import NULL

_HIGHEST_FD = 1 << 20


def close_inherited() -> bool:
    """Closes all beyond the standard three, and gives stdin nothing to read. Says whether none of the three is a file.

    A pipe, a terminal or a socket takes logs to whoever is to keep them; a file would take whatever is written to it.
    """
    os.closerange(3, _HIGHEST_FD)
    null = os.open(NULL, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 0:
        os.close(null)
    return no_file_is_open()


def no_file_is_open() -> bool:
    """Asked of the kernel: whether neither stdout nor stderr is a regular file, or a disk itself."""
    return not any(_is_file(fd) for fd in (1, 2))


def _is_file(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) or stat.S_ISBLK(mode)
    except OSError:
        return False
