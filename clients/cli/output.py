"""Where a command's results go: stdout for programs, files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from clients.cli.exits import UsageFailed


def emit(value: Mapping[str, object]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, ensure_ascii=False))


def check_target(path: Path, *, never: Path | None = None) -> None:
    """Before the work begins: can ``path`` be written? ``never`` is what it must not replace."""
    if path.is_dir():
        raise UsageFailed(f"{path} is a folder; say which file to write.")
    if not path.absolute().parent.is_dir():
        raise UsageFailed(f"{path.absolute().parent}: no such folder.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise UsageFailed(f"{path.absolute().parent} can't be written.")
    if never is not None and path.exists() and never.exists() and path.samefile(never):
        raise UsageFailed(f"{path} is the photo itself; write the picture elsewhere.")


def write_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replaces ``path`` at once. private: readable by its owner only; otherwise as the umask has it."""
    fd, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if not private:
                os.fchmod(fd, 0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
