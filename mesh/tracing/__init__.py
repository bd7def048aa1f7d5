"""Traces of photos' ways through the mesh, by OpenTelemetry: off unless asked for, by allow-list always.

Only this package and its middleware know OpenTelemetry; everybody else says ``spans.span`` and ``spans.event``.
"""
