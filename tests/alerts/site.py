"""A mesh of processes with a real Valkey and a real Prometheus that looks at it all the time, and somebody who watches.

Its services have faults that can be switched on (``faulty``); Valkey has an administrator, who is not purge.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Self

from clients.local import auditing, ops
from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh
from clients.observe.program import Program
from mesh.testing.redis_server import RedisServer
from mesh.testing.wait import eventually
from services.purge.acl import arguments
from tests.chaos.crowd import SCENE, photo
from tests.chaos.trouble import single_url, users
from tests.deploy.panels import firing
from tests.deploy.prometheus import PrometheusServer
from tests.deploy.settings import AUDITOR
from tests.e2e.phone import Phone, Upload

FIRES_WITHIN, CLEARS_WITHIN = 60.0, 60.0
"""Seconds; of a busy machine. The slowest rule needs about fifteen."""
_LOOK = 0.2
_HOLDERS = ("gateway", "ingest", "render")
_ARGUMENTS = [*arguments(valkey=True), "--maxmemory", str(256 << 20)]
_AUDITOR = {
    "MAYFLY_AUDITOR_KINDS": "jpeg",
    "MAYFLY_AUDITOR_INTERVAL": "600",  # one audit after each start: it searches the memory of six processes
    "MAYFLY_AUDITOR_LOOK_INTERVAL": "0.3",
    # Other tests write to /tmp and HOME meanwhile.
    "MAYFLY_AUDITOR_SHARED_ROOTS": "/var/tmp,/dev/shm",
}


class Watch:
    """Who looks at Prometheus all the time, from a thread: a context manager.

    ever: alerts that have fired since it began. seen: the same since ``forget``.
    """

    def __init__(self, prometheus: PrometheusServer) -> None:
        self._url = prometheus.url
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._begun = 0  # how often it has begun to look anew
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)
        self.ever: set[str] = set()
        self.seen: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def forget(self) -> None:
        """What is seen from now on counts: no look that has begun before, though its answer comes later."""
        with self._lock:
            self._begun += 1
            self.seen.clear()

    async def fires(self, alerts: set[str], *, ever: bool = False) -> None:
        """Until each of them has fired; ever: perhaps before it was asked for. AssertionError."""
        fired = self.ever if ever else self.seen
        with suppress(AssertionError):
            await eventually(lambda: alerts <= fired, within=FIRES_WITHIN, every=_LOOK)
        assert alerts <= fired, f"did not fire: {sorted(alerts - fired)}; did: {sorted(fired)}"

    async def clears(self, alerts: set[str]) -> None:
        """Until none of them fires. AssertionError."""

        async def none_left() -> bool:
            return not alerts & await asyncio.to_thread(firing, self._url)

        with suppress(AssertionError):
            await eventually(none_left, within=CLEARS_WITHIN, every=_LOOK)
        still = alerts & await asyncio.to_thread(firing, self._url)
        assert not still, f"still firing: {sorted(still)}"

    def _keep_looking(self) -> None:
        while not self._stop.wait(_LOOK):
            with suppress(OSError):  # one look that isn't answered is not the last
                begun = self._begun
                now = firing(self._url)
                with self._lock:
                    self.ever |= now
                    if begun == self._begun:
                        self.seen |= now


class Site:
    """overrides: service → environment; what is changed there holds from the service's next ``restart`` on.

    scenes: the deployment's own. watch: who looks, if anybody. auditor: if it has one. long_parked: whether
    ``nobody_collects`` has begun.
    """

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.folder = folder
        self.redis = redis
        self.scenes = folder / "scenes"
        self.scenes.mkdir()
        self.overrides: dict[str, dict[str, str]] = {
            "gateway": {"MAYFLY_GATEWAY_MAX_PHOTOS_PER_OWNER": "64"},
            "ingest": {},
            "render": {"MAYFLY_RENDER_ENGINE": "null", "MAYFLY_RENDER_SCENES_DIR": str(self.scenes)},
            # The troubles of one run have one parent in common, who may ask for thousands of photos.
            "purge": {"MAYFLY_REDIS_URL": single_url(redis), "MAYFLY_PURGE_DAILY_QUOTA": "100000"},
        }
        modules = dict.fromkeys(SERVICES, "tests.alerts.faulty")
        self.mesh = LocalMesh(folder / "mesh", self.overrides, modules=modules)
        self.watch: Watch | None = None
        self.auditor: AuditorProcess | None = None
        self.long_parked = False

    @property
    def targets(self) -> dict[str, str]:
        """For Prometheus."""
        return {service: self.mesh.ops_address(service) for service in SERVICES}

    def signal(self, service: str, number: signal.Signals) -> None:
        self.mesh.kill(service, number)

    async def kill(self, service: str) -> None:
        await asyncio.to_thread(self.mesh.kill, service)

    async def restart(self, service: str, **environment: str) -> None:
        """With these variables, and those before, until the next one; the process is new, its place the same."""
        own, before = self.overrides[service], dict(self.overrides[service])
        own.update(environment)
        await self.kill(service)  # which holds no photo, or is to lose it: no need to drain
        try:
            await asyncio.to_thread(self.mesh.restart, service)
        finally:
            own.clear()
            own.update(before)
        self.note_pids()
        await self.serves()

    async def serves(self) -> None:
        """Until photos are taken again: Redis may be used, and every holder is heard."""

        async def all_is_well() -> bool:
            heard = [await self.total(holder, "mayfly_custody_stream_up") for holder in _HOLDERS]
            return heard == [1.0] * len(_HOLDERS) and await self.total("purge", "mayfly_registry_safe") == 1

        await eventually(all_is_well, within=30, every=0.1)

    def note_pids(self) -> None:
        """Where the auditor finds them, also after a restart."""
        for name in self.mesh.processes:
            self.pid_file(name).write_text(str(self.mesh.pid(name)))

    def pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"

    async def fault(self, service: str, name: str, *, on: bool) -> None:
        """Switches a fault of the service's."""
        path = f"/fault/{name}/{'on' if on else 'off'}"
        said = await asyncio.to_thread(ops.get, self.mesh.ops_address(service), path)
        assert said is not None, f"{service} has no fault {name}, or it failed"

    async def total(self, service: str, metric: str, /, **labels: str) -> float:
        """What a service says now."""
        samples = await asyncio.to_thread(ops.metrics, self.mesh.ops_address(service))
        return ops.total(samples, metric, **labels) or 0.0

    async def fires(self, *alerts: str) -> None:
        """Waits, in the midst of a trouble."""
        assert self.watch is not None
        await self.watch.fires(set(alerts))

    @asynccontextmanager
    async def phone(self, subject: str = "parent") -> AsyncIterator[Phone]:
        async with Phone(self.mesh, subject) as phone:
            yield phone

    async def pictures(self, phone: Phone, count: int, ttl: float) -> list[Upload]:
        """So many photos whose pictures have come and are not confirmed: the gateway and render hold each of them, and
        have told purge."""

        async def picture(number: int) -> Upload:
            upload = await (await phone.render().start(SCENE, ttl=ttl)).upload(photo(number))
            await upload.until("seal")
            return upload

        async def told() -> bool:
            holders = ("gateway", "render")
            return min([await self.total("purge", "mayfly_custody_held", service=each) for each in holders]) >= count

        uploads = list(await asyncio.gather(*(picture(number) for number in range(count))))
        await eventually(told, within=5, every=0.02)
        return uploads

    async def park(self, count: int, ttl: float) -> None:
        """So many pictures that nobody will collect."""
        async with self.phone("abroad") as phone:
            for number in range(count):
                upload = await (await phone.render().start(SCENE, ttl=ttl)).upload(photo(number))
                await upload.until("scrubbed")
                upload.hang_up()

            async def parked() -> bool:
                return await self.total("purge", "mayfly_parked_pictures") >= count

            await eventually(parked, within=20, every=0.1)


