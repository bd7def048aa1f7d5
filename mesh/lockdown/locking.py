"""Locking this process: once, before its second thread, in the one order that works."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh.errors import ConfigError
from mesh.forgetting import selfcheck
from mesh.isolation.nursery import Nursery
from mesh.kernel import landlock, seccomp, swap
from mesh.kernel.calls import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from mesh.lockdown import confinement, descriptors, filters, probes, reads
from mesh.lockdown.needs import Needs
from mesh.lockdown.policy import Strictness, accept, announce


@dataclass(frozen=True, slots=True)
class Lockdown:
    """controls: name -> in force. nursery: where the decoders' processes come from, for who has decoders."""

    strictness: Strictness = "strict"
    controls: Mapping[str, bool] = field(default_factory=dict)
    nursery: Nursery | None = None

    def swap_is_kept_out(self) -> bool:
        """Asked anew: a swap area can be added at any time."""
        return self.controls.get("no_swap", False) and _no_swap()

    def still_holds(self) -> bool:
        """False if swap was kept out at the start, as receipts say, and no longer is."""
        return not self.controls.get("no_swap", False) or _no_swap()

    def end_listening(self) -> Mapping[str, bool]:
        """Once all servers listen, in any thread: nothing begins to any more. The control, read back from the kernel.

        Raises ConfigError as ``apply``. Does nothing in a process that isn't locked.
        """
        if not self.controls:
            return {}
        _try(seccomp.install_for_all_threads, filters.for_the_serving())
        held = {"no_more_listening": probes.no_more_listening()}
        accept(held, self.strictness)
        return held


def apply(needs: Needs, strictness: Strictness) -> Lockdown:
    """Locks. Raises ConfigError, one line, when strict and a control is missing; shouts when permissive."""
    announce(strictness)
    held = {"no_inherited_files": descriptors.close_inherited()}
    accept(held, strictness)  # before anything is written to that file
    held |= {"freed_memory_overwritten": selfcheck.freed_memory_is_overwritten()}
    _make_folders(needs)
    held |= _limits(needs, logs_to_a_file=not held["no_inherited_files"]) | {"no_swap": _kept_from_swap()}
    beyond, nursery = probes.Beyond(), Nursery() if needs.decoders else None
    _try(confinement.with_children, needs)
    held |= {"landlock_tcp": probes.ports_are_closed(needs)}
    out_of_reach = beyond.is_out_of_reach()
    if landlock.abi() >= landlock.ABI_SCOPES:
        held["landlock_scopes"] = out_of_reach
    _filter(needs, nursery)
    _try(confinement.alone, needs)
    held |= _read_back(needs)
    accept(held, strictness)
    return Lockdown(strictness, held, nursery)


def _make_folders(needs: Needs) -> None:
    """A rule is for what exists."""
    for folder in needs.writes:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder {folder} can't be made: {error.strerror}.") from None


def _limits(needs: Needs, *, logs_to_a_file: bool = False) -> dict[str, bool]:
    """setrlimit(2), prctl(2). Who may serve with its log in a file (permissive) is to be able to write there."""
    _try(resource.setrlimit, resource.RLIMIT_CORE, (0, 0))
    _try(prctl, PR_SET_DUMPABLE, 0)
    _try(prctl, PR_SET_NO_NEW_PRIVS, 1)
    held = {"no_core_dumps": probes.no_core_dumps()}
    if not needs.writes:
        held["no_file_growth"] = False
    if not needs.writes and not logs_to_a_file:
        # A write beyond the limit then fails, instead of ending the process.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _try(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0))
        held["no_file_growth"] = probes.no_file_growth()
    return held


def _kept_from_swap() -> bool:
    """Locked only where there is swap: locked pages can't be given back by madvise(2), which allocators rely on."""
    return swap.is_off() or swap.is_barred() or swap.lock()


def _no_swap() -> bool:
    return swap.is_off() or swap.is_barred() or swap.are_locked()


def _filter(needs: Needs, nursery: Nursery | None) -> None:
    """Installs the filters; between them, the one process is started that starts others from now on."""
    known = seccomp.available()
    if known:
        program = filters.for_service(writes=needs.opens_for_writing, unix_sockets=needs.unix_sockets)
        _try(seccomp.install_for_all_threads, program)
    if nursery is not None:
        nursery.start()
    if known:
        _try(seccomp.install_for_all_threads, filters.for_the_locked())


def _read_back(needs: Needs) -> dict[str, bool]:
    return {
        "landlock_files": all(map(landlock.in_force, reads.forbidden())),
        "not_dumpable": probes.not_dumpable(),
        "no_new_privileges": probes.no_new_privileges(),
        "seccomp": probes.filtered() and (needs.opens_for_writing or probes.no_writing()),
        "no_exec": probes.no_more_processes(),
    }


def _try(step: Callable[..., object], *args: object) -> None:
    """What fails is known by what is then not in force."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        step(*args)
