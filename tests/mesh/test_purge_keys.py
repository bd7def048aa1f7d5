"""Keys of a running purge: changed by a signal, shown on its ops port, kept by an agent."""

from __future__ import annotations

import signal
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.local.pki import Pki
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Verifier
from services.purge.rotate import main as rotate
from services.purge.signing import LOG_AGENT_FILE, RECEIPTS_AGENT_FILE
from tests.mesh.test_purge_process import Purge, pki, valkey  # noqa: F401 - fixtures
from tests.unit.mesh.transparency.agents import RealAgent, needs_agent, public_line


async def key_list(purge: Purge) -> KeyList:
    return KeyList.from_json(await purge.get("/keys/keys.json"))


async def test_a_hangup_takes_new_keys_into_use(pki: Pki, valkey: ValkeyServer, tmp_path: Path) -> None:  # noqa: F811
    purge = await Purge(pki, valkey.url, tmp_path).start()
    assert purge.process is not None
    before = await key_list(purge)
    assert rotate([str(tmp_path / "keys"), "receipts"]) == rotate([str(tmp_path / "keys"), "log"]) == 0
    purge.process.send_signal(signal.SIGHUP)
    await eventually(lambda: any(line.get("event") == "keys_reloaded" for line in purge.said))
    after = await key_list(purge)
    assert [period.key for period in after.receipts][:-1] == [period.key for period in before.receipts]
    vkey = (await purge.get("/keys/log.vkey")).decode().strip()
    assert vkey == after.verifiers[-1].vkey != before.verifiers[-1].vkey
    open_checkpoint(await purge.get("/log/checkpoint"), Verifier.parse(vkey))
    (tmp_path / "keys" / "log.key.pem").unlink()
    purge.process.send_signal(signal.SIGHUP)
    await eventually(lambda: any(line.get("event") == "keys_not_reloaded" for line in purge.said))
    assert await key_list(purge) == after
    assert await purge.end(signal.SIGTERM) == 0


@needs_agent
async def test_purge_needs_no_private_key_of_its_own(pki: Pki, valkey: ValkeyServer, tmp_path: Path) -> None:  # noqa: F811
    agent, keys = RealAgent(), [Ed25519PrivateKey.generate() for _ in range(2)]
    (tmp_path / "keys").mkdir()
    for key, name in zip(keys, (RECEIPTS_AGENT_FILE, LOG_AGENT_FILE), strict=True):
        agent.add(key)
        (tmp_path / "keys" / name).write_bytes(public_line(key))
    try:
        purge = await Purge(pki, valkey.url, tmp_path, MAYFLY_PURGE_KEY_AGENT=str(agent.socket)).start()
        listed = await key_list(purge)
        assert [listed.receipts[-1].key, listed.log[-1].key] == [key.public_key() for key in keys]
        open_checkpoint(await purge.get("/log/checkpoint"), *listed.verifiers)
        assert await purge.end(signal.SIGTERM) == 0
    finally:
        agent.close()
