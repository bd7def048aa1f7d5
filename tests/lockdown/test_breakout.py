"""Each service, taken over from inside: the kernel refuses, in every thread, and the mesh goes on serving."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import matplotlib
import pillow_heif
import pytest
from PIL import Image

from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh
from clients.local.pki import OPERATOR, Pki
from clients.sdk.client import MayflyClient
from clients.sdk.results import Result
from mesh.lockdown.policy import PERMISSIVE
from mesh.log_fields import is_allowed
from mesh.testing.wait import eventually
from tests.e2e import books
from tests.lockdown import attempts
from tests.lockdown.attempts import ALLOWED, LEFT, Target
from tests.photos import planted_jpeg

ROOT = Path(__file__).parents[2]
# Without rights that root has, the kernel refuses these to anybody, locked or not.
NEEDS_RIGHTS = {
    "swap on", "chroot", "bpf", "perf events", "userfaultfd", "io_uring", "a file by its handle", "raw", "packet",
    "keyring", "user namespace", "clone into a user namespace", "ptrace", "another's memory",
    "unlimited core dumps", "unlimited files", "link",
}  # fmt: skip
UNPROVEN = {"a call of the next kernel"} | (NEEDS_RIGHTS if os.geteuid() else set())
# Made so that they do nothing where nothing stops them; or the machine has no such thing.
HARMLESS = {
    "bpf", "perf events", "sendfile", "splice", "copy a range", "a file by its handle", "swap on", "openat2",
    "another's descriptor", "typing into a terminal", "typing into a terminal by a longer command",
    "pasting into a console", "a pair over the cluster's bus", "vsock", "multipath tcp", "tcp fast open", "io_uring",
}  # fmt: skip
FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """With an intruder in each service."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "home").mkdir()
    modules = dict.fromkeys(SERVICES, "tests.lockdown.variant")
    overrides = {service: {"HOME": str(folder / "home")} for service in SERVICES}
    with LocalMesh(folder / "mesh", overrides, modules=modules) as up:
        yield up


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, mesh: LocalMesh) -> Iterator[Target]:
    """What there is to attack; all of it works for us."""
    folder = Path(tempfile.mkdtemp(prefix="mayfly-target-"))
    (folder / "victim").write_bytes(b"here before")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as path:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0{folder.name}")
        path.bind(str(folder / "s"))
        for listening in (tcp, abstract, path):
            listening.listen(64)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox:
            mailbox.bind(str(folder / "m"))
            yield Target(
                victim=str(folder / "victim"),
                secret=str(Pki(mesh.state.pki).key(OPERATOR)),
                port=tcp.getsockname()[1],
                abstract=folder.name,
                path=str(folder / "s"),
                mailbox=str(folder / "m"),
            )
    assert (folder / "victim").read_bytes() == b"here before"


def intrude(mesh: LocalMesh, service: str, target: Target) -> dict[str, dict[str, str]]:
    told = json.dumps({name: getattr(target, name) for name in Target.__slots__}, separators=(",", ":"))
    url = f"http://{mesh.ops_address(service)}/intruder/?{quote(told)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, dict[str, str]] = json.load(answer)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_kernel_refuses_in_every_thread(mesh: LocalMesh, target: Target, service: str) -> None:
    found = intrude(mesh, service, target)
    in_decoder = found.pop("decoder", None)
    expected = attempts.expected(service)
    wrong = {
        (thread, attempt): said
        for thread, table in found.items()
        for attempt, said in table.items()
        if attempt in expected and said not in expected[attempt]
    }
    assert not wrong
    assert set(found) == {"ops thread", "event loop", "executor"}
    assert (in_decoder is not None) == (service in ("ingest", "render"))
    assert set((in_decoder or {}).values()) <= {"KILLED", "EPERM", "EACCES", "EBADF"}
    assert not [folder for folder in FOLDERS if Path(folder, LEFT).exists()]
    assert not list(mesh.state.root.rglob(LEFT))


def test_nothing_else_ends_the_attempts_so(target: Target, tmp_path: Path) -> None:
    """Otherwise a refusal would show nothing: unlocked, each succeeds, or fails for another reason than when locked."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lockdown.unlocked"],
        input=json.dumps({name: getattr(target, name) for name in Target.__slots__}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said: dict[str, str] = json.loads(done.stdout)
    for service in SERVICES:
        expected = attempts.expected(service)
        alike = {name for name, what in said.items() if what in expected.get(name, ())}
        assert alike <= UNPROVEN, {name: said[name] for name in alike}
    assert {name for name, what in said.items() if what != ALLOWED} <= UNPROVEN | HARMLESS, said


async def test_a_photo_s_trip_goes_on_as_before(mesh: LocalMesh) -> None:
    sample = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    photo, _ = planted_jpeg(sample.read_bytes())
    result = await enhance(mesh, photo)
    receipt = (await books.balance(mesh))[result.photo_id]
    assert receipt.outcome == "settled"
    held = {"landlock_files", "landlock_tcp", "seccomp", "no_exec", "no_swap", "no_file_growth", "no_inherited_files"}
    for service in ("gateway", "ingest", "render"):
        assert held <= set(receipt.lockdown[service])
        assert PERMISSIVE not in receipt.lockdown[service]


async def test_a_template_that_died_is_replaced_although_exec_is_refused(mesh: LocalMesh) -> None:
    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    Image.effect_noise((256, 256), 40).convert("RGB").save(out, "HEIF")
    (nursery,) = children_of(mesh.pid("ingest"))
    (template,) = children_of(nursery)
    os.kill(template, signal.SIGKILL)
    await eventually(lambda: children_of(nursery) != [template])
    assert (await enhance(mesh, out.getvalue())).scrubbed.format == "jpeg"
    assert children_of(nursery) not in ([], [template])


def test_what_is_kept_of_their_output_is_log_lines_alone(mesh: LocalMesh) -> None:
    for service in SERVICES:
        lines = mesh.log_file(service).read_text().splitlines()
        assert lines
        for line in lines:
            assert all(is_allowed(name, value) for name, value in json.loads(line).items()), line


def test_onnxruntime_wrote_no_database_at_home(mesh: LocalMesh) -> None:
    """HOME of this mesh's processes is a folder of their own (fixture)."""
    assert not list(home_of(mesh).rglob("*"))


async def test_a_crash_leaves_no_core(mesh: LocalMesh) -> None:
    """The last: it ends a service. Asked of the kernel, which knows whether it wrote one, wherever to (waitid(2))."""
    pid = mesh.pid("render")
    mesh.kill("render", signal.SIGSEGV)
    ended = await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGSEGV)
    await eventually(lambda: not mesh.is_alive("render"))


async def enhance(mesh: LocalMesh, photo: bytes) -> Result:
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        scene = next(scene for scene in await client.scenes() if scene.kind == "enhance")
        result = await client.render(photo, scene.scene_id)
        await client.get_receipt(result.photo_id, wait_for_inclusion=True)
        return result


def children_of(pid: int) -> list[int]:
    """proc_pid_task(5)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def home_of(mesh: LocalMesh) -> Path:
    return mesh.state.root.parent / "home"
