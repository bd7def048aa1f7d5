"""The demo: one photo, two scenes, and the proof that the photo is gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from clients.cli.exits import UsageFailed, VerificationFailed
from clients.cli.output import emit, write_file
from clients.cli.progress import progress_bars
from clients.demo import leftovers, sample, tables
from clients.demo.folder import demo_mesh
from clients.demo.outcome import Outcome, Shown
from clients.local.mesh import LocalMesh
from clients.local.public_keys import LOG, RECEIPTS, PublicKeys
from clients.sdk.client import MayflyClient
from clients.sdk.results import Result, Scene
from clients.verify import verify_bundle
from mesh.errors import Internal
from mesh.transparency.errors import VerificationError

_KINDS = ("milestone", "portrait")
_PREFERRED = ("spring_meadow", "watercolour")


def run(photo: Path | None, output: Path, state: Path, *, as_json: bool) -> None:
    """Raises whatever goes wrong; the mesh is stopped and its folder removed in any case."""
    signal.signal(signal.SIGTERM, _leave)  # so that `kill` tidies up as Ctrl-C does
    console = Console(stderr=as_json)
    taken = sample.load(photo)
    _make_folder(output)
    with demo_mesh(state) as mesh:
        console.print("Starting a mesh of its own: Valkey, purge, ingest, render, gateway …")
        mesh.start()
        outcome = asyncio.run(_show(mesh, taken, output, console, quiet=as_json))
    if as_json:
        emit(outcome.to_value())
        return
    tables.show(console, outcome)
    mayfly = _command()
    files = " and ".join(str(item.file) for item in outcome.shown)
    console.print(
        f"\nThe pictures are {files}; the receipts lie beside them. The demo's mesh is stopped.\n"
        f"Check a receipt yourself: {mayfly} verify {outcome.shown[0].receipt_file}"
        f" --key {output / RECEIPTS} --log-key {output / LOG}\n"
        f"Each says that it was made by a machine, and nothing of the photo: {mayfly} inspect {outcome.shown[0].file}\n"
        f"Then try your own: make demo PHOTO=path, or `{mayfly} up` and `{mayfly} render PHOTO --scene ID -o OUT`.",
        soft_wrap=True,
    )


async def _show(mesh: LocalMesh, taken: sample.Sample, output: Path, console: Console, *, quiet: bool) -> Outcome:
    keys = PublicKeys.of(mesh.state.root)
    if keys is None:
        raise Internal("INTERNAL", "The mesh did not say its public keys.")
    shown: list[Shown] = []
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token) as client:
        for scene in _choose(await client.scenes()):
            console.print(f"Rendering “{scene.title}” …")
            with progress_bars(quiet=quiet) as on_progress:
                result = await client.render(taken.data, scene.scene_id, on_progress=on_progress)
            bundle = await client.get_receipt(result.photo_id, wait_for_inclusion=True)
            shown.append(_write(output, scene, result, bundle, keys))
            _refuse_planted(leftovers.planted_in(result.picture.data + bundle, taken.canaries))
    # Other runs have other keys: without these, the receipts could not be checked once this mesh is gone.
    for name in (RECEIPTS, LOG):
        write_file(output / name, (mesh.state.pki / name).read_bytes())
    _refuse_planted(leftovers.planted_below(mesh.state.root, taken.canaries))
    return Outcome(shown, len(taken.canaries), _keys_left(mesh, shown))


def _choose(scenes: list[Scene]) -> list[Scene]:
    """One of each kind, the ones that we like best where they exist."""
    ranked = sorted(scenes, key=lambda scene: scene.scene_id not in _PREFERRED)
    return [next(scene for scene in ranked if scene.kind == kind) for kind in _KINDS]


def _write(output: Path, scene: Scene, result: Result, bundle: bytes, keys: PublicKeys) -> Shown:
    """The picture and its receipt, which is read back from its file and verified as anybody would."""
    picture, receipt = output / f"{scene.scene_id}.jpg", output / f"{scene.scene_id}.receipt.json"
    write_file(picture, result.picture.data)
    write_file(receipt, bundle)
    try:
        verified = verify_bundle(
            receipt.read_bytes(), receipt_keys=[keys.receipts], log_vkey=keys.log_vkey, nonce=result.nonce
        )
    except VerificationError as error:
        raise VerificationFailed(error.check, f"{receipt}: NOT verified. {error.sentence}") from None
    if not verified.logged:
        raise VerificationFailed("inclusion", f"{receipt}: the log did not include it in time.")
    return Shown(scene.scene_id, scene.title, result, picture, receipt, verified)


def _refuse_planted(names: list[str]) -> None:
    if names:
        raise VerificationFailed("planted", f"Metadata of the photo has survived: {', '.join(names)}.")


def _keys_left(mesh: LocalMesh, shown: list[Shown]) -> int | None:
    if not mesh.has_own_valkey:
        return None
    left = leftovers.keys_of((item.result.photo_id for item in shown), mesh.valkey_client_url)
    if left:
        raise VerificationFailed("keys", f"{left} keys of the photos are still in Valkey.")
    return left


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageFailed(f"The folder {output} can't be made: {error.strerror}.") from None


def _command() -> str:
    """How to call the command from here: it lies in an environment that may not be on the PATH."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "mayfly" and not shutil.which("mayfly") else "mayfly"


def _leave(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
