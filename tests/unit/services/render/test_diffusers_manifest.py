"""A model's folder is what its pinned manifest says, to the byte and to the file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.errors import ConfigError
from services.render.engines.diffusers import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    (folder / "model/unet").mkdir(parents=True)
    (folder / "model/unet/weights.safetensors").write_bytes(b"tensors")
    (folder / "model/model_index.json").write_text("{}")
    (folder / "model/merges.txt").write_text("#version: 0.2\n")
    return folder


def test_what_was_listed_passes(folder: Path) -> None:
    manifest.verify(folder, manifest.write(folder))
    assert manifest.write(folder) == manifest.write(folder), "the list of the same files is the same file"


def _alter(folder: Path) -> None:
    (folder / "model/unet/weights.safetensors").write_bytes(b"tensorz")


def _add(folder: Path) -> None:
    (folder / "model/unet/more.json").write_text("{}")


def _remove(folder: Path) -> None:
    (folder / "model/merges.txt").unlink()


def _link_elsewhere(folder: Path) -> None:
    (folder / "model/merges.txt").unlink()
    (folder.parent / "merges.txt").write_text("#version: 0.2\n")
    (folder / "model/merges.txt").symlink_to(folder.parent / "merges.txt")


def _link_a_folder(folder: Path) -> None:
    (folder / "model/vae").symlink_to(folder.parent)


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "model/pipe.json")


def _pickle(folder: Path) -> None:
    (folder / "model/unet/weights.bin").write_bytes(b"cos\nsystem\n")


def _code(folder: Path) -> None:
    (folder / "model/pipeline.py").write_text("")


def _manifest(folder: Path) -> None:
    (folder / manifest.NAME).write_text("{}")


def _no_manifest(folder: Path) -> None:
    (folder / manifest.NAME).unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_alter, "model/unet/weights.safetensors is not the file that manifest.json lists"),
        (_add, "model/unet/more.json is not in manifest.json"),
        (_remove, "model/merges.txt is missing"),
        (_link_elsewhere, "model/merges.txt is neither a file nor a folder"),
        (_link_a_folder, "model/vae is neither a file nor a folder"),
        (_pipe, "model/pipe.json is neither a file nor a folder"),
        (_pickle, "model/unet/weights.bin is none of .json, .safetensors, .txt"),
        (_code, "model/pipeline.py is none of .json, .safetensors, .txt"),
        (_manifest, "is not the one that MAYFLY_RENDER_DIFFUSERS_MANIFEST pins"),
        (_no_manifest, "manifest.json: No such file or directory"),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_"),
)
def test_anything_else_is_refused(folder: Path, change: Callable[[Path], None], said: str) -> None:
    pinned = manifest.write(folder)
    change(folder)
    with pytest.raises(ConfigError) as refused:
        manifest.verify(folder, pinned)
    assert said in str(refused.value)


def test_a_list_with_other_hashes_doesn_t_help_whoever_alters_a_file(folder: Path) -> None:
    pinned = manifest.write(folder)
    _alter(folder)
    assert manifest.write(folder) != pinned
    with pytest.raises(ConfigError, match="pins"):
        manifest.verify(folder, pinned)


@pytest.mark.parametrize("change", [_link_elsewhere, _pickle, _code, _pipe])
def test_none_is_written_for_what_would_be_refused(folder: Path, change: Callable[[Path], None]) -> None:
    change(folder)
    with pytest.raises(ConfigError):
        manifest.write(folder)
    assert not (folder / manifest.NAME).exists()


def test_the_command_prints_the_settings(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.render.engines.diffusers.manifest"]
    said = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True).stdout
    pinned = said.splitlines()[1].partition("MAYFLY_RENDER_DIFFUSERS_MANIFEST=")[2]
    assert said.splitlines()[0] == f"MAYFLY_RENDER_DIFFUSERS_DIR={folder}"
    manifest.verify(folder, pinned)
    nowhere = subprocess.run([*command, str(tmp_path / "nowhere")], capture_output=True, text=True, check=False)
    assert (nowhere.returncode, nowhere.stderr.strip()) == (78, f"{tmp_path / 'nowhere'}: no such folder")
