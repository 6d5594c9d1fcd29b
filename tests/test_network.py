"""The guard that keeps tests from the network."""

import socket

import pytest


@pytest.mark.parametrize("host", ["93.184.215.14", "example.org", "2606:2800:21f:cb07::1"])
def test_a_test_cannot_reach_another_machine(host: str) -> None:
    with pytest.raises(RuntimeError, match="tried to reach"):
        socket.create_connection((host, 80), timeout=0.1)


def test_a_test_can_reach_its_own_machine() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2], timeout=2) as client,
    ):
        assert client.getpeername() == server.getsockname()
