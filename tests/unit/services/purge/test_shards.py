"""The file that lists the replicas' logs: what is right in it is read, what is wrong is named in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.errors import ConfigError
from mesh.transparency.note import Signer
from services.purge.shards import Shard, load

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


def _vkey(name: str) -> str:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(b"m" * 32)).verifier.vkey
