"""Settings that must be there before the process is, and the check that they have had their effect."""

from __future__ import annotations

import json

import pytest

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
    """The loader says what it binds (ld.so(8), LD_DEBUG); a library that is opened by hand asks for laziness."""
    settings = {**SETTINGS, "LD_BIND_NOW": SETTINGS["LD_BIND_NOW"] if bound_at_the_start else ""}
    done = run(
        """
        import ctypes, ctypes.util, os
        library = ctypes.CDLL(ctypes.util.find_library("z"), mode=os.RTLD_LAZY)
        os.write(2, b"opened\\n")
        library.gzopen(b"/dev/null", b"r")
        os.write(2, b"called\\n")
        """,
        **settings,
        LD_DEBUG="bindings",
    )
    between = done.stderr.partition("opened\n")[2].partition("called\n")[0].splitlines()
    bound = [line for line in between if "binding file" in line and "`gzopen'" not in line]  # which Python looked up
    assert bool(bound) != bound_at_the_start, done.stderr[-2000:]
