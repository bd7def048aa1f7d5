"""Formats that only a whole-file decoder can open: HEIC, AVIF, TIFF, BMP. Decoded and re-encoded in a process apart.

A JPEG, PNG or WebP whose colour profile we don't know goes the same way, for its colours' sake: ``recolour``.

``worker`` runs in ``mesh.isolation``'s child and is the only part that decodes; ``survey`` and what it calls read the
container before that, in the child too. ``convert`` is the parent's side, ``passage`` joins it to the streaming scrub.
"""
