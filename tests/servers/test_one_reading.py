"""What a proxy in front could read otherwise is refused, or read as the standard says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stellarrow.net.address import Address
from stellarrow.servers.http import HealthServer

HOST = b"Host: 127.0.0.1\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"


async def _told(request: Request) -> Response:
    await request.body()
    return PlainTextResponse(f"told {request.url.path} {request.headers['host']} {request.url.query}")


@pytest.fixture
def server() -> Iterator[Address]:
    routes = [Route("/told", _told, methods=["GET", "POST"])]
    with closing(HealthServer(Address("127.0.0.1", 0), ready=threading.Event(), routes=routes)) as made:
        made.start()
        yield made.address


def answers(server: Address, data: bytes) -> bytes:
    """Return all that comes until the server ends the connection, or has answered once."""
    with socket.create_connection((server.host, server.port), timeout=30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        found = b""
        while piece := client.recv(65_536):
            found += piece
    return found


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 50\r\n",
    ],
)
def test_a_request_of_two_lengths_is_refused_and_nothing_behind_it_is_read(
    server: Address, lengths: bytes
) -> None:
    found = answers(server, b"POST /told HTTP/1.1\r\n" + HOST + lengths + b"\r\n0\r\n\r\n" + NEXT)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in found.lower()
    assert b"Content-Length and Transfer-Encoding" in found


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (b"http://127.0.0.1:9/told?a=b", b"told /told 127.0.0.1:9 a=b"),
        (b"HTTP://localhost/told", b"told /told localhost "),
        (b"http://evil.example/told", b"this server is not 'evil.example'"),
        (b"http://127.0.0.1", b'"status":404'),
        (b"http://somebody@127.0.0.1/told", b'"status":404'),
    ],
)
def test_a_target_that_names_the_host_is_asked_of_that_host(
    server: Address, target: bytes, told: bytes
) -> None:
    assert told in answers(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")


def test_a_host_with_a_user_is_none_of_ours(server: Address) -> None:
    found = answers(server, b"GET /told HTTP/1.1\r\nHost: somebody@127.0.0.1\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 421 ")
