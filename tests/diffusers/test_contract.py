"""The engine keeps the contract."""

from __future__ import annotations

import pytest

from services.render.engines.diffusers.engine import DiffusersEngine
from tests.diffusers import needs_the_extra
from tests.engines.contract import EngineContract

pytestmark = needs_the_extra


class TestDiffusers(EngineContract):
    name = "diffusers"
    processors = ("diffusers-local", "onnx-embedded")

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, engine: DiffusersEngine) -> DiffusersEngine:  # type: ignore[override]
        return engine
