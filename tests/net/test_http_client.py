"""Answers bounded in size and time, and the way a request takes."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from stellarrow.core.version import __version__
from stellarrow.net import http_client
from stellarrow.net.credentials import ClientCredentials
from stellarrow.net.http_client import (
    Answer,
    AnswerDamaged,
    AnswerTooLarge,
    AnswerTooSlow,
    HttpClient,
)

Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """Listen on loopback, and let `talk` answer who asks; yield the URL and the requests."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            while request := client.recv(65_536):
                asked.append(request)
                talk(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with closing(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", asked


def ask(url: str, *, timeout: float = 5.0, limit: int = 1 << 20, **choices: ClientCredentials) -> Answer:
    with closing(HttpClient(url, timeout=timeout, **choices)) as client:
        return client.post(b"{}", content_type="application/json", limit=limit)


def endless(head: bytes) -> Talk:
    def talk(client: socket.socket) -> None:
        client.sendall(head)
        while True:
            client.sendall(b" " * 65_536)

    return talk


def dripping(head: bytes, drop: bytes = b"a") -> Talk:
    def talk(client: socket.socket) -> None:
        client.sendall(head)
        while True:
            client.sendall(drop)
            time.sleep(0.05)

    return talk


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "head",
    [
        OK + b"\r\n",
        OK + b"Content-Length: 99999999999\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
    ],
    ids=["until closed", "length", "chunked"],
)
def test_an_endless_body_ends_at_the_limit(head: bytes) -> None:
    tracemalloc.start()
    try:
        with server(endless(head)) as (url, _), pytest.raises(AnswerTooLarge):
            ask(url, limit=8 << 20)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_an_endless_body_of_an_error_is_left_alone() -> None:
    with server(endless(b"HTTP/1.1 500 No\r\n\r\n")) as (url, _):
        began = time.monotonic()
        assert ask(url).status == 500
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "head", [OK + b"\r\n", OK + b"Content-Encoding: gzip\r\n\r\n"], ids=["plain", "gzip"]
)
def test_a_body_that_comes_in_drops_is_given_up(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_TRICKLE_SECONDS", 0.3)
    drop = gzip.compress(b"")[:1] if b"gzip" in head else b"a"
    with server(dripping(head, drop)) as (url, _), pytest.raises((AnswerTooSlow, AnswerDamaged)):
        ask(url)


@pytest.mark.parametrize("head", [b"HTT", OK + b"X: "], ids=["status", "header"])
def test_headers_that_come_in_drops_are_given_up(head: bytes) -> None:
    began = time.monotonic()
    with server(dripping(head)) as (url, _), pytest.raises(AnswerTooSlow):
        ask(url, timeout=0.5)
    assert time.monotonic() - began < 3


def test_gzip_is_taken_in_and_a_bomb_is_not() -> None:
    def answering(content: bytes) -> Talk:
        packed = gzip.compress(content)
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        return lambda client: client.sendall(head + packed)

    with server(answering(b"x" * 1_000_000)) as (url, _):
        assert ask(url).body == b"x" * 1_000_000
    with server(answering(b"\0" * 400_000_000)) as (url, _), pytest.raises(AnswerTooLarge):
        ask(url)


def test_a_damaged_gzip_is_said() -> None:
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    with server(lambda client: client.sendall(head)) as (url, _), pytest.raises(AnswerDamaged):
        ask(url)


def test_a_connection_is_kept_for_the_next_call() -> None:
    talk = lambda client: client.sendall(OK + b"Content-Length: 2\r\n\r\nok")  # noqa: E731
    with server(talk) as (url, asked), closing(HttpClient(url, timeout=5.0)) as client:
        for _ in range(3):
            assert client.post(b"{}", content_type="a/b", limit=10).body == b"ok"
        assert len(asked) >= 3


def test_the_client_says_who_it_is_and_shows_its_credentials() -> None:
    talk = lambda client: client.sendall(OK + b"Content-Length: 0\r\n\r\n")  # noqa: E731
    with server(talk) as (url, asked):
        ask(url.replace("//", "//me:pw@"), credentials=ClientCredentials.of(["X-Key: k3y"]))
    answer = b"".join(asked).decode().lower()
    assert f"user-agent: stellarrow/{__version__}" in answer
    assert "x-key: k3y" in answer
    assert "authorization: basic " in answer
    assert "me:pw" not in answer


def test_a_request_goes_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = lambda client: client.sendall(OK + b"Content-Length: 2\r\n\r\nok")  # noqa: E731
    with server(talk) as (url, asked):
        monkeypatch.setenv("HTTP_PROXY", url.replace("//", "//u:p%40w@"))
        monkeypatch.delenv("http_proxy", raising=False)
        assert ask("http://login:secret@node.invalid/rpc?x=1").body == b"ok"
    answer = b"".join(asked).decode()
    assert answer.startswith("POST http://node.invalid/rpc?x=1 HTTP/1.1")
    assert "Proxy-Authorization: Basic dTpwQHc=" in answer or "proxy-authorization: Basic dTpwQHc=" in answer
