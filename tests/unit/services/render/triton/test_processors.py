"""The pinned list: what it must say, and that a deployment can't use anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.errors import ConfigError, Denied
from services.render.engines.triton import processors
from services.render.engines.triton.contract import MODELS

GOOD = """
[[processor]]
name = "gpu-frankfurt"
operator = "Inferenz GmbH"
region = "eu-central, Frankfurt"
endpoints = ["pool-1.example:8001", "[2001:db8::1]:8001"]
ca = "inferenz.pem"
identity = "triton.inferenz.example"
models = { cut_out = "1", stylize = "1" }
terms = { no_retention = true, no_training = true }

[[processor]]
name = "own-triton"
operator = "Mayfly"
region = "here"
endpoints = ["10.0.0.7:8001"]
ca = "/etc/mayfly/own.pem"
identity = "triton.mayfly.internal"
models = { cut_out = "1", stylize = "2" }
terms = { no_retention = true, no_training = true }
"""


def _load(folder: Path, text: str) -> processors.Processors:
    path = folder / "processors.toml"
    path.write_text(text, encoding="utf-8")
    return processors.load(path)


def test_the_list(tmp_path: Path) -> None:
    listed = _load(tmp_path, GOOD)
    assert listed.names == ("gpu-frankfurt", "own-triton")
    first, second = listed.listed
    assert (first.ca, second.ca) == (tmp_path / "inferenz.pem", Path("/etc/mayfly/own.pem"))
    assert second.models == {"cut_out": "1", "stylize": "2"}
    assert set(second.models) == set(MODELS)
    assert listed.at("[2001:db8::1]:8001") == first
    with pytest.raises(Denied, match="PROCESSOR_NOT_LISTED"):
        listed.at("pool-3.example:8001")


def test_a_deployment_may_use_a_part_of_it(tmp_path: Path) -> None:
    listed = _load(tmp_path, GOOD)
    assert listed.only(()) == listed
    used = listed.only(["10.0.0.7:8001"])
    assert (used.names, used.endpoints) == (("own-triton",), ("10.0.0.7:8001",))
    with pytest.raises(ConfigError, match=r"^MAYFLY_RENDER_POOL_ENDPOINTS: elsewhere\.example:8001 "):
        listed.only(["10.0.0.7:8001", "elsewhere.example:8001"])


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("no_retention = true", "no_retention = false", "processor[0].terms.no_retention"),
        (", no_training = true", "", "processor[0].terms.no_training"),
        ("no_training = true", "no_training = 1", "processor[0].terms.no_training"),
        ("no_training = true", "no_training = true, unless_paid = true", "processor[0].terms.unless_paid"),
        ('name = "gpu-frankfurt"', 'name = "GPU Frankfurt"', "processor[0].name"),
        ('operator = "Inferenz GmbH"', "", "processor[0].operator"),
        ('region = "here"', 'region = ""', "processor[1].region"),
        ("pool-1.example:8001", "https://pool-1.example:8001", "processor[0].endpoints"),
        ("pool-1.example:8001", "pool-1.example:99999", "processor[0].endpoints"),
        ("pool-1.example:8001", "xds:///pool", "processor[0].endpoints"),
        ('ca = "inferenz.pem"', "", "processor[0].ca"),
        ("triton.mayfly.internal", "*.mayfly.internal", "processor[1].identity"),
        ("triton.mayfly.internal", "10.0.0.7", "processor[1].identity"),
        ("triton.inferenz.example", "spiffe://inferenz.example/triton", "processor[0].identity"),
        ('stylize = "2"', "stylize = 2", "processor[1].models.stylize"),
        ('cut_out = "1", stylize = "2"', 'stylize = "2"', "processor[1].models.cut_out"),
        ('stylize = "2"', 'stylize = "2", write_poems = "1"', "processor[1].models.write_poems"),
        ('region = "here"', 'region = "here"\nprompt = "x"', "processor[1].prompt"),
    ],
)
def test_what_is_wrong_stops_the_start_with_its_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        _load(tmp_path, GOOD.replace(old, new, 1))
    assert str(error.value).startswith(f"MAYFLY_RENDER_PROCESSORS_FILE: {field}: ")


@pytest.mark.parametrize(
    "text",
    ["", "processor = 3", "[processor]", 'other = 1\n[[processor]]\nname = "x"', "[[", GOOD + GOOD,
     GOOD.replace("10.0.0.7:8001", "pool-1.example:8001")],
    ids=["empty", "number", "table", "more", "no TOML", "names twice", "endpoint twice"],
)  # fmt: skip
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^MAYFLY_RENDER_PROCESSORS_FILE: "):
        _load(tmp_path, text)


def test_an_authority_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inferenz.pem").write_text("not PEM")
    for processor in _load(tmp_path, GOOD).listed:
        with pytest.raises(ConfigError, match=processor.name):
            processor.authority()
