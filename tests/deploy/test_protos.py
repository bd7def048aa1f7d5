"""The protos keep buf's rules, with the exceptions that buf.yaml explains, and can't be broken unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.programs import ROOT, program, run


@pytest.fixture
def buf() -> str:
    return program("buf", "npm: @bufbuild/buf")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The protos and buf's configuration, to be spoilt."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def test_the_protos_are_linted(buf: str) -> None:
    result = run(buf, "lint")
    assert result.returncode == 0, result.stdout


def test_the_protos_are_formatted(buf: str) -> None:
    result = run(buf, "format", "--diff", "--exit-code")
    assert result.returncode == 0, result.stdout


def test_an_exception_holds_for_its_file_only(buf: str, copy: Path) -> None:
    gateway = copy / "protos/mayfly/gateway/v1/gateway.proto"
    gateway.write_text(gateway.read_text().replace("RevokeAllRequest", "Everything"))
    assert "RPC request type" in run(buf, "lint", cwd=copy).stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string photo_id = 1;", "string photo_id = 9;"),
        ("rpc RevokeAll(RevokeAllRequest) returns (RevokeAllResponse);", ""),
        ("uint32 seed = 5;", "string seed = 5;"),
    ],
)
def test_a_breaking_change_is_found(buf: str, copy: Path, before: str, after: str) -> None:
    gateway = copy / "protos/mayfly/gateway/v1/gateway.proto"
    assert before in gateway.read_text()
    gateway.write_text(gateway.read_text().replace(before, after))
    result = run(buf, "breaking", copy, "--against", ROOT)
    assert result.returncode == 100, result.stdout


def test_an_addition_breaks_nothing(buf: str, copy: Path) -> None:
    gateway = copy / "protos/mayfly/gateway/v1/gateway.proto"
    gateway.write_text(gateway.read_text().replace("message Delivered {}", "message Delivered {\n  bool twice = 1;\n}"))
    result = run(buf, "breaking", copy, "--against", ROOT)
    assert result.returncode == 0, result.stdout
