"""Traces of photos' ways through the mesh, by OpenTelemetry: off unless asked for, by allow-list always.

Only this package and its middleware know OpenTelemetry; everybody else says ``spans.span`` and ``spans.event``.
"""

import os

# OpenTelemetry takes many settings from variables that nobody checks, some when it is first imported: before that they
# go, whether spans are wanted or not. Ours are all that there are.
for _name in [name for name in os.environ if name.startswith("OTEL_")]:
    del os.environ[_name]
