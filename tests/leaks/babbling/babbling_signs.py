"""On which signs the bugs of ``sitecustomize.py`` show themselves."""

from __future__ import annotations

GATEWAY_BUG, RENDER_BUG, RENDER_AWAY, RENDER_SLOW, PLANT = range(4_000_007_001, 4_000_007_006)
"""Seeds: a bug in the gateway, one in the engine, an engine that is away, one that is slow, and the control."""
PURGE_TTL = 77.0
"""Seconds of a lease in whose grant purge has a bug."""
INGEST_WORD = b"BUG-IN-INGEST"
"""In a photo in whose scrubbing ingest has a bug."""
CONTROL = "planted_control_9b1f4d"
"""What the control says in a log line, a span, a metric's label and an error: all of them must be searched."""
