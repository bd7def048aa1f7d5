"""A mesh of processes with a real Valkey and a real Prometheus that looks at it all the time, and somebody who watches.

Its services have faults that can be switched on (``faulty``); Valkey has an administrator, who is not purge.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from clients.local import auditing, ops
from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh
from clients.local.ports import free_ports
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
_ARGUMENTS = [*arguments(valkey=True), "--maxmemory", str(256 << 20)]
_AUDITOR = {
    "MAYFLY_AUDITOR_KINDS": "jpeg",
    "MAYFLY_AUDITOR_INTERVAL": "15",
    "MAYFLY_AUDITOR_LOOK_INTERVAL": "0.3",
    # Other tests write to /tmp and HOME meanwhile.
    "MAYFLY_AUDITOR_SHARED_ROOTS": "/var/tmp,/dev/shm",
}


class Watch:
    """Who looks at Prometheus. ``seen``: alerts that have fired since it began."""

    def __init__(self, prometheus: PrometheusServer) -> None:
        self._url = prometheus.url
        self.seen: set[str] = set()

    async def fires(self, alerts: set[str]) -> None:
        """Until each of them has fired. AssertionError."""

        async def all_seen() -> bool:
            return alerts <= self.seen

        with suppress(AssertionError):
            await eventually(all_seen, within=FIRES_WITHIN, every=_LOOK)
        assert alerts <= self.seen, f"did not fire: {sorted(alerts - self.seen)}; did: {sorted(self.seen)}"

    async def clears(self, alerts: set[str]) -> None:
        """Until none of them fires. AssertionError."""

        async def none_left() -> bool:
            return not alerts & await self._now()

        with suppress(AssertionError):
            await eventually(none_left, within=CLEARS_WITHIN, every=_LOOK)
        still = alerts & await self._now()
        assert not still, f"still firing: {sorted(still)}"

    async def keep_looking(self) -> None:
        while True:
            self.seen |= await self._now()
            await asyncio.sleep(_LOOK)

    async def _now(self) -> set[str]:
        return await asyncio.to_thread(firing, self._url)


class Site:
    """overrides: service → environment; what is changed there holds from the service's next ``restart`` on.

    scenes: the deployment's own. watch: set while somebody watches.
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
            "purge": {"MAYFLY_REDIS_URL": single_url(redis)},
        }
        modules = dict.fromkeys(SERVICES, "tests.alerts.faulty")
        self.mesh = LocalMesh(folder / "mesh", self.overrides, modules=modules)
        self.watch: Watch | None = None

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
        try:
            await asyncio.to_thread(self.mesh.restart, service)
        finally:
            own.clear()
            own.update(before)
        self.note_pids()

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

    async def total(self, service: str, metric: str, **labels: str) -> float:
        """What a service says now."""
        samples = await asyncio.to_thread(ops.metrics, self.mesh.ops_address(service))
        return ops.total(samples, metric, **labels) or 0.0

    async def fires(self, *alerts: str) -> None:
        """Waits, in the midst of a trouble."""
        assert self.watch is not None
        await self.watch.fires(set(alerts))

    @asynccontextmanager
    async def watched(self, prometheus: PrometheusServer) -> AsyncIterator[Watch]:
        self.watch = Watch(prometheus)
        looking = asyncio.create_task(self.watch.keep_looking())
        try:
            yield self.watch
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    @asynccontextmanager
    async def phone(self, subject: str = "parent") -> AsyncIterator[Phone]:
        async with Phone(self.mesh, subject) as phone:
            yield phone

    async def pictures(self, phone: Phone, count: int, ttl: float) -> list[Upload]:
        """So many photos whose pictures have come and are not confirmed: the gateway and render hold each of them."""

        async def picture(number: int) -> Upload:
            upload = await (await phone.render().start(SCENE, ttl=ttl)).upload(photo(number))
            await upload.until("seal")
            return upload

        return list(await asyncio.gather(*(picture(number) for number in range(count))))

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


class AuditorProcess:
    """The auditor of a site, which can be killed and started again at its place."""

    def __init__(self, site: Site, told: Mapping[str, str]) -> None:
        (port,) = free_ports(1)
        self.ops_address = f"127.0.0.1:{port}"
        site.note_pids()
        processes = ",".join(f"{name}={site.pid_file(name)}" for name in site.mesh.processes)
        own = {"MAYFLY_OPS_LISTEN": self.ops_address, "MAYFLY_AUDITOR_PROCESSES": processes}
        self._environment = {**told, **_AUDITOR, **own}
        self._log = site.folder / "auditor.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.purge.auditor"], env=self._environment, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def runs(self, outcome: str) -> float:
        """How many audits ended so, since it was started."""
        samples = await asyncio.to_thread(ops.metrics, self.ops_address)
        return ops.total(samples, "mayfly_canary_runs_total", outcome=outcome) or 0.0


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A site whose mesh is ready."""
    with RedisServer(users(), _ARGUMENTS) as redis:
        site = Site(folder, redis)
        with site.mesh:
            yield site


@contextmanager
def auditing_of(site: Site, canaries: int = 2) -> Iterator[AuditorProcess]:
    """An auditor of the site. Takes CAP_SYS_PTRACE."""
    with auditing.environment(site.mesh, canaries) as told:
        process = AuditorProcess(site, told)
        process.start()
        try:
            yield process
        finally:
            process.kill()


def prometheus_of(site: Site, auditor: AuditorProcess | None = None, *, name: str = "prometheus") -> PrometheusServer:
    """Not started yet; its rules' times are shrunk."""
    folder = site.folder / name
    folder.mkdir()
    targets = site.targets | ({AUDITOR: auditor.ops_address} if auditor else {})
    return PrometheusServer(folder, targets, hurried=True)