class AuditorProcess(Program):
    """The auditor of a site, which can be killed and started again at its place."""

    def __init__(self, site: Site, told: Mapping[str, str]) -> None:
        super().__init__("auditor", site.folder, ready="/healthz")
        site.note_pids()
        processes = ",".join(f"{name}={site.pid_file(name)}" for name in site.mesh.processes)
        own = {"MAYFLY_OPS_LISTEN": self.address, "MAYFLY_AUDITOR_PROCESSES": processes}
        self._environment = {**told, **_AUDITOR, **own}

    def command(self) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "services.purge.auditor"]

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def kill(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    async def audited(self, outcome: str) -> None:
        """Until an audit has ended so, since it was started. AssertionError."""

        async def has() -> bool:
            samples = await asyncio.to_thread(ops.metrics, self.address)
            return bool(ops.total(samples, "mayfly_canary_runs_total", outcome=outcome))

        await eventually(has, within=90, every=0.2)


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A site whose mesh is ready."""
    with RedisServer(users(), _ARGUMENTS) as redis:
        site = Site(folder, redis)
        with site.mesh:
            yield site


@contextmanager
def auditing_of(site: Site, canaries: int = 1) -> Iterator[AuditorProcess]:
    """An auditor of the site. Takes CAP_SYS_PTRACE."""
    with auditing.environment(site.mesh, canaries) as told:
        process = AuditorProcess(site, told)
        process.start()
        try:
            yield process
        finally:
            process.kill()


def prometheus_of(
    site: Site, auditor: AuditorProcess | None = None, *, name: str = "prometheus", alertmanager: str = ""
) -> PrometheusServer:
    """Not started yet; its rules' times are shrunk. alertmanager: HOST:PORT of who is told."""
    folder = site.folder / name
    folder.mkdir()
    targets = site.targets | ({AUDITOR: auditor.address} if auditor else {})
    return PrometheusServer(folder, targets, hurried=True, alertmanager=alertmanager)
