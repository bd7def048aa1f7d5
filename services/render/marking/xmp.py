"""The mark for readers that know no C2PA: an XMP packet with IPTC's digital source type and nothing else.

XMP part 1 (ISO 16684-1) 7.3.2 and 7.4; part 3, 1.1.3 (JPEG); IPTC Photo Metadata Standard, "Digital Source Type".
"""

from __future__ import annotations

from services.render.marking.source_type import SourceType

SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1 = b"\xff\xe0", b"\xff\xe1"
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' Iptc4xmpExt:DigitalSourceType="{}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def segment(source_type: SourceType) -> bytes:
    """The APP1 segment, the same in every picture of that type."""
    content = SIGNATURE + _PACKET.format(source_type.uri).encode()
    return _APP1 + (len(content) + 2).to_bytes(2, "big") + content


def marked(jpeg: bytes, source_type: SourceType) -> bytes:
    """jpeg: as our encoder writes it, a JFIF file. The segment comes right behind JFIF's, which must be the first
    (ITU-T T.871, 10.1)."""
    if jpeg[2:4] != _APP0:
        raise ValueError("not as our encoder writes it")
    at = 4 + int.from_bytes(jpeg[4:6], "big")
    return b"".join((jpeg[:at], segment(source_type), jpeg[at:]))
