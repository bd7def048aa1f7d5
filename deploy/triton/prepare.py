"""Makes what a Triton on this host needs to be a processor: an authority of its own, the server's certificate, and the
list of processors with it alone. What exists is kept. For trying it out: in production, put your own files there.

Usage: python -m deploy.triton.prepare FOLDER [--endpoint HOST:PORT]

FOLDER/tls.pem, tls.key are the server's; FOLDER/list, with the authority's certificate, is what render is given.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryptography import x509

from clients.local.authority import loopback_names, new_authority, new_leaf, utc_now
from clients.local.state import write_private
from services.render.engines.triton.contract import MODELS

IDENTITY = "triton.mayfly.internal"
_LIST = """\
[[processor]]
name = "own-triton"
operator = "{operator}"
region = "this host"
endpoints = ["{endpoint}"]
ca = "pool-ca.pem"
identity = "{identity}"
models = {{ {models} }}
terms = {{ no_retention = true, no_training = true }}
"""


def prepare(folder: Path, endpoint: str = "triton:8001", operator: str = "Whoever runs this host") -> Path:
    """The list's file. Directories are 0700, files 0600."""
    listed = folder / "list/processors.toml"
    if listed.exists():
        return listed
    listed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = utc_now()
    authority = new_authority(now)  # its key is kept nowhere: the next certificate has the next authority
    server = new_leaf(authority, "triton", [x509.DNSName(IDENTITY), *loopback_names()], now)
    write_private(folder / "tls.pem", server.certificate_pem())
    write_private(folder / "tls.key", server.key_pem())
    write_private(listed.parent / "pool-ca.pem", authority.certificate_pem())
    models = ", ".join(f'{name} = "1"' for name in MODELS)
    text = _LIST.format(operator=operator, endpoint=endpoint, identity=IDENTITY, models=models)
    write_private(listed, text.encode())
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.triton.prepare", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--endpoint", default="triton:8001", help="HOST:PORT as render reaches it")
    told = parser.parse_args()
    sys.stdout.write(f"{prepare(told.folder, told.endpoint)} is ready\n")


if __name__ == "__main__":
    main()
