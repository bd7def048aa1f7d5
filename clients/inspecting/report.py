"""What a picture says of how it was made, and what it doesn't say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Credentials:
    """C2PA Content Credentials.

    state:        "trusted" (valid, and signed under an anchor that we were given), "valid", or "invalid".
    problems:     the specification's status codes of what is wrong; of a valid one, why it isn't trusted.
    signer:       the certificate's organisation. development: whether it calls itself one not to be trusted.
    source_types: IPTC's words, as the actions name them. ingredients: how many other files it names.
    """

    state: str
    problems: tuple[str, ...]
    signer: str
    development: bool
    generator: str
    actions: tuple[str, ...]
    source_types: tuple[str, ...]
    thumbnails: int
    ingredients: int
    times: int
    identities: int


@dataclass(frozen=True, slots=True)
class Found:
    """The watermark as it was read. matched: bits of ``bits`` that are as they should be; chance: that a picture
    without the mark reads so well."""

    source_type: str
    matched: int
    bits: int
    chance: float


@dataclass(frozen=True, slots=True)
class Metadata:
    """Kinds that the file carries besides the picture."""

    source_type: str
    exif: bool
    gps: bool
    times: bool
    thumbnail: bool
    xmp: bool
    iptc: bool
    colour_profile: bool
    comment: bool


ABSENT: Mapping[str, str] = {
    "exif": "EXIF",
    "gps": "place (GPS)",
    "times": "times",
    "thumbnail": "thumbnail",
    "iptc": "IPTC record",
    "comment": "comment",
    "ingredients": "other files or their hashes",
    "identities": "identity",
}
"""What the privacy of a family asks not to be in a picture."""


@dataclass(frozen=True, slots=True)
class Report:
    """credentials: None if there are none. watermark: None if none was found."""

    format: str
    width: int
    height: int
    credentials: Credentials | None
    metadata: Metadata
    watermark: Found | None

    @property
    def marked(self) -> bool:
        """Whether anything says that a machine made or altered it."""
        return bool(self.credentials or self.metadata.source_type or self.watermark)

    @property
    def carries(self) -> dict[str, bool]:
        """Of the kinds of ``ABSENT``: what is there all the same."""
        said, signed = self.metadata, self.credentials
        return {
            "exif": said.exif,
            "gps": said.gps,
            "times": said.times or bool(signed and signed.times),
            "thumbnail": said.thumbnail or bool(signed and signed.thumbnails),
            "iptc": said.iptc,
            "comment": said.comment,
            "ingredients": bool(signed and signed.ingredients),
            "identities": bool(signed and signed.identities),
        }

    def to_value(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "marked": self.marked,
            "credentials": self.credentials and asdict(self.credentials),
            "digital_source_type": self.metadata.source_type or None,
            "watermark": self.watermark and asdict(self.watermark),
            "carries": self.carries,
        }
