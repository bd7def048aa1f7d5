"""The pinned list of processors: who may be sent pixels of a photo, where they answer, and on which terms (rule R9).

A TOML file, read once, at the start, before lockdown; the ports in it are the only ones that the kernel then opens.
docs/engines-triton.md has an example. Nothing here knows gRPC.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.errors import ConfigError, Denied
from services.render.engines.triton.contract import MODELS

SETTING = "MAYFLY_RENDER_PROCESSORS_FILE"
ENDPOINTS_SETTING = "MAYFLY_RENDER_POOL_ENDPOINTS"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.:/@+-]{0,127}")  # what may stand in a receipt (services/purge/receipt.py)
_WORDS = re.compile(r"\S(.{0,198}\S)?")
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_DNS = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TERMS = ("no_retention", "no_training")
_KEYS = frozenset({"name", "operator", "region", "endpoints", "ca", "identity", "models", "terms"})


@dataclass(frozen=True, slots=True)
class Processor:
    """Somebody who runs an inference pool, under a contract.

    name:      as receipts print it. operator: the legal entity. region: where the machines are.
    endpoints: HOST:PORT. ca: PEM, the only authority whose certificates are taken from it.
    identity:  the DNS name that its certificate must carry, whatever host it runs on. (gRPC compares no URIs.)
    models:    name -> version.
    """

    name: str
    operator: str
    region: str
    endpoints: tuple[str, ...]
    ca: Path
    identity: str
    models: Mapping[str, str]

    def authority(self) -> bytes:
        """Raises ConfigError when the file can't be read or is no certificate."""
        from cryptography import x509  # noqa: PLC0415 - settings are read before lockdown, with as little as they take

        try:
            pem = self.ca.read_bytes()
            x509.load_pem_x509_certificates(pem)
        except (OSError, ValueError):
            raise ConfigError(f"{SETTING}: {self.name}: ca: {self.ca} is no PEM certificate that can be read") from None
        return pem


@dataclass(frozen=True, slots=True)
class Processors:
    """The list, or those of it that a deployment uses."""

    listed: tuple[Processor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(processor.name for processor in self.listed)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(endpoint for processor in self.listed for endpoint in processor.endpoints)

    def at(self, endpoint: str) -> Processor:
        """Who answers there. Raises Denied(PROCESSOR_NOT_LISTED): whoever isn't listed is sent nothing."""
        for processor in self.listed:
            if endpoint in processor.endpoints:
                return processor
        raise Denied("PROCESSOR_NOT_LISTED", "A photo may only go to a processor on the pinned list.")

    def only(self, endpoints: Sequence[str]) -> Processors:
        """Those with these endpoints, less their others; all, if none is named. ConfigError for an unlisted one."""
        if not endpoints:
            return self
        for endpoint in endpoints:
            if endpoint not in self.endpoints:
                raise ConfigError(f"{ENDPOINTS_SETTING}: {endpoint} is on no processor's list in {SETTING}")
        used = [_with(each, [e for e in each.endpoints if e in endpoints]) for each in self.listed]
        return Processors(tuple(each for each in used if each.endpoints))


def load(path: Path) -> Processors:
    """Raises ConfigError, one line, with the field that is wrong. ``ca`` is relative to the file's folder."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{SETTING}: {path} can't be read as TOML ({type(error).__name__})") from None
    entries = content.get("processor")
    if set(content) != {"processor"} or not isinstance(entries, list) or not entries:
        raise ConfigError(f"{SETTING}: must be a list of [[processor]] and nothing else")
    listed = tuple(_processor(_Entry(f"processor[{n}]", entry), path.parent) for n, entry in enumerate(entries))
    endpoints = [endpoint for processor in listed for endpoint in processor.endpoints]
    if len({processor.name for processor in listed}) < len(listed) or len(set(endpoints)) < len(endpoints):
        raise ConfigError(f"{SETTING}: names and endpoints must each stand there once")
    return Processors(listed)


def _processor(entry: _Entry, folder: Path) -> Processor:
    entry.has_only(_KEYS)
    terms = entry.table("terms")
    terms.has_only(frozenset(_TERMS))
    for term in _TERMS:
        if terms.get(term) is not True:
            terms.wrong(term, "must be true: who keeps photos or learns from them is sent none")
    return Processor(
        name=entry.word("name", _NAME, "must be a plain lowercase name, as receipts print it"),
        operator=entry.word("operator", _WORDS, "must name the legal entity"),
        region=entry.word("region", _WORDS, "must say where the machines are"),
        endpoints=entry.endpoints(),
        ca=folder / entry.word("ca", _WORDS, "must be a file"),
        identity=entry.word("identity", _DNS, "must be the DNS name in the server's certificate"),
        models=entry.models(),
    )


def _with(processor: Processor, endpoints: Sequence[str]) -> Processor:
    return Processor(
        processor.name, processor.operator, processor.region, tuple(endpoints), processor.ca, processor.identity,
        processor.models,
    )  # fmt: skip


class _Entry:
    """A table of the file, which knows where it stands."""

    def __init__(self, place: str, content: Any) -> None:
        self._place = place
        self._content: dict[str, Any] = content if isinstance(content, dict) else {}

    def get(self, key: str) -> Any:
        return self._content.get(key)

    def wrong(self, key: str, sentence: str) -> None:
        raise ConfigError(f"{SETTING}: {self._place}.{key}: {sentence}")

    def has_only(self, keys: frozenset[str]) -> None:
        for key in sorted(set(self._content) - keys):
            self.wrong(key, "there is no such field")

    def table(self, key: str) -> _Entry:
        return _Entry(f"{self._place}.{key}", self.get(key))

    def word(self, key: str, pattern: re.Pattern[str], sentence: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.wrong(key, sentence)
        return str(value)

    def endpoints(self) -> tuple[str, ...]:
        values = self.get("endpoints")
        if not isinstance(values, list) or not values or not all(map(_is_endpoint, values)):
            self.wrong("endpoints", "must be a list of HOST:PORT")
        return tuple(map(str, values))

    def models(self) -> Mapping[str, str]:
        models = self.table("models")
        models.has_only(frozenset(MODELS))
        for name in MODELS:
            models.word(name, _VERSION, "must be the version that is served, as a string")
        return {name: str(models.get(name)) for name in MODELS}


def _is_endpoint(value: object) -> bool:
    match = _ENDPOINT.fullmatch(value) if isinstance(value, str) else None
    return match is not None and 0 < int(match.group(2)) <= 65535
