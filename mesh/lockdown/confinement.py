"""Files and ports, by Landlock: two domains, one in the other.

The outer one is what the service and its nursery (``mesh.isolation.nursery``) may do: it lets start the interpreter and
nothing else, and look at /proc, where each process has a folder of its own. The inner one is the service's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mesh.kernel.landlock import BIND, CONNECT, DEVICE, READ, WRITE, Fs, restrict, rights
from mesh.lockdown import reads
from mesh.lockdown.needs import Needs


def with_children(needs: Needs) -> None:
    """The outer domain. Raises OSError."""
    files = rights(
        [
            *_granted(needs),
            (reads.executables(), READ | Fs.EXECUTE),
            # A new interpreter lists the folder in which it looks for our packages. Names only: no file is read there.
            (reads.roots_of_source(), Fs.READ_DIR),
            ([Path("/proc")], Fs.READ_FILE),
        ]
    )
    restrict(files, ports(needs))


def alone(needs: Needs) -> None:
    """The inner domain. Signals to its own decoders' processes, which are in the outer one, stay possible. OSError."""
    restrict(rights(_granted(needs)), ports(needs), scopes=not needs.decoders)


def ports(needs: Needs) -> Mapping[int, int]:
    granted = dict.fromkeys(needs.binds, BIND)
    for port in needs.connects:
        granted[port] = granted.get(port, 0) | CONNECT
    return granted


def _granted(needs: Needs) -> list[tuple[frozenset[Path] | set[Path] | list[Path], Fs]]:
    return [
        (reads.of_a_process(), READ),
        (needs.reads, READ),
        (needs.writes, WRITE),
        (needs.devices, DEVICE),
        # Where subprocess and multiplexers send what nobody wants.
        ([reads.NULL], READ | Fs.WRITE_FILE),
    ]
