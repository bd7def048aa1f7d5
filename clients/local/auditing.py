"""An audit of the mesh on this machine: the auditor as a process of its own, told where everything is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients.local.environment import is_purge, service_of
from clients.local.launcher import VALKEY
from clients.local.mesh import LocalMesh
from clients.local.pki import TRUST_DOMAIN, Pki
from clients.local.processes import SOURCE_ROOT
from clients.local.state import StateFolder, write_private
from mesh.errors import ConfigError
from services.purge.acl import AUDITOR
from services.purge.signing import load_public

_USERS = ("auditor-1", "auditor-2")
_PHOTOS_PER_USER = 4  # on their way at one time: MAYFLY_GATEWAY_MAX_PHOTOS_PER_OWNER
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "MAYFLY_LOCKDOWN")
_CAP_SYS_PTRACE = 19  # <linux/capability.h>
AUDIT_PUBLIC = "audit.pub.pem"
_IN_NAMESPACE = "MAYFLY_AUDIT_IN_NAMESPACE"

Progress = Callable[[str, int, int], None]


def may_read_others() -> bool:
    """Whether this process, and so its children, may read the memory of processes that lock theirs away."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return False
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_PTRACE & 1)


def in_a_namespace_of_our_own(argv: Sequence[str]) -> list[str] | None:
    """The same command in a user namespace, where we have every capability over what we start there, and over nothing
    else (user_namespaces(7)). None where the kernel or the system doesn't offer one, or if we are in it already.
    """
    unshare = shutil.which("unshare")
    if unshare is None or os.environ.get(_IN_NAMESPACE):
        return None
    begin = [unshare, "--user", "--map-root-user", "--"]
    if subprocess.run([*begin, "true"], capture_output=True, check=False).returncode != 0:
        return None
    return [*begin, "env", f"{_IN_NAMESPACE}=1", *argv]


def audit(
    mesh: LocalMesh, *, canaries: int, settings: Mapping[str, str], progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """The auditor's report (services/purge/auditor/once.py). settings: environment variables that win over ours.

    Raises ConfigError with the auditor's own line when it can't do its work.
    """
    with environment(mesh, canaries) as env:
        argv = [sys.executable, "-P", "-m", "services.purge.auditor.once"]
        # A file, since a pipe that nobody reads yet fills up, and the auditor would wait for ever.
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                argv, env={**env, **settings}, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as auditor,
        ):
            assert auditor.stdout is not None
            try:
                report = _read(auditor.stdout, progress)
                auditor.wait()
            except BaseException:  # the audit ends with whoever asked for it
                auditor.kill()
                raise
            errors.seek(0)
            said = errors.read()
    if report is None:
        own = [line for line in said.splitlines() if line.startswith(f"{AUDITOR}: ")]
        raise ConfigError(own[-1] if own else "the auditor ended without a report")
    return report


def public_key(state: Path) -> Ed25519PublicKey | None:
    """Of the auditor of this state folder; None when there never was an audit. Raises ConfigError."""
    path = StateFolder(state).root / "auditor" / AUDIT_PUBLIC
    return load_public(path.read_bytes()) if path.is_file() else None


def _read(lines: Any, progress: Progress) -> dict[str, Any] | None:
    report = None
    for line in lines:
        value = json.loads(line)
        if "report" in value:
            report = value["report"]
        else:
            progress(value["progress"], value["done"], value["total"])
    return report


@contextmanager
def environment(mesh: LocalMesh, canaries: int) -> Iterator[dict[str, str]]:
    """All that the auditor is told. The users' tokens are in a folder that goes with the audit."""
    pki, names = Pki(mesh.state.pki), [name for name in mesh.processes if name != VALKEY]
    keys = mesh.state.root / "auditor"
    keys.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mayfly-auditor-") as folder:
        tokens = Path(folder) / "tokens"
        renew_tokens(mesh, tokens)
        env = {name: value for name, value in os.environ.items() if name in _INHERITED}
        env |= {
            "PYTHONPATH": str(SOURCE_ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MAYFLY_OPS_LISTEN": "127.0.0.1:0",
            "MAYFLY_TLS_CERT": str(pki.certificate(AUDITOR)),
            "MAYFLY_TLS_KEY": str(pki.key(AUDITOR)),
            "MAYFLY_TLS_CA": str(pki.ca),
            "MAYFLY_TRUST_DOMAIN": TRUST_DOMAIN,
            "MAYFLY_REGISTRY_TARGET": ",".join(mesh.processes[name].address for name in mesh.purges),
            "MAYFLY_AUDITOR_GATEWAY_TARGET": mesh.gateway_address,
            "MAYFLY_AUDITOR_GATEWAY_CA": str(pki.ca),
            "MAYFLY_AUDITOR_TOKEN_FILE": str(tokens),
            "MAYFLY_AUDITOR_KEY_DIR": str(keys),
            "MAYFLY_AUDITOR_CANARIES": str(canaries),
            "MAYFLY_AUDITOR_PARALLEL": str(_PHOTOS_PER_USER * len(_USERS)),
            "MAYFLY_AUDITOR_PROCESSES": _pairs((name, mesh.pid(name)) for name in mesh.processes),
            "MAYFLY_AUDITOR_METRICS": _pairs((name, mesh.ops_address(name)) for name in names),
            "MAYFLY_AUDITOR_LOGS": _pairs((name, mesh.log_file(name)) for name in mesh.processes),
            "MAYFLY_AUDITOR_ROOTS": f"state={mesh.state.root}",
        }
        yield env | _redis(mesh)


def renew_tokens(mesh: LocalMesh, file: Path) -> None:
    """Fresh tokens of the auditor's users, for an hour."""
    write_private(file, "\n".join(map(mesh.token, _USERS)).encode())


def _redis(mesh: LocalMesh) -> dict[str, str]:
    """Where Redis is elsewhere nobody has given us a user there, and each statement says so."""
    valkey = mesh.valkey
    if valkey is None:
        return {"MAYFLY_AUDITOR_NOT_SEARCHED": "redis"}
    return {
        "MAYFLY_AUDITOR_REDIS_URL": valkey.url,
        "MAYFLY_AUDITOR_REDIS_USERNAME": AUDITOR,
        "MAYFLY_AUDITOR_REDIS_PASSWORD_FILE": str(valkey.auditor_password_file),
    }


def _pairs(values: Any) -> str:
    """Replicas count as their service."""
    return ",".join(f"{service_of(name) if is_purge(name) else name}={value}" for name, value in values)
