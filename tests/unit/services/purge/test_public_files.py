"""The ops port shows the log's public files and the public keys, and no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.transparency.dsse import key_id
from mesh.transparency.key_list import KeyList
from services.purge.public_files import LogFiles, PublicKeys
from services.purge.signing import public_pem


def get(app: Any, path: str) -> tuple[str, dict[str, str], bytes]:
    answers: list[tuple[str, dict[str, str]]] = []
    body = b"".join(app({"PATH_INFO": path}, lambda status, headers: answers.append((status, dict(headers)))))
    return answers[0][0][:3], answers[0][1], body


@pytest.fixture
def log(tmp_path: Path) -> LogFiles:
    public = tmp_path / "public"
    for name in ("checkpoint", "tile/0/000", "tile/entries/x001/234.p/7", "secret"):
        (public / name).parent.mkdir(parents=True, exist_ok=True)
        (public / name).write_text(name)
    (tmp_path / "log.key.pem").write_text("private")
    return LogFiles("/log/", public)


def test_tiles_never_change_and_checkpoints_do(log: LogFiles) -> None:
    assert get(log, "/log/checkpoint")[1]["Cache-Control"] == "no-store"
    for name in ("tile/0/000", "tile/entries/x001/234.p/7"):
        status, headers, body = get(log, f"/log/{name}")
        assert (status, body) == ("200", name.encode())
        assert "immutable" in headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    ["", "secret", "../log.key.pem", "tile/../../log.key.pem", "tile/0/000/../../secret", "tile/0", "/etc/passwd"],
)
def test_nothing_else_is_handed_out(log: LogFiles, path: str) -> None:
    assert get(log, f"/log/{path}")[0] == "404"


def test_keys_are_public_ones_and_retired_ones_stay() -> None:
    old, new, log = (Ed25519PrivateKey.generate().public_key() for _ in range(3))
    app = PublicKeys("/keys/", KeyList("example.org/log").signing(old, log, 1).signing(new, log, 2))
    assert get(app, "/keys/receipts.pub.pem")[2] == public_pem(new)
    for key in (old, new):
        assert get(app, f"/keys/receipts/{key_id(key)}.pub.pem")[2] == public_pem(key)
    assert get(app, "/keys/log.vkey")[2] == get(app, "/keys/log.vkeys")[2]
    assert get(app, "/keys/log.vkey")[2].decode().startswith("example.org/log+")
    assert [p.not_after for p in KeyList.from_json(get(app, "/keys/keys.json")[2]).receipts] == [2, None]
    for secret in ("receipts.key.pem", "../log.key.pem", "", "receipts/"):
        assert get(app, f"/keys/{secret}")[0] == "404"
