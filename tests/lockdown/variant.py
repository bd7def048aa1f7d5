"""A service of the mesh with an intruder in it: the real one, and a page on its ops port that tries to break out.

``GET /intruder/`` runs ``attempts`` on the event loop's thread, on one of the ops server's, on the executor's, and what
can be tried in a decoder; the answer is JSON: where → attempt → what came of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from prometheus_client import CollectorRegistry

from mesh.app import App
from mesh.config import MeshSettings
from mesh.errors import Invalid
from mesh.isolation.metrics import IsolationMetrics
from mesh.isolation.workers import Workers
from mesh.lockdown.locking import Lockdown
from tests import variants
from tests.lockdown import attempts

_MIB = 1 << 20
_DECODER = ("write to /tmp", "read /etc/passwd", "inherited descriptors", "tcp", "udp", "memfd", "exec", "fork")


def build(settings: MeshSettings, lockdown: Lockdown) -> App:
    _, app, ops = variants.built(settings, lockdown)
    ops.mount("/intruder/", Intruder(lockdown))
    return app


class Intruder:
    """A WSGI application."""

    def __init__(self, lockdown: Lockdown) -> None:
        self._lockdown = lockdown
        self._loop = asyncio.get_running_loop()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        target = attempts.Target(**json.loads(unquote(environ["QUERY_STRING"])))
        found = {
            "ops thread": attempts.run(target),
            "event loop": asyncio.run_coroutine_threadsafe(_here(target), self._loop).result(),
            "executor": asyncio.run_coroutine_threadsafe(asyncio.to_thread(attempts.run, target), self._loop).result(),
        }
        if self._lockdown.nursery is not None:
            found["decoder"] = asyncio.run_coroutine_threadsafe(self._decoder(), self._loop).result()
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(found).encode()]

    async def _decoder(self) -> dict[str, str]:
        workers = Workers(
            "tests.unit.mesh.isolation.hostile",
            children=1,
            memory_bytes=256 * _MIB,
            answer_bytes=_MIB,
            errors={"crashed": lambda: Invalid("KILLED", "No.")},
            metrics=IsolationMetrics(CollectorRegistry(), "ingest"),
            nursery=self._lockdown.nursery,
        )
        await workers.start()
        said: dict[str, str] = {}
        for attempt in _DECODER:
            try:
                said[attempt] = bytes(await workers.run([attempt.encode()], seconds=20)).decode()
            except Invalid as error:
                said[attempt] = error.reason
        await workers.stop()
        return said


async def _here(target: attempts.Target) -> dict[str, str]:
    return attempts.run(target)


if __name__ == "__main__":
    variants.run("tests.lockdown.variant")
