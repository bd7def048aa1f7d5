"""A client in a process of its own that is killed in the midst of its upload.

Run as a module, it is that client: a header in JSON on the first line of stdin, then the photo. It prints the photo_id
once half of the photo is sent, and then waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mesh.errors import ConfigError
from mesh.kernel.calls import PR_SET_PDEATHSIG, prctl
from services.purge.auditor.peers import Gateway, User

_SECONDS = 60.0


class Victim:
    """Makes such clients. The parameters are the gateway's, as in ``peers.Gateway``."""

    def __init__(self, address: str, ca: Path | None, *, name: str | None = None) -> None:
        self._null = Path(os.devnull).open("wb")  # noqa: SIM115 - later nothing can be opened for writing
        self._gateway = {"address": address, "ca": str(ca) if ca else "", "name": name}

    async def send_and_die(self, user: User, data: bytes, scene: str, policy: str, ttl: float) -> str:
        """The photo_id, once the client is dead. ConfigError if it can't do its work."""
        header = self._gateway | {
            "token": user.token,
            "scene": scene,
            "policy": policy,
            "ttl": ttl,
            "parent": os.getpid(),
        }
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __name__, stdin=pipe, stdout=pipe, stderr=self._null
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            async with asyncio.timeout(_SECONDS):
                child.stdin.write(json.dumps(header).encode() + b"\n" + data)
                child.stdin.write_eof()
                photo_id = (await child.stdout.readline()).decode().strip()
        except TimeoutError:
            photo_id = ""
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
        if not photo_id:
            raise ConfigError("A client that was to be killed could not send its photo.")
        return photo_id


async def _live(said: dict[str, Any], ca: bytes | None, data: bytes) -> None:
    gateway = Gateway(said["address"], ca, Path(), name=said["name"])
    upload = await gateway.user_of(said["token"]).render(said["scene"], said["policy"], said["ttl"])
    await upload.send(data[: len(data) // 2])
    sys.stdout.write(upload.photo_id + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _die_with(parent: int) -> None:
    """An auditor that is killed can't kill its victims. prctl(2)."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was quicker
        sys.exit(1)


if __name__ == "__main__":
    header = json.loads(sys.stdin.buffer.readline())
    _die_with(header["parent"])
    asyncio.run(_live(header, Path(header["ca"]).read_bytes() if header["ca"] else None, sys.stdin.buffer.read()))
