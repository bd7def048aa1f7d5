"""Where the registry's Redis is: MAYFLY_REDIS_URL, read once and checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mesh.errors import ConfigError

DEFAULT_PORT = 6379
SENTINEL_PORT = 26379


class Kind(StrEnum):
    """How a deployment of Redis is asked for the server that has a key."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {
    "unix": (Kind.SINGLE, False),
    "redis": (Kind.SINGLE, False),
    "rediss": (Kind.SINGLE, True),
    "redis+sentinel": (Kind.SENTINEL, False),
    "rediss+sentinel": (Kind.SENTINEL, True),
    "redis+cluster": (Kind.CLUSTER, False),
    "rediss+cluster": (Kind.CLUSTER, True),
}
_OPTIONS = frozenset({"db", "username", "password"})


class Host(NamedTuple):
    """host: a name or an IP address, without brackets."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, parsed. socket: of ``unix:`` only. master: the name by which Sentinel knows the primary."""

    kind: Kind
    tls: bool
    hosts: tuple[Host, ...] = ()
    socket: str = ""
    master: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """url: ``unix:///path?db=0&username=u&password=p``, ``redis://host:port/0``,
    ``redis+sentinel://host:port,host:port/master-name?db=0`` or ``redis+cluster://host:port,host:port``; with
    ``rediss`` over TLS, for which the files are.

    username, password: override the URL's, so that they can come from a file instead of the environment.
    sentinel_username, sentinel_password: what the sentinels themselves ask for, if they do.
    """

    url: str
    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None

    def target(self) -> Target:
        """The URL's parts, with the credentials that count. ConfigError if it isn't one of ours."""
        url = urlsplit(self.url)
        if url.scheme not in _SCHEMES:
            raise _wrong("must begin with unix://, redis://, redis+sentinel://, redis+cluster://, or rediss for TLS")
        kind, tls = _SCHEMES[url.scheme]
        options = _options(url)
        userinfo, _, netloc = url.netloc.rpartition("@")
        name, _, secret = userinfo.partition(":")
        target = Target(
            kind=kind,
            tls=tls,
            hosts=_hosts(netloc, kind) if url.scheme != "unix" else (),
            socket=unquote(url.path) if url.scheme == "unix" else "",
            master=unquote(url.path.strip("/")) if kind is Kind.SENTINEL else "",
            db=_db(url, kind, options),
            username=_first((self.username, options.get("username"), unquote(name))),
            password=_first((self.password, options.get("password"), unquote(secret))),
        )
        _check(url, target)
        return target


def is_loopback(host: str) -> bool:
    """Whether nobody outside of this machine sees what is sent there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check(url: SplitResult, target: Target) -> None:
    if url.scheme == "unix":
        if not target.socket or url.netloc.rpartition("@")[2]:
            raise _wrong("unix:///path needs the socket's absolute path")
    elif not target.hosts:
        raise _wrong("names no host")
    if target.kind is Kind.SINGLE and len(target.hosts) > 1:
        raise _wrong("several hosts need redis+sentinel:// or redis+cluster://")
    if target.kind is Kind.SENTINEL and (not target.master or "/" in target.master):
        raise _wrong("redis+sentinel://host:port/<master-name> needs the primary's name")
    if target.kind is Kind.CLUSTER and (target.db or url.path.strip("/")):
        raise _wrong("a cluster has database 0 alone, and no path")


def _options(url: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise _wrong(f"unknown option '{unknown[0]}'; known are db, username, password")
    return options


def _hosts(netloc: str, kind: Kind) -> tuple[Host, ...]:
    usual = SENTINEL_PORT if kind is Kind.SENTINEL else DEFAULT_PORT
    return tuple(_host(part, usual) for part in netloc.split(",") if part)


def _host(text: str, usual: int) -> Host:
    try:
        parts = urlsplit(f"//{text}")
        port = usual if parts.port is None else parts.port
    except ValueError:
        raise _wrong("a host is not host:port") from None
    if not parts.hostname or parts.path or port == 0:
        raise _wrong("a host is not host:port")
    return Host(parts.hostname, port)


def _db(url: SplitResult, kind: Kind, options: dict[str, str]) -> int:
    text = options.get("db", "")
    if not text and kind is Kind.SINGLE and url.scheme != "unix":
        text = url.path.strip("/")
    if not text.isascii() or not (text or "0").isdecimal():
        raise _wrong("the database is a number")
    return int(text or "0")


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _wrong(why: str) -> ConfigError:
    return ConfigError(f"MAYFLY_REDIS_URL: {why}")
