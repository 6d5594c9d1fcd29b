"""What holds for every test: one torch thread, reproducible hypothesis, and no network beyond this machine."""

import functools
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from studio.core import bfloat16

torch.set_num_threads(1)

# "ci" draws the same examples in every run; `pytest --hypothesis-profile=thorough` looks further, at random.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("ci", derandomize=True, database=None, **_CALM)
settings.register_profile("thorough", max_examples=2000, database=None, **_CALM)
settings.load_profile("ci")


class NetworkForbidden(RuntimeError):
    """A test has tried to reach another machine."""


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def _one_trial() -> Iterator[None]:
    """The processor is tried once, and not for every library that a test makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfloat16, "_ask_child", functools.cache(bfloat16._ask_child))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Connections and look-ups of names are refused, except on this machine."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: object) -> None:
        if not _is_local(host):
            raise NetworkForbidden(f"A test has tried to reach {host!r}.")

    def guarded(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return original(self, address)

        return call

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield
