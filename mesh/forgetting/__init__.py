"""Memory that forgets: what a process has freed, and what its connections have carried, can't be found in it any more.

``environment`` sets what must be set before the process starts, ``selfcheck`` proves it, ``sweep`` acts after each
photo, ``rinse`` overwrites what gRPC's connections keep. docs/residue.md has the measurements.
"""
