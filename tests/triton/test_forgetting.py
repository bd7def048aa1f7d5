"""What render keeps of an inference: nothing, once the connection is rinsed; and without the measures there is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from clients.local import auditing
from mesh.forgetting.environment import SETTINGS
from services.purge.auditor.hunt import memory
from services.purge.auditor.hunt.index import Needle, NeedleIndex
from services.render.engines.triton.pool import Pool
from tests.triton.conftest import Pools, is_ready
from tests.triton.remembering import infer, pictures
from tests.triton.server import ROOT, Authority, TritonServer, processors_file
from tests.unit.serving import authority, leaf

pytestmark = pytest.mark.skipif(not auditing.may_read_others(), reason="takes CAP_SYS_PTRACE")


class Client:
    """The process that is searched."""

    def __init__(self, folder: Path, listed: Path, environment: dict[str, str]) -> None:
        pair, pems = leaf("render"), [folder / name for name in ("cert.pem", "key.pem", "ca.pem")]
        for path, pem in zip(
            pems, (pair.certificate_pem(), pair.key_pem(), authority().certificate_pem()), strict=True
        ):
            path.write_bytes(pem)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.triton.remembering", str(listed), *map(str, pems)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in SETTINGS} | environment,
        )  # fmt: skip

    def does(self, word: str) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert "done\n" in iter(self.process.stdout.readline, ""), "it has ended"

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture
async def pool(triton: TritonServer, pools: Pools) -> Pool:
    made = pools.pool(triton.address)
    made.start()
    await is_ready(made)
    return made


@pytest.fixture
def client(
    pool: Pool, triton: TritonServer, operator: Authority, tmp_path: Path
) -> Iterator[Callable[[dict[str, str]], Client]]:
    listed = processors_file(tmp_path / "list", ca=operator.ca, endpoints=[triton.address])
    started: list[Client] = []

    def start(environment: dict[str, str]) -> Client:
        started.append(Client(tmp_path, listed, environment))
        return started[-1]

    yield start
    for each in started:
        each.end()


def _needles(pool: Pool, seed: int) -> NeedleIndex:
    """The pictures as steps have them and as tensors, and what came back in both shapes."""
    sent, received = pictures(seed), infer(pool, seed)
    shapes = [np.ascontiguousarray(each) for each in (*sent, *(each.transpose(2, 0, 1) for each in sent), *received)]
    shapes.append(np.ascontiguousarray(received[1].transpose(2, 0, 1)))
    return NeedleIndex([Needle(str(number), each.tobytes()) for number, each in enumerate(shapes)])


def _left(client: Client, index: NeedleIndex) -> int:
    return memory.search(client.process.pid, index).residue


def test_without_the_measures_there_is_something_to_find(
    client: Callable[[dict[str, str]], Client], pool: Pool
) -> None:
    plain = client({})
    plain.does("infer 1")
    assert _left(plain, _needles(pool, 1)) > 100_000


def test_a_rinse_takes_what_the_connection_keeps(client: Callable[[dict[str, str]], Client], pool: Pool) -> None:
    ours = client(dict(SETTINGS))
    for seed in (2, 3):
        ours.does(f"infer {seed}")
        index = _needles(pool, seed)
        assert 0 < _left(ours, index) <= (16 + 8) << 10, "what gRPC's TLS keeps, and nothing else"
        ours.does("rinse")
        assert _left(ours, index) == 0
