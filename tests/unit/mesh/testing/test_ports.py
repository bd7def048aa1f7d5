"""Ports that were promised to a server are nobody else's, before it listens and while it is dead."""

from __future__ import annotations

import socket

import pytest

from mesh.testing.ports import HOST, Reserved


def _is_free(port: int) -> bool:
    """As another process finds out."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def test_a_reserved_port_is_only_for_who_listens_there() -> None:
    reserved = Reserved()
    for _ in range(2):  # killed, and started again
        assert not _is_free(reserved.number)
        with socket.create_server((HOST, reserved.number)) as server:
            with socket.create_connection((HOST, reserved.number), timeout=2):
                server.accept()[0].close()
            with pytest.raises(OSError, match="in use"):
                socket.create_server((HOST, reserved.number))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, reserved.number), timeout=2)
    reserved.close()


def test_a_port_that_is_given_back_is_free() -> None:
    reserved = Reserved()
    reserved.close()
    assert _is_free(reserved.number)
