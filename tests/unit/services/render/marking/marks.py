"""What tests of marks share: a development signer, and pictures as render makes them."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from cryptography import x509
from PIL import Image

from clients.local.authority import new_content_signer
from services.render.marking import watermark, xmp
from services.render.marking.credentials import Credentials
from services.render.marking.source_type import SourceType
from services.render.steps.pixels import Array
from tests.scene_subjects import child


def signer_files(folder: Path, *, ago: timedelta = timedelta()) -> tuple[Path, Path]:
    """(chain, key), made ``ago``."""
    pair, chain = new_content_signer(datetime.now(UTC) - ago)
    (folder / "c2pa.pem").write_bytes(chain)
    (folder / "c2pa.key").write_bytes(pair.key_pem())
    return folder / "c2pa.pem", folder / "c2pa.key"


@cache
def credentials() -> Credentials:
    pair, chain = new_content_signer(datetime.now(UTC))
    return Credentials(x509.load_pem_x509_certificates(chain), pair.key)


@cache
def pixels(width: int = 512, height: int = 640) -> Array:
    """Not to be changed: it is drawn once."""
    drawn = np.asarray(child(width, height), np.float32) / np.float32(255)
    drawn.flags.writeable = False
    return drawn


def jpeg(picture: Array, quality: int = 91) -> bytes:
    out = io.BytesIO()
    Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def opened(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32) / np.float32(255)


def marked(made: SourceType = SourceType.EDITED_BY_AI) -> bytes:
    """With all three marks; signed anew each time."""
    return credentials().sign(xmp.marked(_watermarked(made), made), made)


@cache
def _watermarked(made: SourceType) -> bytes:
    return jpeg(watermark.embed(pixels(), made))
