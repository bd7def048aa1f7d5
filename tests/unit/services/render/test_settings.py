"""Render's own settings: lists and tables that are written in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.config import load
from mesh.errors import ConfigError
from services.render.config import RenderSettings
from tests.unit.services.render.deployments import deployed


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    file = tmp_path / "file"
    file.touch()
    for name in ("TLS_CERT", "TLS_KEY", "TLS_CA"):
        monkeypatch.setenv(f"MAYFLY_{name}", str(file))
    for name in ("LISTEN", "OPS_LISTEN", "REGISTRY_TARGET"):
        monkeypatch.setenv(f"MAYFLY_{name}", "127.0.0.1:1")
    return monkeypatch


def test_the_defaults(told: pytest.MonkeyPatch) -> None:
    settings = load(RenderSettings, "render")
    assert settings.render_engine == ("onnx",)
    assert settings.render_scene_engines == {}
    assert settings.render_class_weights == {"standard": 1.0, "priority": 4.0}


def test_what_is_written_in_one_line(told: pytest.MonkeyPatch) -> None:
    told.setenv("MAYFLY_RENDER_ENGINE", "onnx, null")
    told.setenv("MAYFLY_RENDER_SCENE_ENGINES", "starry_oil=null, watercolour=onnx")
    told.setenv("MAYFLY_RENDER_CLASS_WEIGHTS", "priority=2.5,standard=0.5")
    settings = load(RenderSettings, "render")
    assert settings.render_engine == ("onnx", "null")
    assert settings.render_scene_engines == {"starry_oil": "null", "watercolour": "onnx"}
    assert settings.render_class_weights == {"standard": 0.5, "priority": 2.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGINE", ""),
        ("ENGINE", "onnx,onnx"),
        ("ENGINE", "onnx,mystery"),
        ("DIFFUSERS_MANIFEST", "0f" * 31),
        ("DIFFUSERS_DEVICE", "gpu"),
        ("DIFFUSERS_DEVICE", "cuda:"),
        ("DIFFUSERS_DTYPE", "float8"),
        ("SAFETY_CHECKER", "off"),
        ("SCENE_ENGINES", "starry_oil"),
        ("SCENE_ENGINES", "a=onnx,a=null"),
        ("CLASS_WEIGHTS", "standard=1"),
        ("CLASS_WEIGHTS", "standard=1,priority=2,gold=3"),
        ("CLASS_WEIGHTS", "standard=1,priority=much"),
        ("CLASS_WEIGHTS", "standard=0,priority=1"),
        ("CLASS_WEIGHTS", "standard=1,priority=nan"),
        ("CLASS_WEIGHTS", "standard=1,standard=2,priority=1"),
    ],
)
def test_what_is_wrong_is_named(told: pytest.MonkeyPatch, name: str, value: str) -> None:
    told.setenv(f"MAYFLY_RENDER_{name}", value)
    with pytest.raises(ConfigError, match=rf"^MAYFLY_RENDER_{name}: "):
        load(RenderSettings, "render")


LISTED = """
[[processor]]
name = "own"
operator = "Mayfly"
region = "here"
endpoints = ["10.0.0.7:8001", "10.0.0.8:8002"]
ca = "own.pem"
identity = "triton.mayfly.internal"
models = { cut_out = "1", stylize = "1" }
terms = { no_retention = true, no_training = true }
"""


def test_a_pool_opens_its_own_ports_and_no_others(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = tmp_path / "processors.toml"
    listed.write_text(LISTED, encoding="utf-8")
    told.setenv("MAYFLY_RENDER_PROCESSORS_FILE", str(listed))
    without = load(RenderSettings, "render").needs()
    told.setenv("MAYFLY_RENDER_ENGINE", "triton,onnx")
    needs = load(RenderSettings, "render").needs()
    assert needs.connects - without.connects == {8001, 8002}
    assert needs.reads - without.reads == {tmp_path / "own.pem"}
    told.setenv("MAYFLY_RENDER_POOL_ENDPOINTS", "10.0.0.8:8002")
    assert load(RenderSettings, "render").needs().connects - without.connects == {8002}


def test_a_pool_without_a_list_or_off_it_stops_the_start(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told.setenv("MAYFLY_RENDER_ENGINE", "triton")
    with pytest.raises(ConfigError, match=r"^MAYFLY_RENDER_PROCESSORS_FILE: "):
        load(RenderSettings, "render").needs()
    (tmp_path / "processors.toml").write_text(LISTED, encoding="utf-8")
    told.setenv("MAYFLY_RENDER_PROCESSORS_FILE", str(tmp_path / "processors.toml"))
    told.setenv("MAYFLY_RENDER_POOL_ENDPOINTS", "10.0.0.9:8001")
    with pytest.raises(ConfigError, match=r"^MAYFLY_RENDER_POOL_ENDPOINTS: 10\.0\.0\.9:8001 "):
        load(RenderSettings, "render").needs()


def test_a_model_s_folder_may_be_read_and_a_gpu_used_where_one_is_asked_for(
    told: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told.setenv("MAYFLY_RENDER_DIFFUSERS_DIR", str(tmp_path))
    needs = load(RenderSettings, "render").needs()
    assert tmp_path in needs.reads
    assert not needs.opens_for_writing
    told.setenv("MAYFLY_RENDER_DIFFUSERS_DEVICE", "cuda:1")
    asked = load(RenderSettings, "render").needs()
    assert asked.devices == set(Path("/dev").glob("nvidia*"))
    assert Path("/proc/driver/nvidia") in asked.reads


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "DIR"), ({"DIFFUSERS_DIR": "/nowhere"}, "MANIFEST"), ({"DIFFUSERS_MANIFEST": "0f" * 32}, "DIR")],
    ids=["nothing", "folder", "manifest"],
)
def test_a_model_takes_a_folder_and_its_list(told: pytest.MonkeyPatch, given: dict[str, str], missing: str) -> None:
    told.setenv("MAYFLY_RENDER_ENGINE", "diffusers")
    for name, value in given.items():
        told.setenv(f"MAYFLY_RENDER_{name}", value)
    settings = load(RenderSettings, "render")
    with pytest.raises(ConfigError, match=f"^MAYFLY_RENDER_DIFFUSERS_{missing}: is not set"):
        deployed(settings).engine()
