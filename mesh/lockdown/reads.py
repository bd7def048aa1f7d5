"""What every process of ours reads besides the files of its settings: code, libraries, what the C library looks up."""

from __future__ import annotations

import importlib
import site
import ssl
import sys
import sysconfig
from pathlib import Path

INTERPRETER = Path(sys.executable)
NULL = Path("/dev/null")
_PACKAGES = ("mayfly", "mesh", "services")
"""Ours. Imported before the folder in which they lie can't be listed any more; for where they are, and nothing else."""

# Code, none of it ours. Not their parents: a home folder may hold the environment.
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/libexec")
# The C library's: the loader's cache, names (resolv.conf(5), nsswitch.conf(5), hosts(5), gai.conf(5)), time zones.
_LOOKED_UP = (
    "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/services", "/etc/protocols", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/usr/share/ca-certificates", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust", "/etc/crypto-policies",
)  # fmt: skip
# How many cores there are and what they can (onnxruntime, OpenBLAS, the C library).
_MACHINE = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/loadavg", "/proc/filesystems",
    "/proc/sys/vm", "/proc/sys/kernel", "/proc/sys/net/core/somaxconn", "/sys/devices", "/sys/bus/pci/devices",
    "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage", "/dev/urandom", "/dev/random",
)  # fmt: skip


def of_python() -> set[Path]:
    """The interpreter's library, installed packages, our own source; never the folder that these lie in."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    packages = {Path(path) for path in (*map(sysconfig.get_path, names), *site.getsitepackages())}
    packages |= {Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages", "lib-dynload"))}
    return packages | _sources() | {Path(sys.prefix) / "pyvenv.cfg"}


def roots_of_source() -> set[Path]:
    """The folders in which our source lies; they may hold anything else."""
    return {source.parent for source in _sources()}


def of_a_process() -> set[Path]:
    """Everything above, and what the kernel says of this very process."""
    paths = ssl.get_default_verify_paths()
    trust = {Path(path) for path in (paths.cafile, paths.capath) if path}
    fixed = {Path(path) for path in (*_LIBRARIES, *_LOOKED_UP, *_MACHINE)}
    return of_python() | mapped() | trust | fixed | {_resolver(), NULL, Path("/proc/self")}


def mapped() -> set[Path]:
    """What this process runs on (proc_pid_maps(5)): a new interpreter looks for its library where ours was found, and
    would otherwise take another version's that lies elsewhere."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    return {Path(words[5]) for words in (line.split(maxsplit=5) for line in lines) if words[5:] and words[5][0] == "/"}


def executables() -> set[Path]:
    """The interpreter, and the loader that the kernel starts it by (ld.so(8))."""
    return {INTERPRETER, *Path("/lib64").glob("ld-linux*"), *Path("/lib").glob("ld-linux*"), *_musl()}


def forbidden() -> list[str]:
    """Folders that a locked service can't list: /, and that of its source, which may be listed in the outer domain
    (unless our packages lie among the others' in site-packages)."""
    readable = of_a_process()
    roots = [root for root in roots_of_source() if not readable & {root, *root.parents}]
    return ["/", *map(str, roots)]


def _sources() -> set[Path]:
    return {Path(path) for name in _PACKAGES for path in importlib.import_module(name).__path__}


def _musl() -> list[Path]:
    return list(Path("/lib").glob("ld-musl*"))


def _resolver() -> Path:
    """The folder of a resolv.conf that is a link, whose target is replaced when the network changes."""
    target = Path("/etc/resolv.conf").resolve()
    return target if target.parent == Path("/etc") else target.parent
