"""The engine whose networks run in an inference pool: Triton, KServe, MLServer or OpenVINO. Steps stay here."""

from __future__ import annotations

from services.render.catalogue import Catalogue
from services.render.decoding import Decode, decode_here
from services.render.engines.recipes import SIDE_PX, RecipeEngine
from services.render.engines.triton.networks import PoolNetworks
from services.render.engines.triton.pool import Pool
from services.render.engines.triton.processors import Processors
from services.render.marking.watermark import Mark, unmarked
from services.render.picture import Cancelled, Job
from services.render.steps.workspace import Networks

HERE = "recipe-embedded"
"""What runs in this process, as receipts name it."""


class TritonEngine(RecipeEngine):
    """processors: all to whom the pool may send pixels, and this process."""

    name = "triton"

    def __init__(
        self,
        pool: Pool,
        *,
        processors: Processors,
        catalogue: Catalogue,
        side: int = SIDE_PX,
        decode: Decode = decode_here,
        watermark: Mark = unmarked,
    ) -> None:
        """See ``RecipeEngine``. processors: those whose endpoints are in the pool."""
        super().__init__(catalogue=catalogue, side=side, decode=decode, watermark=watermark)
        self._pool = pool
        self.processors = (*processors.names, HERE)

    def networks(self) -> Networks:
        self._pool.start()
        return PoolNetworks(self._pool)

    def lent(self, networks: Networks, job: Job, cancelled: Cancelled) -> Networks:
        return PoolNetworks(self._pool, job.deadline, cancelled)

    def ready(self) -> bool:
        return super().ready() and self._pool.ready()

    def rinse(self) -> bool:
        """After a photo; see ``Pool.rinse``. Blocks."""
        return self._pool.rinse()

    def close(self) -> None:
        super().close()
        self._pool.close()
