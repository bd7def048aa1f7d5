"""What each replica of purge is told of the others' logs: a file, made before any of them starts."""

from __future__ import annotations

import json
from collections.abc import Mapping

from clients.local.environment import ORIGIN, Addresses, is_purge, numbered
from clients.local.state import StateFolder, write_private
from services.purge.signing import load_keys


def prepare(state: StateFolder, addresses: Mapping[str, Addresses]) -> None:
    """Makes the replicas' keys, where they are missing, and tells each of the others' logs. Nothing for only one."""
    names = [name for name in addresses if is_purge(name)]
    if len(names) == 1:
        state.shards("purge").unlink(missing_ok=True)
        return
    logs = {name: _log(state, name, addresses[name]) for name in names}
    for name in names:
        others = [log for other, log in logs.items() if other != name]
        write_private(state.shards(name), json.dumps(others, indent=1).encode() + b"\n")


def _log(state: StateFolder, name: str, place: Addresses) -> dict[str, str]:
    origin, folder = numbered(name, ORIGIN), state.root / numbered(name, state.keys.name)
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = load_keys(folder, origin=origin, create=True)
    return {"origin": origin, "vkey": keys.log_vkey, "url": f"http://{place.ops}/log"}
