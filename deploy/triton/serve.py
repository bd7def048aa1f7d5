"""Starts Triton from the nvidia-pytriton wheel: gRPC with mutual TLS and nothing else, in memory only.

Usage, with the Python of the environment that `make triton` has built:
  .tools/triton/bin/python deploy/triton/serve.py --prepare          once, after installing
  .tools/triton/bin/python deploy/triton/serve.py REPOSITORY --listen HOST:PORT --cert F --key F --client-ca F

Becomes tritonserver (exec): whoever waits for this process waits for the server. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import sysconfig
from pathlib import Path

PURE = Path(sysconfig.get_path("purelib"))
TRITON = PURE / "pytriton/tritonserver"
BACKENDS = Path(sys.prefix) / "backends"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What a server that is ours to start can do about its own memory: the mesh's settings (mesh/forgetting/environment.py),
# by which what is freed is overwritten. Not promised for it.
FORGETTING = {
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=4194304:"
    "glibc.malloc.trim_threshold=33554432:glibc.malloc.arena_max=2:glibc.pthread.stack_cache_size=0",
    "LD_BIND_NOW": "1",
    "PYTHONMALLOC": "malloc",
    "ORT_DISABLE_TELEMETRY": "1",
}
# Protocols that nobody is to use: tensors by shared memory, other models, traces and logs of requests.
_BARRED = "shared-memory,model-repository,model-config,trace,logging,statistics"


_SHARED = Path("/dev/shm")  # noqa: S108 - where the Python backend hands tensors to its networks' processes


def shared_memory(listen: str) -> str:
    """How the names of the regions begin of the server that listens there."""
    return f"mayfly-triton-{listen.rpartition(':')[2]}-"


def sweep_shared_memory(prefix: str) -> None:
    """A server that was killed leaves its tensors there; the next one at its place begins without them."""
    for left in _SHARED.glob(f"{prefix}*"):
        left.unlink(missing_ok=True)


def prepare() -> None:
    """The Python backend wants the stub for this interpreter beside its library."""
    target = BACKENDS / "python"
    target.mkdir(parents=True, exist_ok=True)
    backend = TRITON / "backends/python"
    for source in (
        backend / "libtriton_python.so",
        backend / "triton_python_backend_utils.py",
        TRITON / f"python_backend_stubs/{_PYTHON}/triton_python_backend_stub",
    ):
        shutil.copy2(source, target / source.name)


def environment() -> dict[str, str]:
    """For tritonserver. Its Python stub takes the python3 that is first on PATH, and loads that one's own library."""
    libraries = f"{PURE / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
    return {
        **os.environ,
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', '')}",
        "LD_LIBRARY_PATH": libraries,
        "PYTHONDONTWRITEBYTECODE": "1",
        **FORGETTING,
    }


def command(told: argparse.Namespace) -> list[str]:
    host, _, port = told.listen.rpartition(":")
    words = [
        str(TRITON / "bin/tritonserver"),
        f"--model-repository={told.repository}",
        f"--backend-directory={BACKENDS}",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
        "--allow-http=false",
        f"--grpc-address={host.strip('[]')}",
        f"--grpc-port={port}",
        "--grpc-use-ssl=true",
        "--grpc-use-ssl-mutual=true",
        f"--grpc-server-cert={told.cert}",
        f"--grpc-server-key={told.key}",
        f"--grpc-root-cert={told.client_ca}",
        # Behind a key that is forgotten as soon as it is made.
        f"--grpc-restricted-protocol={_BARRED}:mayfly-nobody={secrets.token_hex(16)}",
        # Mayfly's keepalive (20 s) is not abuse.
        "--grpc-http2-min-recv-ping-interval-without-data=10000",
        f"--backend-config=python,shm-region-prefix-name={shared_memory(told.listen)}",
        "--exit-timeout-secs=5",
        "--log-verbose=0",
    ]
    if not told.metrics:
        return [*words, "--allow-metrics=false"]
    host, _, port = told.metrics.rpartition(":")
    return [*words, "--allow-metrics=true", f"--metrics-address={host.strip('[]')}", f"--metrics-port={port}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", nargs="?", type=Path)
    parser.add_argument("--prepare", action="store_true", help="copy the backend beside the environment, and end")
    parser.add_argument("--listen", default="127.0.0.1:8001", help="HOST:PORT")
    parser.add_argument("--cert", type=Path, help="the server's certificate, PEM")
    parser.add_argument("--key", type=Path, help="its key, PEM")
    parser.add_argument("--client-ca", type=Path, help="whose clients are let in: the CA of the mesh, PEM")
    parser.add_argument("--metrics", default="", help="HOST:PORT of Prometheus metrics; none by default")
    told = parser.parse_args()
    if told.prepare:
        prepare()
        return
    if None in (told.repository, told.cert, told.key, told.client_ca):
        parser.error("REPOSITORY, --cert, --key and --client-ca must be given: it doesn't serve without TLS")
    sweep_shared_memory(shared_memory(told.listen))
    os.execve(TRITON / "bin/tritonserver", command(told), environment())  # noqa: S606 - what this is for


if __name__ == "__main__":
    main()
