"""Makes the folder of keys that compose.yaml mounts: a development CA with every service's certificate, a sign-in key,
the signing keys of purge, the auditor and pictures, the auditor's tokens, and the passwords of Valkey's users. What
exists and is still good is kept.

Usage: python deploy/compose/prepare.py [FOLDER]        (default: secrets, beside compose.yaml)

The CA and the sign-in key are for trying it out. In production, put your own files in their places.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from pathlib import Path

from clients.local.pki import Pki
from clients.local.sign_in import SignIn
from clients.local.state import write_private
from services.purge.acl import acl_rules
from services.purge.auditor import keys as auditor
from services.purge.signing import LOG_FILE, RECEIPTS_FILE, load_private

REDIS_USER = "purge"
AUDITORS = ("auditor-1", "auditor-2")
"""The users as whom canaries are sent; each may have four photos on their way."""
CONTAINER_USER = "10001:10001"


def prepare(folder: Path) -> None:
    """Fills ``folder``; directories are 0700, files 0600. Raises ConfigError when a key that is there is no good."""
    for place in (folder, *(folder / name for name in ("pki", "keys", "valkey", "auditor", "tokens", "alerts"))):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    Pki(folder / "pki").ensure()
    SignIn(folder / "pki").ensure()
    for name in (RECEIPTS_FILE, LOG_FILE):
        load_private(folder / "keys" / name, create=True)
    auditor.load(folder / "auditor")
    # Good for an hour, which is enough to try it; then the sign-in service has to renew them.
    tokens = [SignIn(folder / "pki").token(user) for user in AUDITORS]
    write_private(folder / "tokens/auditor", "\n".join(tokens).encode())
    digests = [_password(folder / "valkey" / name) for name in ("password", "auditor.password")]
    write_private(folder / "valkey/users.acl", acl_rules(REDIS_USER, *digests).encode())
    if not (pager := folder / "alerts/pager-token").exists():
        write_private(pager, b"")  # yours: what Alertmanager shows to the pager


def _password(path: Path) -> str:
    """Made if it is missing. Its SHA-256, in hex."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("secrets")
    prepare(folder)
    sys.stdout.write(f"{folder} is ready; the containers' user must own it: sudo chown -R {CONTAINER_USER} {folder}\n")


if __name__ == "__main__":
    main()
