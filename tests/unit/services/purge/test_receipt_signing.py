"""Private keys on disk: made once, readable by their owner only, refused in one line otherwise."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from mesh.errors import ConfigError
from mesh.transparency.dsse import key_id
from mesh.transparency.note import Verifier
from services.purge.signing import LOG_FILE, RECEIPTS_FILE, load_keys, load_private, load_public, public_pem

ORIGIN = "mayfly.test/log"


def test_keys_are_made_once_and_then_kept(tmp_path: Path) -> None:
    made = load_keys(tmp_path / "keys", origin=ORIGIN, create=True)
    for again in (
        load_keys(tmp_path / "keys", origin=ORIGIN),
        load_keys(tmp_path / "keys", origin=ORIGIN, create=True),
    ):
        assert again.receipts_key_id == made.receipts_key_id and again.log_vkey == made.log_vkey
    files = sorted((tmp_path / "keys").iterdir())
    assert [path.name for path in files] == [LOG_FILE, RECEIPTS_FILE], "and nothing else is left behind"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_the_public_side_comes_back(tmp_path: Path) -> None:
    keys = load_keys(tmp_path, origin=ORIGIN, create=True)
    assert key_id(load_public(keys.receipts_public_pem)) == keys.receipts_key_id
    assert Verifier.parse(keys.log_vkey).key_id == keys.log.verifier.key_id
    assert keys.receipts_public_pem == public_pem(keys.receipts.public_key())


def test_without_create_a_missing_key_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read") as refused:
        load_keys(tmp_path, origin=ORIGIN)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    load_private(tmp_path / "key.pem", create=True)
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_private(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o400)
    load_private(tmp_path / "key.pem")


def _pem(key: object, encryption: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        _pem(X25519PrivateKey.generate(), NoEncryption()),
        _pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"password")),
        public_pem(Ed25519PrivateKey.generate().public_key()),
    ],
)
def test_files_that_are_no_such_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    (tmp_path / "key.pem").chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        load_private(tmp_path / "key.pem")
    assert "\n" not in str(refused.value)


def test_one_key_for_both_purposes_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path, origin=ORIGIN, create=True)
    (tmp_path / LOG_FILE).write_bytes((tmp_path / RECEIPTS_FILE).read_bytes())
    with pytest.raises(ConfigError, match="share one key"):
        load_keys(tmp_path, origin=ORIGIN)


def test_an_origin_that_cannot_name_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="origin"):
        load_keys(tmp_path, origin="two words", create=True)


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"a file")
    with pytest.raises(ConfigError, match="can't be created"):
        load_keys(tmp_path / "keys", origin=ORIGIN, create=True)


@pytest.mark.parametrize("data", [b"", b"x", _pem(Ed25519PrivateKey.generate(), NoEncryption())])
def test_public_keys_that_are_none(data: bytes) -> None:
    with pytest.raises(ConfigError):
        load_public(data)
