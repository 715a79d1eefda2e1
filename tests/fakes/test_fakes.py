"""The servers do what tests rely on."""

from __future__ import annotations

import socket
import time

import pytest

from fakes.toxiproxy import Toxiproxy
from fakes.versitygw import Bucket


def spoken(address: str) -> bytes:
    """What an HTTP server says first."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(64)


def test_a_proxy_delays_refuses_and_heals(toxiproxy: Toxiproxy, bucket: Bucket) -> None:
    proxy = toxiproxy.proxy(bucket.name, bucket.server.address)
    assert spoken(proxy.address).startswith(b"HTTP/1.")
    proxy.add("latency", latency=200)
    began = time.monotonic()
    assert spoken(proxy.address).startswith(b"HTTP/1.")
    assert time.monotonic() - began > 0.2
    proxy.disable()
    with pytest.raises(ConnectionError):
        spoken(proxy.address)
    proxy.heal()
    began = time.monotonic()
    assert spoken(proxy.address).startswith(b"HTTP/1.")
    assert time.monotonic() - began < 0.2
    proxy.delete()
