"""The replicas' logs: the file that lists them, of which what is wrong is named in one line, and how one is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.clock import SystemClock
from mesh.errors import ConfigError, Unavailable
from mesh.transparency.note import Signer
from services.purge import shards
from services.purge.shards import Shard, Shards, load

VKEY = Signer("mayfly.test/a", Ed25519PrivateKey.from_private_bytes(b"l" * 32)).verifier.vkey
GOOD = {"origin": "mayfly.test/a", "vkey": VKEY, "url": "mtls://purge-0:9100/log/"}


@pytest.mark.parametrize(
    "url", ["http://purge-0/log", "https://[::1]:1/log", "http://purge-0:9100", "mtls://[fd00::1]:9100/log"]
)
def test_a_log_at(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps([GOOD, GOOD | {"origin": "b", "url": url, "vkey": _vkey("b")}]))
    first, second = load(tmp_path / "file")
    assert first == Shard("mayfly.test/a", VKEY, "mtls://purge-0:9100/log")
    assert (second.origin, second.url) == ("b", url)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("purge-0", "entry 1 must have origin, vkey and url"),
        ({"origin": "a", "url": "http://purge-0/"}, "entry 1 must have origin, vkey and url"),
        (GOOD | {"port": 9100}, "entry 1 must have origin, vkey and url"),
        (GOOD | {"vkey": "mayfly.test/a+0+0"}, "entry 1: vkey is no verifier key"),
        (GOOD | {"origin": "mayfly.test/b"}, "entry 1: vkey is not the one of its origin"),
        (GOOD | {"url": "purge-0:9100"}, "entry 1: url must begin with http://, https:// or mtls://"),
        (GOOD | {"url": "file:///log"}, "entry 1: url must begin with http://, https:// or mtls://"),
        (GOOD | {"url": "http:///log"}, "entry 1: url must .* name a host"),
        (GOOD | {"url": "http://[::1/log"}, "entry 1: url must .* name a host"),
        (GOOD | {"url": "mtls://purge-0/log"}, "entry 1: mtls:// needs a port"),
        (GOOD | {"url": "mtls://purge-0:0/log"}, "entry 1: .* from 1 to 65535"),
        (GOOD | {"url": "http://purge-0:99999/log"}, "entry 1: .* from 1 to 65535"),
    ],
)
def test_a_wrong_entry_is_named(entry: object, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps([entry]))
    with pytest.raises(ConfigError, match=f"MAYFLY_PURGE_SHARDS_FILE: {says}"):
        load(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "says"), [("{", "is no JSON file"), ("{}", "must be a list"), (json.dumps([GOOD, GOOD]), "twice")]
)
def test_a_wrong_file(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(tmp_path / "file")


async def test_a_log_is_looked_at_twice_and_questions_share_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided just before the first look may not be integrated yet."""
    monkeypatch.setattr(shards, "_SETTLE", 0.05)
    looks: list[set[str]] = []

    def look(shard: Shard, photo_ids: Collection[str], since: float) -> set[str]:
        looks.append(set(photo_ids))
        if len(looks) == 4:
            raise ConnectionRefusedError
        return {"early"} if len(looks) == 1 else {"late"} if len(looks) == 2 else set()

    one = Shards([Shard("b", "", "")], look, SystemClock())
    answers = await asyncio.gather(*[one.ended(name, 0.0) for name in ("early", "late", "never")])
    assert answers == [True, True, False]
    assert looks == [{"early", "late", "never"}, {"late", "never"}]
    with pytest.raises(Unavailable):
        await one.ended("unknown", 0.0)


def _vkey(name: str) -> str:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(b"m" * 32)).verifier.vkey
