"""The command as a process, against a gateway that follows a script."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.cli import resume
from clients.cli.exits import ExitCode
from clients.sdk.results import Lease
from mesh.errors import Denied, Internal, Invalid, MeshError, NotFound, Overdue, Unauthenticated, Unavailable
from tests.unit.clients.double import BUNDLE, PHOTO_ID, PICTURE, PREVIEW, RESUME_TOKEN, PhotoService

PHOTO = b"photo" * 1000


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Mayfly:
    """Runs the command in ``folder``, signed in at ``address``."""

    def __init__(self, address: str, folder: Path) -> None:
        self.folder = folder
        (folder / "token").write_text("a-token\n")
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "MAYFLY_ADDRESS": address,
            "MAYFLY_CA": str(folder / "pki" / "ca.pem"),
            "MAYFLY_TOKEN_FILE": str(folder / "token"),
            "GRPC_VERBOSITY": "NONE",
        }

    async def start(self, *args: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "clients.cli",
            *args,
            cwd=self.folder,
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *args: str) -> Ran:
        process = await self.start(*args)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def mayfly(address: str, tmp_path: Path) -> Mayfly:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    return Mayfly(address, tmp_path)


async def test_render(mayfly: Mayfly, service: PhotoService) -> None:
    ran = await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--receipt", "r.json")
    assert (ran.code, ran.err) == (0, "")
    assert "gps (48 bytes)" in ran.out and PHOTO_ID in ran.out
    assert (mayfly.folder / "out.jpg").read_bytes() == PICTURE
    assert (mayfly.folder / "r.json").read_bytes() == BUNDLE
    assert len(bytes.fromhex((mayfly.folder / "r.json.nonce").read_text())) == 32
    assert (mayfly.folder / "r.json.nonce").stat().st_mode & 0o777 == 0o600
    assert bytes(service.photo) == PHOTO and service.tokens == ["Bearer a-token"]


async def test_render_for_a_program(mayfly: Mayfly) -> None:
    ran = await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--json")
    value = ran.json()
    assert (ran.code, ran.err) == (0, "")
    assert (value["photo_id"], value["output"], value["byte_count"]) == (PHOTO_ID, "out.jpg", len(PICTURE))
    assert value["scrubbed"]["removed"] == {"gps": 48} and value["receipt_arrived"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("UNKNOWN_SCENE", "There is no such scene.", field="start.scene_id"), ExitCode.REFUSED),
        (Unauthenticated("TOKEN_EXPIRED", "Sign in again."), ExitCode.NOT_ALLOWED),
        (Denied("NO", "No."), ExitCode.NOT_ALLOWED),
        (NotFound("PHOTO_NOT_FOUND", "Gone."), ExitCode.NOT_FOUND),
        (Unavailable("REGISTRY_UNAVAILABLE", "Try again.", retry_after=2), ExitCode.AGAIN),
        (Overdue("LEASE_EXPIRED", "Try again."), ExitCode.AGAIN),
        (Internal("INTERNAL", "Internal error."), ExitCode.INTERNAL),
    ],
)
async def test_an_error_is_one_line_and_a_status(
    mayfly: Mayfly, service: PhotoService, error: MeshError, code: ExitCode
) -> None:
    service.refuse_start = error
    ran = await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("mayfly: ") and ran.err.count("\n") == 1 and error.message in ran.err
    assert not (mayfly.folder / "out.jpg").exists()


async def test_an_error_for_a_program(mayfly: Mayfly, service: PhotoService) -> None:
    service.refuse_start = Unavailable("REGISTRY_UNAVAILABLE", "Try again.", retry_after=2)
    ran = await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--json")
    assert (ran.code, ran.err) == (ExitCode.AGAIN, "")
    assert ran.json() == {
        "error": {"reason": "REGISTRY_UNAVAILABLE", "message": "Try again.", "retry_after": 2.0},
    }


@pytest.mark.parametrize(
    "args",
    [
        ("render", "nothing.jpg", "--scene", "s", "-o", "out.jpg"),
        ("render", "photo.jpg", "--scene", "s", "-o", "."),
        ("render", "photo.jpg", "--scene", "s", "-o", "nowhere/out.jpg"),
        ("render", "photo.jpg", "--scene", "s", "-o", "photo.jpg"),
        ("render", "photo.jpg", "-o", "out.jpg"),
        ("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--ttl", "0"),
        ("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--ca", "nothing.pem"),
        ("collect", "--resume-file", "nothing", "-o", "out.jpg"),
        ("collect", "--resume-file", "photo.jpg", "-o", "out.jpg"),
        ("revoke",),
        ("revoke", PHOTO_ID, "--all"),
        ("receipt",),
        ("verify", "nothing.json"),
        ("verify", "photo.jpg"),
        ("token",),
        ("token", "--seconds", "7200"),
        ("no-such-command",),
        ("demo", "nothing.jpg"),
    ],
    ids=" ".join,
)
async def test_wrong_use_never_reaches_the_mesh(mayfly: Mayfly, service: PhotoService, args: tuple[str, ...]) -> None:
    ran = await mayfly(*args)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith("mayfly: ") and ran.err.count("\n") == 1
    assert not service.tokens and (mayfly.folder / "photo.jpg").read_bytes() == PHOTO


async def test_the_resume_file_is_private_and_goes_when_the_picture_is_safe(mayfly: Mayfly) -> None:
    ran = await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--resume-file", "resume")
    assert ran.code == 0 and not (mayfly.folder / "resume").exists()


async def test_collect_after_a_render_that_failed(mayfly: Mayfly, service: PhotoService) -> None:
    service.refuse_chunk = Unavailable("ENGINE_UNAVAILABLE", "Try again.")
    await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--resume-file", "resume")
    assert (mayfly.folder / "resume").stat().st_mode & 0o777 == 0o600
    nonce = resume.load(mayfly.folder / "resume").nonce
    service.not_parked_yet = 2

    ran = await mayfly("collect", "--resume-file", "resume", "-o", "out.jpg", "--receipt", "r.json", "--json")

    assert ran.json()["photo_id"] == PHOTO_ID and ran.code == 0
    assert (mayfly.folder / "out.jpg").read_bytes() == PICTURE
    assert (mayfly.folder / "r.json.nonce").read_text().strip() == nonce.hex()
    assert not (mayfly.folder / "resume").exists()


async def test_a_picture_that_can_not_be_written_stays_with_the_mesh_for_a_second_try(
    mayfly: Mayfly, service: PhotoService
) -> None:
    service.refuse_chunk = Unavailable("ENGINE_UNAVAILABLE", "Try again.")
    await mayfly("render", "photo.jpg", "--scene", "s", "-o", "out.jpg", "--resume-file", "resume")
    failed = await mayfly("collect", "--resume-file", "resume", "-o", "o" * 255)
    assert (failed.code, service.confirmed) == (ExitCode.USAGE, [])
    assert len(service.collects) == 1
    assert (await mayfly("collect", "--resume-file", "resume", "-o", "out.jpg")).code == 0
    [claimant] = {request.claimant for request in service.collects}
    assert service.confirmed == [claimant]


async def test_collect_of_another_photo(mayfly: Mayfly) -> None:
    lease = Lease("f" * 32, resume.datetime.now(resume.UTC), RESUME_TOKEN)
    resume.save(mayfly.folder / "resume", lease)
    assert (await mayfly("collect", PHOTO_ID, "--resume-file", "resume", "-o", "out.jpg")).code == ExitCode.USAGE
    assert (await mayfly("collect", "--resume-file", "resume", "-o", "out.jpg")).code == ExitCode.NOT_FOUND
    assert (mayfly.folder / "resume").exists()


async def test_ctrl_c_takes_the_photo_back(mayfly: Mayfly, service: PhotoService) -> None:
    service.hold_upload = True
    process = await mayfly.start("render", "photo.jpg", "--scene", "s", "-o", "out.jpg")
    await service.upload_held.wait()
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, b"", b"mayfly: Interrupted.\n")
    assert service.revoked == [PHOTO_ID]


async def test_revoke(mayfly: Mayfly, service: PhotoService) -> None:
    assert (await mayfly("revoke", PHOTO_ID)).code == 0 and service.revoked == [PHOTO_ID]
    assert (await mayfly("revoke", "0" * 32)).code == ExitCode.NOT_FOUND
    everything = await mayfly("revoke", "--all", "--json")
    assert everything.json() == {"revoked": 2, "confirmed": 1, "pending_photo_ids": ["f" * 32]}


async def test_receipt(mayfly: Mayfly) -> None:
    assert (await mayfly("receipt", PHOTO_ID)).out == BUNDLE.decode() + "\n"
    await mayfly("receipt", PHOTO_ID, "-o", "r.json")
    assert (mayfly.folder / "r.json").read_bytes() == BUNDLE


async def test_scenes(mayfly: Mayfly) -> None:
    assert "six months" in (await mayfly("scenes")).out
    [scene] = (await mayfly("scenes", "--json")).json()["scenes"]
    assert (scene["scene_id"], scene["kind"]) == ("s", "milestone")
    assert (scene["min_side"], scene["cost"], scene["preview"]) == (256, "heavy", None)


async def test_previews_of_scenes(mayfly: Mayfly) -> None:
    [scene] = (await mayfly("scenes", "--json", "--previews", "shown/here")).json()["scenes"]
    assert scene["preview"] == "shown/here/s.jpg"
    assert (mayfly.folder / "shown" / "here" / "s.jpg").read_bytes() == PREVIEW
    ran = await mayfly("scenes", "--previews", "shown/here/s.jpg")
    assert ran.code != 0 and "can't be made" in ran.err


async def test_a_reader_that_has_enough_is_no_error(mayfly: Mayfly) -> None:
    process = await mayfly.start("--help")
    assert process.stdout is not None and process.stderr is not None
    process.stdout._transport.close()  # type: ignore[attr-defined] # as `mayfly --help | true` does
    assert await process.stderr.read() == b""
    await process.wait()


async def test_help_names_every_exit_status(mayfly: Mayfly) -> None:
    ran = await mayfly("--help")
    text = " ".join(ran.out.split())
    assert ran.code == 0 and all(f"{int(code)} " in text for code in ExitCode)
