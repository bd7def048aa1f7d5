"""What a service may still do once it is locked: derived from its settings, before anything else is imported."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

DNS = 53
ANY_FREE = 0
"""Among binds: a port that the kernel chooses (ip(7))."""
_SCHEMES = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Needs:
    """reads, writes: files, or folders with all that is beneath them; what doesn't exist at the start is left out,
    except folders to be written to, which are made. binds, connects: TCP ports. unix_sockets: whether it connects to
    a socket in the file system. decoders: whether it has processes that decode for it (``mesh.isolation``). devices:
    opened for writing, too, and given orders (ioctl(2)), as a GPU's driver takes them."""

    reads: frozenset[Path] = frozenset()
    writes: frozenset[Path] = frozenset()
    binds: frozenset[int] = frozenset()
    connects: frozenset[int] = frozenset()
    unix_sockets: bool = False
    decoders: bool = False
    devices: frozenset[Path] = frozenset()

    def reading(self, *paths: Path | None) -> Needs:
        return replace(self, reads=self.reads | {path for path in paths if path is not None})

    def writing(self, *folders: Path) -> Needs:
        return replace(self, writes=self.writes | set(folders))

    def using(self, *devices: Path) -> Needs:
        return replace(self, devices=self.devices | set(devices))

    @property
    def opens_for_writing(self) -> bool:
        """Anything: then what may be written to is Landlock's to say, since a filter can't see a path."""
        return bool(self.writes or self.devices)

    def binding(self, *addresses: str) -> Needs:
        """addresses: HOST:PORT."""
        return replace(self, binds=self.binds | {port_of(address) for address in addresses} | _for_ipv6(addresses))

    def connecting(self, addresses: Iterable[str]) -> Needs:
        """addresses: HOST:PORT. A host that is a name needs a name server as well."""
        addresses = tuple(addresses)
        ports = {port_of(address) for address in addresses}
        if any(is_looked_up(address.rpartition(":")[0]) for address in addresses):
            ports.add(DNS)
        return replace(self, connects=self.connects | ports, binds=self.binds | _for_ipv6(addresses))

    def fetching(self, urls: Iterable[str]) -> Needs:
        """urls: http or https. What is neither is left to whoever reads it to complain about."""
        return self.connecting(filter(None, map(_authority, urls)))


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def is_looked_up(host: str) -> bool:
    """Whether a name server is asked: for what is neither an address nor this machine's own name for itself."""
    if host == "localhost":
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT stays on this machine."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _for_ipv6(addresses: Iterable[str]) -> set[int]:
    """gRPC takes a machine on which it can't bind any free port of ::1 for one without IPv6."""
    return {ANY_FREE} if any(address.startswith("[") for address in addresses) else set()


def _authority(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or _SCHEMES.get(parts.scheme)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{host}:{port}" if port and re.fullmatch(r"[\w.:-]+", host) else ""
