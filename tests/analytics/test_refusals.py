"""What is refused is told once, in a sentence, as application/problem+json: whatever bytes come."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import flight

from analytics.conftest import Served
from analytics.sockets import connected
from stellarrow.errors import Unavailable
from stellarrow.servers.analytics_http.answers import Rows, Streamed

UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def answer_to(served: Served, request: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send bytes, and return the status, the headers and the problem."""
    address = served.service.rest.address
    data = b""
    with socket.create_connection((address.host, address.port), 30) as client:
        client.sendall(request.encode())
        while block := client.recv(65_536):
            data += block
    head, _, body = data.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [("contract_ids", "CCTQ"), ("accounts", "abc"), ("assets", "nope!!"), ("assets", "USDC:G")],
)
def test_a_filter_that_no_row_can_fit_is_refused_by_every_face(served: Served, name: str, value: str) -> None:
    for path in ("/v1/tables/token_transfers/rows", "/v1/stream/token_transfers"):
        answer = served.get(path, **{name: value})
        assert (answer.status_code, answer.json()["field"]) == (400, name)
    order = {"table": "token_transfers", name: [value], "format": "csv"}
    assert served.client.post("/v1/exports", json=order).status_code == 400
    with flight.connect(f"grpc://{served.service.flight.address}") as client:
        ticket = flight.Ticket(json.dumps({"table": "token_transfers", name: [value]}).encode())
        with pytest.raises(pa.ArrowInvalid, match=f"{name} has"):
            client.do_get(ticket).read_all()
    with connected(served) as socket:
        socket.say("subscribe", id="1", channel="token_transfers", **{name: [value]})
        assert f"{name} has" in socket.next("error")["message"]


@pytest.mark.parametrize(
    ("request_line", "headers", "status", "sentence"),
    [
        ("GET /v1/ws HTTP/1.1", UPGRADE, 400, "missing Sec-WebSocket-Key"),
        ("GET /v1/status HTTP/1.1", UPGRADE, 400, "missing Sec-WebSocket-Key"),
        (
            "GET /v1/ws HTTP/1.1",
            f"{UPGRADE}Sec-WebSocket-Key: z\r\nSec-WebSocket-Version: 13\r\n",
            400,
            "invalid",
        ),
        ("GET /v1/ws HTTP/1.1", f"{UPGRADE}{KEY}Sec-WebSocket-Version: 12\r\n", 400, "Version"),
        ("POST /v1/ws HTTP/1.1", f"{UPGRADE}Content-Length: 0\r\n", 405, "POST"),
        (
            "GET /v1/ws HTTP/1.1",
            f"{UPGRADE}{KEY}Sec-WebSocket-Version: 13\r\nContent-Length: 5\r\n\r\nhello",
            400,
            "valid HTTP request",
        ),
        ("GET /v1/ws HTTP/1.1", f"{UPGRADE}{KEY}X: {'a' * 9_000}\r\n", 400, "no more than 8192 bytes"),
        ("nonsense", "", 400, "Invalid HTTP request"),
    ],
)
def test_what_is_no_request_for_a_websocket_is_a_problem_too(
    served: Served, request_line: str, headers: str, status: int, sentence: str
) -> None:
    told, found, problem = answer_to(served, f"{request_line}\r\nHost: localhost\r\n{headers}\r\n")
    assert (told, problem["status"]) == (status, status)
    assert found["content-type"] == "application/problem+json"
    assert found["x-content-type-options"] == "nosniff"
    assert found["x-request-id"] == problem["request_id"] != ""
    assert sentence in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"sql": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"sql": "select ?", "params": ["\\uDFFF"]}',
        b'{"format": "\\ud83d", "table": "ledgers"}',
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(served: Served, body: bytes) -> None:
    for path in ("/v1/query", "/v1/exports"):
        answer = served.client.post(path, content=body)
        assert answer.status_code == 400
        assert "half of a surrogate pair" in answer.json()["detail"]
    with connected(served) as client:
        client.socket.send(b'{"op": "subscribe", '.decode() + body.decode()[1:])
        assert "half of a surrogate pair" in client.next("error")["message"]


def test_whole_characters_that_are_escaped_are_read(served: Served) -> None:
    answer = served.client.post("/v1/query", content=b'{"sql": "select \\u0027\\ud83d\\ude00\\u0027 as a"}')
    assert answer.json()["rows"] == [{"a": "\U0001f600"}]


@pytest.mark.parametrize("origin", ["nowhere", "WyJhIix7fV0", "é", "W10"])
def test_a_place_that_is_none_is_told_once(served: Served, origin: str) -> None:
    detail = served.get("/v1/stream/ledgers", **{"from": origin}).json()["detail"]
    assert detail.count("earliest") == 1, detail
    with connected(served) as client:
        client.say("subscribe", id="a", channel="ledgers", **{"from": origin})
        told = client.next("error")
        assert told["field"] == "from"
        assert told["message"].count("earliest") == 1


@pytest.mark.parametrize("format_name", ["ndjson", "csv", "arrow", "parquet"])
def test_what_fails_before_the_first_bytes_is_an_answer_of_its_own(format_name: str) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        raise Unavailable("it was deleted meanwhile; ask again in a moment", retry_after=2)
        yield

    columns = pa.schema([("a", pa.int64())])
    streamed = Streamed(Rows(columns, failing(), 1), format_name, None, lambda: False)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=streamed)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/")

    answer = asyncio.run(asked())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "deleted meanwhile" in answer.json()["detail"]
