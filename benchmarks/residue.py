"""What stays of a photo in the usual service, and which files it writes: the auditor's own hunt, turned on it.

python -m benchmarks.residue (needs the extra `bench`, and root for other processes' memory). Writes results/residue.md.
"""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clients.local.ports import free_ports
from services.purge.auditor.canary import canary
from services.purge.auditor.canary.canary import Canary
from services.purge.auditor.endings import ENDINGS, Gone
from services.purge.auditor.hunt.index import NeedleIndex
from services.purge.auditor.hunt.memory import learn
from services.purge.auditor.places import processes
from services.purge.auditor.places.descriptors import Descriptors
from services.purge.auditor.places.files import Files
from services.purge.auditor.run import Ended, hunted_for

RESULTS = Path(__file__).with_name("results") / "residue.md"
KINDS = {"jpeg": "JPEG, 384 × 288", "png": "PNG, 384 × 288", "webp": "WebP, 192 × 128", "png_large": "PNG, 3072 × 160"}
REPEATS = 8  # photos of each kind; the last one is hunted for
SETTLE = 1.0  # seconds
_UP_WITHIN = 30.0


@dataclass(slots=True)
class Left:
    """Of one photo. upload, pixels, picture: share of their windows that are still in memory. opened: for writing."""

    size: int
    upload: float
    pixels: float
    picture: float
    opened: list[str] = field(default_factory=list)
    named: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)


class Service:
    """The usual service, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        env = {**os.environ, "TMPDIR": str(folder), "FILES": str(write), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "uvicorn", "benchmarks.residue_service:app", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--log-level", "error"], env=env, pass_fds=[write], stdin=subprocess.DEVNULL
        )
        os.close(write)
        self.pid = self._process.pid

    def opened(self) -> list[str]:
        """Files that were opened for writing since the last call."""
        try:
            return os.read(self._read, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []

    def thumbnail(self, photo: bytes) -> bytes:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="baby.jpg"\r\n\r\n'
        body = head.encode() + photo + f"\r\n--{boundary}--\r\n".encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                "POST", "/thumbnail", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            )
            answer = connection.getresponse()
            picture = answer.read()
            assert answer.status == http.client.OK, answer.status
            return picture
        finally:
            connection.close()

    def wait(self) -> None:
        deadline = time.monotonic() + _UP_WITHIN
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                connection.request("GET", "/openapi.json")
                connection.getresponse().read()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the service did not start; pip install -e '.[bench]'?") from None
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._read)


@contextmanager
def running() -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        try:
            service.wait()
            yield service
        finally:
            service.stop()


def measure(kind: str) -> Left:
    with running() as service:
        for _ in range(REPEATS - 1):
            service.thumbnail(canary.make(kind).data)
        service.opened()
        others = service.thumbnail(canary.make(kind).data)
        service.opened()
        files, sent = Files([("service", service.folder)], processes=dict), canary.make(kind)
        picture = service.thumbnail(sent.data)
        time.sleep(SETTLE)
        opened = service.opened()
        hunted = hunted_for([Ended(ENDINGS[0], sent, Gone("", picture))], [others])

        def mine() -> dict[str, list[int]]:
            return processes.find([("service", str(service.pid))])

        named = files.search(hunted)
        unnamed = Descriptors(mine).search(hunted)
        return Left(
            len(sent.data),
            *_shares(service.pid, sent, picture, others),
            ["one without a name in TMPDIR" if path == str(service.folder) else Path(path).name for path in opened],
            Counter(found.detail for searched in named for found in searched.found),
            Counter(found.detail for searched in unnamed for found in searched.found),
        )


def _shares(pid: int, sent: Canary, picture: bytes, others: bytes) -> tuple[float, float, float]:
    """Of the upload, of its pixels (in whichever layout most is left), of the picture."""
    upload = NeedleIndex(sent.needles[:1], common=canary.twins(sent.kind))
    layouts = [NeedleIndex([needle]) for needle in sent.needles[1:]]
    made = NeedleIndex(list(canary.of_picture(picture))[:1], common=[others])
    return _share(pid, upload), max(_share(pid, index) for index in layouts), _share(pid, made)


def _share(pid: int, index: NeedleIndex) -> float:
    return len(learn(pid, index)) / max(1, index.size)


def _written(left: Left) -> str:
    if not left.opened:
        return "none"
    return ", ".join(sorted(set(left.opened)))


def main() -> None:
    rows = []
    for kind, title in KINDS.items():
        left = measure(kind)
        print(kind, left, flush=True)
        rows.append(
            f"| {title} | {left.size / 1e6:.2f} MB | {left.upload:.0%} | {left.pixels:.0%} | {left.picture:.0%} "
            f"| {_written(left)} |"
        )
    RESULTS.write_text(PAGE.format(repeats=REPEATS, settle=SETTLE, rows="\n".join(rows)))


PAGE = """# What stays of a photo in the usual service

`python -m benchmarks.residue`: FastAPI, python-multipart and Pillow (uvicorn, one process) take a photo by a form,
strip it by re-encoding, and answer with a thumbnail: what most services do. {repeats} synthetic photos of a kind went
through it, one after the other; {settle:.0f} s after the last answer its memory was searched for every 32-byte window
of the last one, by the auditor's own hunter ([docs/audit.md](../../docs/audit.md)).

| photo | size | upload in memory | pixels | thumbnail | files opened for writing |
| --- | --- | --- | --- | --- | --- |
{rows}

Starlette keeps an upload in memory up to 1 MB, and beyond that writes it to a file in the temporary folder, metadata
included: without a name, so that it goes with its descriptor, but on that folder's disk. Nothing here is a fault of
these libraries; freed memory is not wiped unless somebody asks for it.
What `make audit` finds in Mayfly, after photos that ended in every way, is in the table that it prints.
"""

if __name__ == "__main__":
    main()
