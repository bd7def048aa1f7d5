"""The second opinion: what leaves is read again, by code that shares nothing with the code that wrote it.

``Verifier`` is the façade. ``tape`` feeds bytes to automata, of which there is one per format; each is written from
the format's specification as a list of what may be there, in which order and in which one form. It imports nothing
from ``services.ingest.scrub`` (a test sees to it), so that one mistake can't be made once and believed twice.
"""

from services.ingest.verify.stream import Verifier

__all__ = ["Verifier"]
