"""What a holder says of itself reaches receipts, which hold no free text: it is checked at the door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.errors import Invalid
from services.purge.hello import Hello, check_holders

GOOD = Hello("ingest", "ingest-0", "0123456789abcdef", ("a" * 32,), ("no_swap",), ("onnx", "triton:8001/v2"))


def test_names() -> None:
    assert GOOD.place == "ingest/ingest-0"
    assert GOOD.holder == "ingest/ingest-0/0123456789abcdef"
    assert check_holders((GOOD.holder,)) == (GOOD.holder,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", "purge"),
        ("service", "somebody"),
        ("instance", ""),
        ("instance", "a/b"),
        ("instance", "A"),
        ("epoch", "1"),
        ("epoch", "g" * 16),
        ("held", ("../x",)),
        ("controls", ("free text",)),
        ("controls", ("x",) * 65),
        ("processors", ("somebody@example.com said: hello there",)),
        ("processors", ("x",) * 65),
    ],
)
def test_what_no_receipt_could_hold_is_refused(field: str, value: object) -> None:
    with pytest.raises(Invalid):
        replace(GOOD, **{field: value})


@pytest.mark.parametrize("holder", ["", "ingest", "ingest/x", "ingest/x/y", "alice/x/0123456789abcdef"])
def test_holders_that_nobody_could_be_are_refused(holder: str) -> None:
    with pytest.raises(Invalid):
        check_holders((holder,))
