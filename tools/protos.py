"""Generates the stubs in ``mayfly/`` from ``protos/``; with ``--check``, compares instead of writing.

Usage: python -m tools.protos [--check]
"""

from __future__ import annotations

import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"


def generate(into: Path) -> None:
    """Runs protoc for every proto, the well-known types from grpcio-tools."""
    well_known = Path(protoc.__file__).parent / "_proto"
    protos = sorted(str(path) for path in SOURCES.rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python", "mypy_grpc")]
    if protoc.main(["protoc", f"-I{SOURCES}", f"-I{well_known}", *outputs, *protos]) != 0:
        sys.exit("protoc failed")
    for folder in [path for path in (into / "mayfly").rglob("*") if path.is_dir()]:
        (folder / "__init__.py").touch()
    (into / "mayfly" / "__init__.py").touch()


def stubs(folder: Path) -> set[Path]:
    """The generated files below ``folder``, relative to it."""
    return {path.relative_to(folder) for pattern in ("*.py", "*.pyi") for path in folder.rglob(pattern)}


def main() -> None:
    committed = ROOT / "mayfly"
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = Path(scratch) / "mayfly"
        if "--check" not in sys.argv:
            for stale in stubs(committed) - stubs(fresh):
                (committed / stale).unlink()
            shutil.copytree(fresh, committed, dirs_exist_ok=True)
            return
        names = sorted(stubs(fresh) | stubs(committed))
        _, differ, missing = filecmp.cmpfiles(fresh, committed, [str(name) for name in names], shallow=False)
        if differ or missing:
            sys.exit(f"stubs are not what protos/ says; run `make protos`: {', '.join(sorted(differ + missing))}")
        sys.stdout.write(f"{len(names)} stubs are what protos/ says\n")


if __name__ == "__main__":
    main()
