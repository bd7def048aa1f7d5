"""One tiny model for all tests that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.diffusers.engine import DiffusersEngine
from services.render.engines.diffusers.pipeline import Pipeline, Weights
from tests.diffusers import tiny
from tests.engines.contract import SIDE

CATALOGUE = Catalogue.load()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return tiny.build(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def engine(weights: Weights) -> Iterator[DiffusersEngine]:
    made = DiffusersEngine(weights=weights, model_dir=models.default_dir(), catalogue=CATALOGUE, side=SIDE)
    assert not made.ready()
    made.start()
    yield made
    made.close()
    assert not made.ready()


@pytest.fixture(scope="session")
def pipeline(engine: DiffusersEngine) -> Pipeline:
    assert engine._pipeline is not None
    return engine._pipeline
