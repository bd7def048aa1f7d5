"""Lossless, streaming removal of everything that a picture doesn't need. ``Scrubber`` is the façade.

The rest is private to this package: ``source`` turns pushed chunks into something that parsers can read, there is one
parser per format, and ``ledger`` gathers what they find.
"""

from services.ingest.scrub.stream import Scrubber

__all__ = ["Scrubber"]
