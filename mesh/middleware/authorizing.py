"""Lets a caller in only if the allow-list names it for this very method."""

from __future__ import annotations

from typing import Any

from mesh.errors import Denied
from mesh.identity import AllowList, caller
from mesh.middleware.call import Call, Proceed


class Authorizing:
    """A method that isn't listed is nobody's."""

    def __init__(self, allowed: AllowList, trust_domain: str) -> None:
        self._allowed = allowed
        self._trust_domain = trust_domain

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        if caller(call.context, self._trust_domain) not in self._allowed.get(call.method, frozenset()):
            raise Denied("CALLER_NOT_ALLOWED", "The calling service is not allowed to call this method.")
        return await proceed()
