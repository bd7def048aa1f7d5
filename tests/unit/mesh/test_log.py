"""R7: what isn't on the allow-list is not printed, wherever it hides."""

from __future__ import annotations

import json

import pytest

from mesh import log
from tests.unit.mesh.programs import run
from tests.unit.serving import CANARY

SPACED = "CANARY words in a sentence"


class Shy:
    def __str__(self) -> str:
        return CANARY


@pytest.mark.parametrize(
    "event",
    [
        {"event": "x", "file_name": CANARY},
        {"event": "x", "user": CANARY, "email": CANARY},
        {"event": "x", "reason": {"nested": {"deeper": CANARY}}},
        {"event": "x", "reason": [CANARY]},
        {"event": "x", "reason": (CANARY,)},
        {"event": "x", "reason": ValueError(CANARY)},
        {"event": "x", "reason": Shy()},
        {"event": "x", "reason": CANARY.encode()},
        {"event": "x", "reason": memoryview(CANARY.encode())},
        {"event": "x", "reason": CANARY + "\n"},
        {"event": "x", "reason": CANARY + "é"},
        {"event": "x", "reason": CANARY + "=" * 2},
        {"event": "x", "reason": CANARY * 20},
        {"event": "x", "exc_info": ValueError(CANARY)},
        {"event": "x", "exception": CANARY},
        {"event": "x", "stack": CANARY},
        {"event": f"it was {CANARY}"},
        {"event": CANARY},
        {"event": ValueError(CANARY)},
    ],
)
def test_withheld_and_counted(event: dict[str, object]) -> None:
    before = log.withheld
    unsafe = len(event) - ("x" in event.values())
    printed = log._allow(None, "info", dict(event))
    assert CANARY not in repr(printed)
    assert log.withheld - before == unsafe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("event", "custody_stream_lost"),
        ("reason", "PHOTO_NOT_FOUND"),
        ("address", "[::1]:8080"),
        ("method", "/mayfly.ingest.v1.IngestService/Scrub"),
        ("holder", "ingest/ingest-0/0123456789abcdef"),
        ("count", 3),
        ("seconds", 0.25),
        ("control", True),
        ("reason", ""),
    ],
)
def test_printed(key: str, value: object) -> None:
    before = log.withheld
    assert log._allow(None, "info", {key: value}) == {key: value}
    assert log.withheld == before


PROGRAM = """
import sys, logging, threading, warnings, gc, asyncio
from mesh import log
from mesh.metrics import MeshMetrics

early = log.get_logger()  # as modules do, before anything is configured
log.configure("ingest", "ingest-3")
canary = sys.stdin.read()
logging.getLogger("grpc").critical("library says %s", canary)
logging.getLogger().error(canary)
early.info("serving", address="127.0.0.1:1", file_name=canary)
log.get_logger().info("it was %s", canary)
try:
    raise ValueError(canary)
except ValueError as error:
    log.get_logger().exception("failed", reason=error, error_at=log.error_at(error))


class Sticky:
    def __del__(self):
        raise RuntimeError(canary)


def fail():
    early.warning("in_thread", count=1)
    raise OSError(canary)


thread = threading.Thread(target=fail)
thread.start()
thread.join()
held = Sticky()
del held


async def forgotten():
    async def never_awaited():
        raise KeyError(canary)
    task = asyncio.create_task(never_awaited())
    await asyncio.wait({task})
    del task
    gc.collect()


asyncio.run(forgotten())
value = MeshMetrics("ingest", "1").registry.get_sample_value("mayfly_log_fields_withheld")
early.info("withheld", count=int(value))
raise LookupError(canary)
"""


def test_a_process_prints_json_lines_and_never_the_canary() -> None:
    done = run(PROGRAM, stdin=SPACED)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "CANARY" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(line["service"] == "ingest" and line["instance"] == "ingest-3" for line in lines)
    by_event = {line.get("event"): line for line in lines}
    assert by_event["serving"]["address"] == "127.0.0.1:1"
    assert by_event["failed"]["error_at"].startswith("__main__:")
    assert by_event["in_thread"]["count"] == 1
    # file_name; the sentence; reason and exc_info of the exception.
    assert by_event["withheld"]["count"] == 4
    uncaught = [line["error_type"] for line in lines if line.get("event") == "uncaught"]
    assert uncaught == ["OSError", "RuntimeError", "LookupError"]


def test_error_at_is_the_innermost_frame() -> None:
    def inner() -> None:
        raise ValueError(CANARY)

    with pytest.raises(ValueError, match="CANARY") as caught:
        inner()
    at = log.error_at(caught.value)
    assert at == f"{__name__}:{inner.__code__.co_firstlineno + 1}"
    assert log.error_at(ValueError()) == "unknown"
