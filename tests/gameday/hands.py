"""What somebody on call has at hand: a query, a client of Redis, the services' pages, the `mayfly` command."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from clients.local import ops
from clients.local.environment import SERVICES
from mesh.testing.wait import eventually
from tests.alerts.site import Site
from tests.chaos.crowd import SCENE, photo
from tests.deploy.panels import get
from tests.deploy.prometheus import PrometheusServer
from tests.e2e.cli import Mayfly, Ran

WITHIN = 60.0  # seconds


class Hands:
    """Of one site, and the Prometheus that looks at it."""

    def __init__(self, site: Site, prometheus: PrometheusServer) -> None:
        self.site = site
        self._prometheus = prometheus

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What Prometheus answers now: labels and value."""
        data = await asyncio.to_thread(get, self._prometheus.url, "/api/v1/query", query=expression)
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def until(self, expression: str, wanted: float) -> str:
        """Waits until each series of the expression has this value; at least one must be there."""

        async def so() -> bool:
            found = await self.query(expression)
            return bool(found) and all(value == wanted for _, value in found)

        with suppress(AssertionError):
            await eventually(so, within=WITHIN, every=0.2)
        assert await so(), f"{expression} is {await self.query(expression)}, and not {wanted:g}"
        return f"{wanted:g}"

    async def redis(self, *words: str) -> Any:
        """As an administrator."""
        return await asyncio.to_thread(self.site.redis.ask, *words)

    async def ready(self) -> str:
        """/readyz of each service."""
        for service in SERVICES:
            said = await asyncio.to_thread(ops.readiness, self.site.mesh.ops_address(service))
            assert said.ready, f"{service} is not ready: {', '.join(said.failing)}"
        return "each is ready"

    async def mayfly(self, *words: str) -> Ran:
        """The command, on this mesh's state folder."""
        state = self.site.mesh.state.root
        return await asyncio.to_thread(Mayfly(self.site.folder), *words, "--state", str(state))

    async def render(self) -> str:
        """`mayfly render`, once."""
        (self.site.folder / "photo.jpg").write_bytes(photo(7))
        picture = self.site.folder / "picture.jpg"
        ran = await self.mayfly("render", "photo.jpg", "--scene", SCENE, "-o", str(picture))
        assert ran.code == 0, f"mayfly render: {ran.err.strip()}"
        assert picture.stat().st_size
        return "a picture came back"

    async def stuck(self) -> list[dict[str, Any]]:
        """`mayfly purge --list`."""
        ran = await self.mayfly("purge", "--list", "--json")
        said = json.loads(ran.out)
        found: list[dict[str, Any]] = said["leases"]
        assert len(found) == said["irrevocable"], said
        return found
