"""The only colour profiles that may leave, told by their digests."""

from __future__ import annotations

import hashlib

from services.ingest.report import Colour

# SHA-256 of the two constant profiles. Whoever changes one on purpose changes this too: tests/unit/services/ingest/
# verify/test_stream.py checks them, and has Little CMS say that they describe the spaces that they stand for.
_DIGESTS = {
    "aa35b46ab3410582d4f3e4bfdcb1e5707a092fa9f29341251e1e53ade6d6d1f1": Colour.DISPLAY_P3,
    "290871793f8b60b143ab5835888c5ee6939194aa8289d7afefe64af483a6f1ae": Colour.ADOBE_RGB,
}


def space_of(profile: bytes) -> Colour | None:
    """The space that one of our profiles describes; None for every other byte string."""
    return _DIGESTS.get(hashlib.sha256(profile).hexdigest())
