"""Content Credentials: what they say, what they don't, and which certificates they are signed with."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clients.local.authority import new_authority, new_content_signer, new_leaf
from mesh.errors import ConfigError
from services.render.marking import xmp
from services.render.marking.credentials import SETTINGS, Credentials
from services.render.marking.source_type import VOCABULARY, SourceType
from tests.scene_subjects import markers
from tests.unit.services.render.marking.marks import credentials, jpeg, marked, pixels, signer_files


def _said(data: bytes) -> tuple[str, dict[str, Any]]:
    reader = c2pa.Reader("image/jpeg", io.BytesIO(data), context=c2pa.Context.from_dict(SETTINGS))
    store = json.loads(reader.json())
    (manifest,) = store["manifests"].values()
    return str(reader.get_validation_state()), manifest


@pytest.mark.parametrize("made", list(SourceType))
def test_they_say_how_it_came_about_and_nothing_else(made: SourceType) -> None:
    state, manifest = _said(marked(made))
    assert state == "Valid"
    assert set(manifest) == {
        "claim_generator_info", "instance_id", "assertions", "signature_info", "label", "claim_version",
    }  # fmt: skip
    assert set(manifest["signature_info"]) == {"alg", "issuer", "common_name", "cert_serial_number"}
    assert "not to be trusted" in manifest["signature_info"]["issuer"]
    (assertion,) = manifest["assertions"]
    created, watermarked = assertion["data"]["actions"]
    assert set(created) == {"action", "softwareAgent", "digitalSourceType", "description"}
    assert (created["action"], created["digitalSourceType"]) == ("c2pa.created", VOCABULARY + made)
    assert (set(watermarked), watermarked["action"]) == ({"action", "softwareAgent"}, "c2pa.watermarked.unbound")


def test_two_pictures_share_all_but_random_ids_and_signatures() -> None:
    first, second = (_said(marked())[1] for _ in range(2))
    for manifest in (first, second):
        assert manifest.pop("label").startswith("urn:c2pa:")
        assert manifest.pop("instance_id").startswith("xmp.iid:")
    assert first == second


def test_the_file_holds_the_two_marks_and_the_picture() -> None:
    plain = jpeg(pixels())
    data = marked()
    kinds = markers(data)
    assert kinds[:3] == [0xE0, 0xEB, 0xE1]
    assert set(kinds) - set(markers(plain)) == {0xE1, 0xEB}
    assert data.count(b"http://ns.adobe.com/xap/") == 1
    assert xmp.segment(SourceType.EDITED_BY_AI) in data
    for word in (b"Exif", b"thumbnail", b"ingredient", b"tsa", b"cawg"):
        assert word not in data


def test_no_time_but_those_of_the_certificates() -> None:
    """A time of signing would be today's, in any of the usual spellings."""
    data, now = marked(), datetime.now(UTC)
    assert all(now.strftime(form).encode() not in data for form in ("%Y-%m-%dT", "%Y:%m:%d", "%Y%m%d"))


def test_a_changed_pixel_makes_them_invalid() -> None:
    data = bytearray(marked())
    data[-200] ^= 1
    assert _said(bytes(data))[0] == "Invalid"


def test_the_xmp_is_signed_too() -> None:
    data = marked(SourceType.EDITED_BY_AI).replace(
        b'compositeWithTrainedAlgorithmicMedia"/>', b'digitalCaptureXXXXXXXXXXXXXXXXXXXXXX"/>'
    )
    assert _said(data)[0] == "Invalid"


def test_several_threads_sign_at_once() -> None:
    plain = xmp.marked(jpeg(pixels()), SourceType.ALTERED)
    together = threading.Barrier(4)

    def sign(_: int) -> str:
        together.wait(30)
        return _said(credentials().sign(plain, SourceType.ALTERED))[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sign, range(4))) == ["Valid"] * 4


def test_a_chain_from_files(tmp_path: Path) -> None:
    loaded = Credentials.load(*signer_files(tmp_path))
    assert loaded.expires == pytest.approx((datetime.now(UTC) + timedelta(days=90)).timestamp(), abs=60)


def test_without_files_it_does_not_start(tmp_path: Path) -> None:
    chain, _ = signer_files(tmp_path)
    with pytest.raises(ConfigError, match=r"MAYFLY_RENDER_C2PA_CERT: is not set .*MAYFLY_RENDER_MARKING=off"):
        Credentials.load(None, None)
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_KEY: is not set"):
        Credentials.load(chain, None)


@pytest.mark.parametrize("ago", [timedelta(days=91), timedelta(days=-1)])
def test_an_expired_certificate_does_not_start(tmp_path: Path, ago: timedelta) -> None:
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_CERT: a certificate of the chain has ended"):
        Credentials.load(*signer_files(tmp_path, ago=ago))


def test_what_is_no_certificate_or_key_is_named(tmp_path: Path) -> None:
    chain, key = signer_files(tmp_path)
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_CERT: not a chain"):
        Credentials.load(nonsense, key)
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_KEY: not a PEM key"):
        Credentials.load(chain, nonsense)
    other, _ = new_content_signer(datetime.now(UTC))
    nonsense.write_bytes(other.key_pem())
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_KEY: is not the key"):
        Credentials.load(chain, nonsense)


def test_a_tls_certificate_is_none_for_content(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = new_authority(now)
    leaf = new_leaf(authority, "render", [x509.DNSName("render")], now)
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_CERT: C2PA doesn't take it"):
        Credentials([leaf.certificate, authority.certificate], leaf.key)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair, _ = new_content_signer(datetime.now(UTC))
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_C2PA_KEY: must be an EC key"):
        Credentials([pair.certificate], key)
