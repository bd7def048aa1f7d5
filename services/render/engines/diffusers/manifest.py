"""Which files a model's folder holds: all of them by their SHA-256, and nothing that could run code.

``manifest.json`` lists the folder; the deployment's settings pin the manifest by its own SHA-256, so that whoever may
write to the folder still can't change what is loaded. Writing one is an operator's act, after a look at what is there:

    python -m services.render.engines.diffusers.manifest FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mesh.errors import ConfigError

NAME = "manifest.json"
SUFFIXES = frozenset({".safetensors", ".json", ".txt"})
"""Tensors without code, settings, and a tokenizer's words. Pickles (.bin, .ckpt, .pt) run what they are told to."""


def write(folder: Path) -> str:
    """Lists what is there in ``manifest.json``; returns that file's SHA-256. Raises ConfigError for what may not be."""
    hashes = {name: _sha256(file) for name, file in sorted(_files(folder))}
    if not hashes:
        raise ConfigError(f"{folder}: no files here")
    (folder / NAME).write_text(json.dumps({"files": hashes}, indent=1) + "\n", encoding="utf-8")
    return _sha256(folder / NAME)


def verify(folder: Path, pinned: str) -> None:
    """Reads every byte of the folder. pinned: the manifest's SHA-256.

    Raises ConfigError unless the manifest is the pinned one, and exactly its files are there, as they were.
    """
    listed = _listed(folder, pinned)
    found = dict(_files(folder))
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            raise ConfigError(f"{folder}: {name} is missing")
        if name not in listed:
            raise ConfigError(f"{folder}: {name} is not in {NAME}")
        if _sha256(found[name]) != listed[name]:
            raise ConfigError(f"{folder}: {name} is not the file that {NAME} lists")


def _listed(folder: Path, pinned: str) -> Mapping[str, str]:
    try:
        data = (folder / NAME).read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder / NAME}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != pinned:
        raise ConfigError(f"{folder / NAME} is not the one that MAYFLY_RENDER_DIFFUSERS_MANIFEST pins")
    try:
        files = json.loads(data)["files"]
        return {str(name): str(sha256) for name, sha256 in files.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(f"{folder / NAME} is no manifest") from None


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of all files beneath it but the manifest."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        # A link could lead elsewhere, and somewhere else again after the check.
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ConfigError(f"{folder}: {name} is neither a file nor a folder; copy what it leads to")
        if path.is_dir() or name == NAME:
            continue
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"{folder}: {name} is none of {', '.join(sorted(SUFFIXES))}")
        yield name, path


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.render.engines.diffusers.manifest", description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    try:
        sha256 = write(args.folder)
    except ConfigError as error:
        parser.exit(78, f"{error}\n")
    sys.stdout.write(
        f"MAYFLY_RENDER_DIFFUSERS_DIR={args.folder.resolve()}\nMAYFLY_RENDER_DIFFUSERS_MANIFEST={sha256}\n"
    )


if __name__ == "__main__":
    main()
