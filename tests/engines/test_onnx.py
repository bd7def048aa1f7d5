"""The embedded engine keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from tests.engines.contract import SIDE, EngineContract


class TestOnnx(EngineContract):
    name = "onnx"
    processors = ("onnx-embedded",)

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[OnnxEngine]:
        made = OnnxEngine(model_dir=models.default_dir(), catalogue=Catalogue.load(), side=SIDE)
        assert not made.ready()
        made.start()
        yield made
        made.close()
        assert not made.ready()
