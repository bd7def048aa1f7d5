"""Whether the process of this container is ready: ``python -m mesh.probe``, for its health check.

Asks /readyz of the ops port on this machine as the environment says that it is served: in plain HTTP, or by mutual TLS
with the process's own certificate. Exits with 0 if it is ready, else with 1.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

from mesh import ops_tls
from mesh.errors import ConfigError

_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - asked here, not bound


def is_ready(settings: Mapping[str, str]) -> bool:
    """settings: environment variables of the process that is asked."""
    host, _, port = settings.get("MAYFLY_OPS_LISTEN", "").rpartition(":")
    host = _EVERYWHERE.get(host, host)
    connection: http.client.HTTPConnection
    try:
        if settings.get("MAYFLY_OPS_TLS") == "mutual":
            connection = ops_tls.of(settings).connection(host.strip("[]"), int(port), "", _SECONDS)
        else:
            connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_SECONDS)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException, ValueError, ConfigError):
        return False


if __name__ == "__main__":
    sys.exit(not is_ready(os.environ))
