"""The engine whose networks run in a real Triton keeps the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.triton import processors
from services.render.engines.triton.engine import TritonEngine
from tests.engines.contract import SIDE, EngineContract
from tests.triton.conftest import is_ready
from tests.triton.server import Authority, TritonServer, processors_file
from tests.unit.services.render.triton.doubles import new_pool


class TestTriton(EngineContract):
    name = "triton"
    processors = ("triton-here", "recipe-embedded")
    another = "soft_background"

    @pytest.fixture(scope="class")
    @classmethod
    def engine(
        cls, triton: TritonServer, operator: Authority, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[TritonEngine]:
        path = processors_file(tmp_path_factory.mktemp("list"), ca=operator.ca, endpoints=[triton.address])
        listed = processors.load(path)
        made = TritonEngine(
            new_pool(listed), processors=listed, model_dir=models.default_dir(), catalogue=Catalogue.load(), side=SIDE
        )
        assert not made.ready()
        made.start()
        asyncio.run(is_ready(made))
        yield made
        made.close()
        assert not made.ready()
