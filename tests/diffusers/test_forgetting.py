"""What a model has worked on is overwritten when it is done, whatever of torch and its libraries had it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import numpy as np
import pytest

from benchmarks.forgetting import noise
from clients.local import auditing
from services.purge.auditor.hunt import memory
from services.purge.auditor.hunt.index import Needle, NeedleIndex
from services.render.decoding import decode_here
from services.render.engines.diffusers.engine import DiffusersEngine
from services.render.engines.diffusers.pipeline import Weights
from tests.diffusers import needs_the_extra
from tests.scene_subjects import child, job, saved

pytestmark = [
    needs_the_extra,
    pytest.mark.skipif(not auditing.may_read_others(), reason="takes CAP_SYS_PTRACE"),
    pytest.mark.timeout(400),
]


_LAST = 4
"""Calls of each part whose tensors are looked for: what is kept is the last. An index of all takes a minute."""


def test_nothing_of_a_photo_is_left_when_its_picture_is_gone(engine: DiffusersEngine, weights: Weights) -> None:
    """As torch comes, 176 KB of this photo's tensors stay, in pieces of 2 KB, for as long as the process lives."""
    photo, scene = noise(31), "watercolour"
    others = [needle.data for needle in tensors_of(engine, saved(child()), scene)]
    index = NeedleIndex(tensors_of(engine, photo, scene), common=others)
    with painting(weights, scene, photo) as painter:
        assert painter.says() == "midway"
        assert memory.search(painter.pid, index).residue > 10_000, "while it works it has them"
        painter.go_on()
        assert painter.says() == "gone"
        assert memory.search(painter.pid, index).residue == 0


def tensors_of(engine: DiffusersEngine, photo: bytes, scene: str) -> list[Needle]:
    """What goes through the model's parts: the same numbers in every process, since the engine is deterministic."""
    seen: list[Needle] = [Needle("photo", photo), Needle("pixels", decode_here("jpeg", [photo]).rgb[::8].tobytes())]
    last = defaultdict[Any, deque[Needle]](lambda: deque(maxlen=_LAST))
    pipeline = engine._pipeline
    assert pipeline is not None

    def see(module: Any, given: tuple[Any, ...], made: Any) -> None:
        for what, value in (("given", given[0]), ("made", made)):
            tensor = value[0] if isinstance(value, tuple) else value
            data = np.ascontiguousarray(tensor.numpy()).tobytes()
            last[module, what].append(Needle(f"{type(module).__name__} {what}", data))

    parts = pipeline._around
    with ExitStack() as hooked:
        for part in (parts.vae.encoder, parts.unet, parts.unet.down_blocks[0].resnets[0], parts.vae.decoder):
            hooked.enter_context(_hook(part, see))
        picture = engine.render(job(photo, scene), lambda step, at: None, lambda: False)
    return [*seen, *chain.from_iterable(last.values()), Needle("picture", picture.data)]


@contextmanager
def _hook(part: Any, see: Any) -> Iterator[None]:
    handle = part.register_forward_hook(see)
    try:
        yield
    finally:
        handle.remove()


class Painter:
    """``tests.diffusers.painter``, stopped wherever it says so."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


@contextmanager
def painting(weights: Weights, scene: str, photo: bytes) -> Iterator[Painter]:
    command = [sys.executable, "-m", "tests.diffusers.painter", str(weights.folder), weights.manifest, scene]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        try:
            painter = Painter(process)
            assert process.stdin is not None
            process.stdin.write(len(photo).to_bytes(4, "big") + photo)
            process.stdin.flush()
            yield painter
        finally:
            process.kill()
