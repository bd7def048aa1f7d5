"""What render shows of itself before it has made a picture."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.render.fair_queue import CLASSES
from services.render.metrics import DIFFUSE, RENDER_SECONDS, STEP_SECONDS, WAITED, RenderMetrics
from services.render.recipe import STEPS
from services.render.scene import KINDS


def test_what_takes_time_is_there_from_0_on() -> None:
    """So the first picture is a rise: a series that begins at 1 is none."""
    registry = CollectorRegistry()
    RenderMetrics(registry)
    for metric, values in ((WAITED, CLASSES), (RENDER_SECONDS, KINDS), (STEP_SECONDS, (*STEPS, DIFFUSE))):
        for value in values:
            assert registry.get_sample_value(f"{metric.name}_count", {metric.label_names[0]: value}) == 0
