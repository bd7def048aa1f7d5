"""C2PA Content Credentials: who signed the picture, and how it came about. Signed in memory; no file, no socket.

What the manifest holds is written here and nowhere else: actions from closed lists, our name and version. The library
adds a hash of the picture itself (the hard binding), a random urn and a random instance id. It has no ingredient, so
nothing of the photo and no hash of it; no thumbnail; no time (there is no timestamp authority, since its answer would
be a time to the second). C2PA technical specification 2.2, sections 13.2 (certificates), 18.15 (actions).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from PIL import Image

from mesh.build import VERSION
from mesh.errors import ConfigError
from services.render.marking.source_type import SourceType

MEDIA_TYPE = "image/jpeg"
GENERATOR = "mayfly"
_CERT, _KEY = "MAYFLY_RENDER_C2PA_CERT", "MAYFLY_RENDER_C2PA_KEY"
_DESCRIPTIONS = {
    SourceType.EDITED_BY_AI: "A photo, edited with generative networks by a fixed recipe.",
    SourceType.ALTERED: "A photo, corrected by a fixed recipe. Nothing in it was generated.",
}
# What the library would do of itself: a thumbnail of the picture, and requests to the network.
SETTINGS: dict[str, Any] = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {
        "verify_after_sign": False,
        "verify_timestamp_trust": False,
        "ocsp_fetch": False,
        "remote_manifest_fetch": False,
    },
}
_Sign = Callable[[bytes], bytes]


class Credentials:
    """Signs pictures. Called from several threads at a time.

    expires: when the first certificate of the chain ends, Unix seconds. From then on nothing is signed.
    """

    def __init__(self, chain: list[x509.Certificate], key: object) -> None:
        """chain: the signer's first. Raises ConfigError for a key of another kind than C2PA's, and when the library
        doesn't take the certificate."""
        self.expires = min(certificate.not_valid_after_utc for certificate in chain).timestamp()
        self._chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain).decode("ascii")
        self._algorithm, self._sign = _algorithm(key)
        self._context = c2pa.Context.from_dict(SETTINGS)
        self._try_out()

    @classmethod
    def load(cls, certificate: Path | None, key: Path | None) -> Credentials:
        """From PEM files. Raises ConfigError naming the setting."""
        if certificate is None or key is None:
            name = _CERT if certificate is None else _KEY
            raise ConfigError(
                f"{name}: is not set (MAYFLY_RENDER_MARKING=off makes pictures that don't say what they are)"
            )
        try:
            chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{_CERT}: not a chain of PEM certificates ({type(error).__name__})") from None
        try:
            private = load_pem_private_key(key.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{_KEY}: not a PEM key without a password ({type(error).__name__})") from None
        if private.public_key() != chain[0].public_key():
            raise ConfigError(f"{_KEY}: is not the key of the first certificate in {_CERT}")
        now = datetime.now(UTC)
        if not all(each.not_valid_before_utc <= now < each.not_valid_after_utc for each in chain):
            raise ConfigError(f"{_CERT}: a certificate of the chain has ended, or has not begun")
        return cls(chain, private)

    def sign(self, jpeg: bytes, source_type: SourceType) -> bytes:
        """The picture with its credentials. What is in ``jpeg`` beside pixels is signed with them."""
        out = io.BytesIO()
        # A signer of its own each: it holds a callback, which isn't to be shared between threads.
        with (
            c2pa.Signer.from_callback(self._sign, self._algorithm, self._chain, None) as signer,
            c2pa.Builder(json.dumps(manifest(source_type)), self._context) as builder,
        ):
            builder.sign(signer, MEDIA_TYPE, io.BytesIO(jpeg), out)
        return out.getvalue()

    def _try_out(self) -> None:
        """Signs and reads back once, so that what the library has against a certificate stops the start."""
        blank = io.BytesIO()
        Image.new("RGB", (16, 16)).save(blank, "JPEG")
        try:
            signed = self.sign(blank.getvalue(), SourceType.ALTERED)
            state = c2pa.Reader(MEDIA_TYPE, io.BytesIO(signed), context=self._context).get_validation_state()
        except c2pa.C2paError as error:
            raise ConfigError(f"{_CERT}: C2PA doesn't take it ({type(error).__name__})") from None
        if state == "Invalid":
            raise ConfigError(f"{_CERT}: C2PA doesn't take it; see docs/marking.md for what it must be")


def manifest(source_type: SourceType) -> dict[str, Any]:
    """What the credentials say. The same for all pictures of a source type."""
    agent = {"name": GENERATOR, "version": VERSION}
    return {
        "claim_generator_info": [agent],
        "format": MEDIA_TYPE,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": list(_actions(source_type, agent))}}],
    }


def _actions(source_type: SourceType, agent: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "action": "c2pa.created",
            "softwareAgent": agent,
            "digitalSourceType": source_type.uri,
            "description": _DESCRIPTIONS[source_type],
        },
        {"action": "c2pa.watermarked.unbound", "softwareAgent": agent},
    ]


def _algorithm(key: object) -> tuple[c2pa.C2paSigningAlg, _Sign]:
    """COSE's algorithms that C2PA allows (13.2.1) and a service can have."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return c2pa.C2paSigningAlg.ED25519, key.sign
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return c2pa.C2paSigningAlg.ES256, _ecdsa(key, hashes.SHA256(), 32)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return c2pa.C2paSigningAlg.ES384, _ecdsa(key, hashes.SHA384(), 48)
    raise ConfigError(f"{_KEY}: must be an EC key (P-256, P-384) or an Ed25519 key")


def _ecdsa(key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm, size: int) -> _Sign:
    def sign(data: bytes) -> bytes:
        """r and s side by side, as COSE has them (RFC 9053, 2.1)."""
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign
