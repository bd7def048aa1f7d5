"""A process's life: settings, controls, components started in order and stopped in reverse, signals."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol

from mesh import log
from mesh.build import VERSION
from mesh.config import MeshSettings, load
from mesh.errors import ConfigError
from mesh.forgetting import environment
from mesh.lockdown import locking

EX_CONFIG = 78  # sysexits.h

# What libraries read once, when they are first imported: every ``__main__`` imports this module before its wiring.
# gRPC's core otherwise prints peers' addresses (rule R7), and looks names up by UDP by itself; the C library's
# resolver begins with UDP, which is refused (resolv.conf(5)).
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ["GRPC_DNS_RESOLVER"] = "native"
os.environ["RES_OPTIONS"] = " ".join(dict.fromkeys([*os.environ.get("RES_OPTIONS", "").split(), "use-vc"]))


class Component(Protocol):
    """Something that is started once and stopped once."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class App:
    """Components in the order in which they start.

    describe: what the log says of a process that serves. once_started: called when all of them have started; what it
    raises ends the process as a component's failure would.
    """

    def __init__(self, describe: Callable[[], dict[str, str]], once_started: Callable[[], None] | None = None) -> None:
        self._components: list[Component] = []
        self._describe = describe
        self._once_started = once_started or (lambda: None)

    def add(self, *components: Component) -> None:
        self._components.extend(components)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; then stops everything in reverse, each within its own bound."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        logger = log.get_logger()
        started: list[Component] = []
        try:
            for component in self._components:
                await component.start()
                started.append(component)
            self._once_started()
            logger.info("serving", version=VERSION, **self._describe())
            await stop.wait()
            logger.info("draining")
        finally:
            for component in reversed(started):
                await _stop(component)
        logger.info("stopped")


async def _stop(component: Component) -> None:
    """One component that can't stop doesn't keep the others from it."""
    try:
        await component.stop()
    except Exception as error:
        name = type(component).__name__
        log.get_logger().error("stop_failed", error_type=type(error).__name__, error_at=log.error_at(error), fact=name)


def main(service: str, wiring: str, kind: type[MeshSettings]) -> None:
    """What every ``__main__`` calls: settings, lockdown, and only then the rest of the program.

    wiring: the module whose ``build(settings, lockdown)`` makes the App; kind: the settings' class. Neither may import
    gRPC, or start a thread. Exits with 78 and one line when the configuration is wrong or a control is missing.
    """
    if kind.holds_photos:
        environment.ensure()  # starts this process once more where it must, so it comes first
    try:
        settings = load(kind, service)
        log.configure(service, settings.instance)
        lockdown = locking.apply(settings.needs(), settings.lockdown) if kind.holds_photos else locking.Lockdown()
        build = importlib.import_module(wiring).build
        asyncio.run(_run(build, settings, lockdown))
    except ConfigError as error:
        print(f"{service}: {error}", file=sys.stderr)  # noqa: T201 - the one line a person reads
        sys.exit(EX_CONFIG)


async def _run(build: Callable[[Any, locking.Lockdown], App], settings: MeshSettings, held: locking.Lockdown) -> None:
    await build(settings, held).run()
