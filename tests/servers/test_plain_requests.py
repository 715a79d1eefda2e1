"""Requests that are read without h11 are answered as h11 answers them; all others are h11's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stellarrow.net.address import Address
from stellarrow.servers import http_limits
from stellarrow.servers.http import HealthServer
from stellarrow.servers.plain_requests import read_plain

HOST = b"Host: 127.0.0.1\r\n"
NAMES = st.sampled_from(
    (
        *(b"Host", b"host", b"Accept", b"Connection", b"Content-Length", b"Transfer-Encoding", b"Expect"),
        *(b"Upgrade", b"X-One", b"bad name", b"", b"X:Y"),
    )
)
VALUES = st.sampled_from(
    (
        *(b"127.0.0.1", b" close", b"keep-alive", b"\tKeep-Alive ", b"chunked", b"0", b"5", b"a, b", b""),
        *(b"\xc3\xbc", b"a\x01b", b"a\x00b", b"a\rb", b" folded\r\n more"),
    )
)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=4)
TARGETS = st.sampled_from((b"/", b"/a?b=%20c", b"*", b"http://x/", b"/a b", b"/\xc3\xbc", b""))


@given(target=TARGETS, lines=LINES, ends=st.sampled_from((b"\r\n", b"", b"\n", b"\r\nGET / HTTP/1.1\r\n")))
def test_what_is_read_is_what_h11_reads(target: bytes, lines: list[tuple[bytes, bytes]], ends: bytes) -> None:
    data = b"GET %s HTTP/1.1\r\n" % target
    data += HOST + b"".join(b"%s:%s\r\n" % one for one in lines) + ends
    found = read_plain(data)
    if found is None:
        return
    conn = h11.Connection(h11.SERVER)
    conn.receive_data(data)
    request = conn.next_event()
    assert isinstance(request, h11.Request)
    assert isinstance(conn.next_event(), h11.EndOfMessage)
    assert conn.trailing_data == (b"", False)
    assert found == (request.target, [*request.headers], conn.their_state is h11.MUST_CLOSE)


@pytest.mark.parametrize(
    ("data", "is_plain"),
    [
        (b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n", True),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"Accept: text/csv\r\nConnection: close\r\n\r\n", True),
        (b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n", False),
        (b"GET /a HTTP/1.0\r\n" + HOST + b"\r\n", False),
        (b"GET /a HTTP/1.1\r\n\r\n", False),
        (b"GET /a HTTP/1.1\r\n" + 2 * HOST + b"\r\n", False),
        (b"GET /a HTTP/1.1\r\n" + HOST, False),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", False),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n\r\n", False),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", False),
        (2 * (b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"), False),
    ],
)
def test_only_what_says_no_more_than_what_it_gets_is_read(data: bytes, is_plain: bool) -> None:
    assert (read_plain(data) is not None) is is_plain


async def sized(request: Request) -> Response:
    return PlainTextResponse(f"{request.url.path} {request.url.query}")


async def in_parts(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes | memoryview]:
        yield b"one,"
        yield b""
        yield memoryview(b"two")  # as Arrow's are

    return StreamingResponse(parts())


async def unchanged(_: Request) -> Response:
    return Response(status_code=304, headers={"ETag": '"a"'})


async def broken(_: Request) -> Response:
    raise RuntimeError("broken on purpose")


async def with_two_lines(_: Request) -> Response:
    answer = Response()
    answer.raw_headers.append((b"x-bad", b"a\r\nb: c"))
    return answer


async def begun(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        await request.body()
        yield b"two"

    return StreamingResponse(parts())


async def measured(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


ROUTES = {"/sized": sized, "/parts": in_parts, "/unchanged": unchanged, "/broken": broken}


@pytest.fixture
def server() -> Iterator[HealthServer]:
    ready = threading.Event()
    routes = [Route(path, answer) for path, answer in {**ROUTES, "/lines": with_two_lines}.items()]
    routes += [Route("/measured", measured, methods=["POST"]), Route("/begun", begun, methods=["POST"])]
    with closing(HealthServer(Address("127.0.0.1", 0), ready=ready, routes=routes)) as made:
        made.start()
        yield made


def talked(server: HealthServer, *sent: bytes, count: int = 1) -> list[tuple[int, bytes]]:
    """Send to a server, and return the status and the body of so many answers."""
    found = []
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        conn = h11.Connection(h11.CLIENT)
        for data in sent:
            client.sendall(data)
        for number in range(count):
            conn.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
            conn.send(h11.EndOfMessage())
            status, body = 0, b""
            while not isinstance(event := conn.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    conn.receive_data(client.recv(65_536))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
            found.append((status, body))
            if number + 1 < count:
                conn.start_next_cycle()
    return found


def asked(path: str, *lines: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\n" % path.encode() + HOST + b"".join(one + b"\r\n" for one in lines) + b"\r\n"


@pytest.mark.parametrize("path", [*ROUTES, "/nothing", "/sized?a=%20b", "/si%7aed"])
@pytest.mark.parametrize("more", [(), (b"Connection: close",), (b"Connection: keep-alive",)])
def test_an_answer_is_the_same_without_h11(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch, path: str, more: tuple[bytes, ...]
) -> None:
    plainly = talked(server, asked(path, b"X-Request-ID: one", *more))
    monkeypatch.setattr(http_limits, "read_plain", lambda _: None)
    assert plainly == talked(server, asked(path, b"X-Request-ID: one", *more))
    assert plainly[0][0] in (200, 304, 404, 500)


def test_requests_of_one_connection_are_answered_in_turn_however_they_are_read(server: HealthServer) -> None:
    first, second = asked("/sized?1"), asked("/parts")
    expected = [(200, b"/sized 1"), (200, b"one,two")]
    assert talked(server, first, second, first, count=3) == [*expected, expected[0]]
    assert talked(server, first + second, first, count=3) == [*expected, expected[0]]
    assert talked(server, first[:9], first[9:], second, count=2) == expected
    posted = b"POST /sized HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab"
    assert [one[0] for one in talked(server, first, posted, second, count=3)] == [200, 405, 200]


POSTED = b"POST /measured HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n"


@pytest.mark.parametrize("first", [asked("/parts"), POSTED + b"abcde"])
def test_a_body_that_comes_after_the_answer_before_it_is_waited_for(
    server: HealthServer, first: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        client.sendall(first + POSTED + b"ab")
        came = b""
        while not came.endswith((b"0\r\n\r\n", b"\r\n\r\n5")):
            came += client.recv(65_536)
        time.sleep(0.6)  # longer than an answer to what has not arrived is held open
        client.sendall(b"cde" + asked("/sized", b"Connection: close"))
        while data := client.recv(65_536):
            came += data
    assert came.count(b"HTTP/1.1 200") == 3
    assert came.endswith(b"/sized ")


def test_a_body_that_never_comes_after_the_answer_before_it_is_let_go_of(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        client.sendall(asked("/sized") + POSTED + b"ab")
        came = b""
        with suppress(ConnectionResetError):
            while data := client.recv(65_536):
                came += data
    assert came.count(b"HTTP/1.1 200") == 1


def test_a_caller_that_leaves_before_its_body_has_come_is_no_fault_of_the_service(
    server: HealthServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        client.sendall(POSTED + b"ab")
    assert talked(server, asked("/broken"))[0][0] == 500
    deadline = time.monotonic() + 60
    while not (faults := [one.exc_info for one in caplog.records if one.exc_info]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [fault[0] for fault in faults] == [RuntimeError]


CHUNKED = b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("path", [b"/measured", b"/begun", b"/nothing"])
def test_a_body_that_is_none_ends_the_connection_and_is_no_fault_of_the_service(
    server: HealthServer, caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        came, sent = b"", CHUNKED % path + b"none\r\n"
        if path == b"/begun":
            client.sendall(sent[:-6])
            came, sent = client.recv(65_536), sent[-6:]
        client.sendall(sent)
        with suppress(ConnectionResetError):
            while data := client.recv(65_536):
                came += data
    assert came.startswith(b"HTTP/1.1 200" if path == b"/begun" else b"HTTP/1.1 400")
    assert came.count(b"HTTP/1.1 ") == 1
    assert talked(server, asked("/sized"))[0][0] == 200
    assert [one.message for one in caplog.records if one.exc_info or "fault" in one.message] == []


def test_a_header_of_two_lines_is_not_sent(server: HealthServer) -> None:
    assert talked(server, asked("/lines"))[0][0] == 500


def test_a_connection_ends_where_the_request_says_so(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as client:
        client.sendall(asked("/sized", b"Connection: close"))
        came = b""
        while data := client.recv(65_536):
            came += data
    assert b"connection: close" in came.lower()
    assert came.endswith(b"/sized ")
