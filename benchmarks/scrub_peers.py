"""Other tools that strip metadata, where this machine has them: jpegtran, exiftool, mat2, libvips.

Each is given the file in memory (a pipe, or /dev/shm where the tool wants a path) and its whole CPU time is counted:
of a process of its own with its start, of one that is kept open without it.
"""

from __future__ import annotations

import io
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from PIL import Image

Peer = Callable[[bytes], bytes]
"""A file in, the stripped file out; raises or returns something else where it can't."""

_SUFFIX = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"RI": ".webp"}
_VIPS = """
import sys, pyvips
print("ready", flush=True)
for line in sys.stdin:
    source, target = line.rstrip("\\n").split("\\t")
    pyvips.Image.new_from_file(source, access="sequential").write_to_file(target, keep="none")
    print("ready", flush=True)
"""


class KeptOpen:
    """A tool that takes orders on stdin and answers each with one line."""

    def __init__(self, command: list[str], order: Callable[[Path, Path], str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._order, self._folder = order, folder

    @property
    def cpu(self) -> float:
        """Seconds, user and system, all threads: the POSIX CPU clock of that process (clock_getcpuclockid)."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def answer(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"ready" in line:
                return
        raise RuntimeError("the tool has ended")

    def __call__(self, data: bytes) -> bytes:
        suffix = _SUFFIX[data[:2]]
        source, target = self._folder / f"in{suffix}", self._folder / f"out{suffix}"
        source.write_bytes(data)
        for old in self._folder.glob("out*"):
            old.unlink()
        assert self._process.stdin is not None
        self._process.stdin.write(self._order(source, target).encode())
        self._process.stdin.flush()
        self.answer()
        return next(self._folder.glob("out*")).read_bytes()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def piped(command: list[str]) -> Peer:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def mat2(folder: Path) -> Peer:
    def run(data: bytes) -> bytes:
        source = folder / f"mat2{_SUFFIX[data[:2]]}"
        source.write_bytes(data)
        subprocess.run(["mat2", "--inplace", str(source)], capture_output=True, check=True)
        return source.read_bytes()

    return run


@contextmanager
def peers(vips_python: str | None) -> Iterator[dict[str, Peer]]:
    """By name, those that are here."""
    shared = Path("/dev/shm")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)))
        here: dict[str, Peer] = {}
        if shutil.which("jpegtran"):
            here["jpegtran -copy none"] = piped(["jpegtran", "-copy", "none"])
        if shutil.which("exiftool"):
            here["exiftool, one shot"] = piped(["exiftool", "-all=", "-o", "-", "-"])
            here["exiftool, kept open"] = kept = KeptOpen(["exiftool", "-stay_open", "True", "-@", "-"], _exif, folder)
            stack.callback(kept.close)
        if shutil.which("mat2"):
            here["mat2"] = mat2(folder)
        if vips_python:
            here["libvips, kept open"] = vips = KeptOpen([vips_python, "-c", _VIPS], "{}\t{}\n".format, folder)
            stack.callback(vips.close)
            vips.answer()
        yield here


def _exif(source: Path, target: Path) -> str:
    bare = target.with_suffix("")  # exiftool 12 writes a WebP, but not into a name that says so
    return f"-all=\n-o\n{bare}\n{source}\n-execute\n"


def works(peer: Peer, data: bytes) -> bool:
    """Whether it strips this format: the picture is whole, what was planted is gone."""
    with suppress(Exception):
        out = peer(data)
        with Image.open(io.BytesIO(out)) as image:
            image.load()
        return b"DEMO-" not in out
    return False


def cpu(run: Callable[[bytes], object], data: bytes) -> float:
    """CPU seconds, user and system, of this process and of whatever it started."""
    start = _cpu(run)
    run(data)
    return _cpu(run) - start


def _cpu(run: object) -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = run.cpu if isinstance(run, KeptOpen) else 0.0
    return time.process_time() + children.ru_utime + children.ru_stime + kept
