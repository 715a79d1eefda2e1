"""Subscriptions over WebSocket: every row once, over reconnects, kills of the server and slow clients."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pyarrow as pa
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync import client as websocket

from analytics.conftest import COUNT, FIRST, Given, Served
from analytics.test_stream import known, places
from stellarrow.servers import http_limits
from stellarrow.servers.analytics_http import writing

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1


connect: Any = websocket.connect


class Client:
    """A client that knows the subprotocol."""

    def __init__(self, socket: websocket.ClientConnection) -> None:
        self.socket = socket
        self.ready = self.next("ready")

    def say(self, op: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"op": op, **fields}))

    def next(self, *wanted: str) -> dict[str, Any]:
        while True:
            text = self.socket.recv(timeout=20)
            assert isinstance(text, str)
            told: dict[str, Any] = json.loads(text)
            if told["op"] in wanted or not wanted:
                return told
            assert told["op"] in ("data", "pong", "gap"), told

    def next_of(self, op: str) -> dict[str, Any]:
        """Return the next message of a kind, whatever comes before it."""
        while True:
            told: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
            if told["op"] == op:
                return told

    def subscribe(self, **fields: Any) -> dict[str, Any]:
        self.say("subscribe", **{"id": "t", "channel": "token_transfers", **fields})
        return self.next("subscribed")

    def rows(self, until: int, most: int | None = None) -> tuple[list[dict[str, Any]], str]:
        """Return rows up to a ledger, or of so many messages, and where to go on."""
        found: list[dict[str, Any]] = []
        count, resume = 0, ""
        while True:
            told = self.next("data")
            found += told["rows"]
            resume = told["resume"]
            count += 1
            if told["last_ledger"] >= until or count == most:
                return found, resume


@contextmanager
def connected(served: Served, *, port: str = "rest", **choices: Any) -> Iterator[Client]:
    address = getattr(served.service, port).address
    with connect(
        f"ws://{address}/v1/ws",
        subprotocols=["stellarrow.v1"],
        compression=None,
        max_size=None,
        **choices,
    ) as socket:
        assert socket.subprotocol == "stellarrow.v1"
        yield Client(socket)


def code_of(client: Client) -> int | None:
    """Return the code that the server closes with."""
    with suppress(ConnectionClosed):
        while True:
            client.socket.recv(timeout=20)
    return client.socket.close_code


def given_until(start: Start, ledger: int, **flags: Any) -> tuple[Served, Given]:
    served, chain = start(**flags)
    chain.give(ledger)
    served.wait_for(ledger)
    return served, chain


@pytest.mark.parametrize("port", ["rest", "websocket"])
def test_rows_come_as_ledgers_do_from_the_latest_on(serve_given: Start, live_rows: Any, port: str) -> None:
    served, chain = given_until(serve_given, 110)
    with connected(served, port=port) as client:
        told = client.subscribe()
        assert told["recovered"] is True
        assert told["schema"][0] == {"name": "ledger_sequence", "type": "uint32", "nullable": False}
        chain.give(LAST)
        assert places(client.rows(LAST)[0]) == known(live_rows, 111, LAST)


@pytest.mark.parametrize("format_name", ["arrow", "arrow+zstd", "arrow+lz4"])
def test_arrow_comes_as_the_schema_once_and_then_batches_of_whole_ledgers(
    serve_given: Start, live_rows: Any, format_name: str
) -> None:
    served, chain = given_until(serve_given, 120)
    with connected(served) as client:
        told = client.subscribe(format=format_name, **{"from": "earliest"})
        stream = b""
        last = 0
        chain.give(LAST)
        while last < LAST:
            frame = client.socket.recv(timeout=20)
            if isinstance(frame, bytes):
                assert struct.unpack("!I", frame[:4]) == (told["number"],)
                stream += frame[4:]
            else:
                last = json.loads(frame)["last_ledger"]
        final = client.socket.recv(timeout=20)
        assert isinstance(final, bytes)
        stream += final[4:]
    found = pa.ipc.open_stream(stream).read_all()
    assert found.schema.field("amount_raw").type == pa.decimal128(38, 0)
    assert places(found.to_pylist()) == known(live_rows, FIRST, LAST)


@pytest.mark.parametrize("seed", range(3))
def test_a_client_that_leaves_at_random_moments_has_each_row_once(
    serve_given: Start, live_rows: Any, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  a test
    served, chain = given_until(serve_given, FIRST)
    found: list[dict[str, Any]] = []
    origin, reached = "earliest", FIRST
    while len(found) < len(known(live_rows, FIRST, LAST)):
        reached = min(LAST, reached + chance.randrange(1, 12))
        chain.give(reached)
        served.wait_for(reached)
        with connected(served) as client:
            assert client.subscribe(**{"from": origin})["recovered"] is True
            if len(found) < len(known(live_rows, FIRST, reached)):
                rows, origin = client.rows(reached, most=chance.randrange(1, 4))
                found += rows
    assert places(found) == known(live_rows, FIRST, LAST)


def test_a_client_goes_on_at_another_server_where_this_one_ended(serve_given: Start, live_rows: Any) -> None:
    found: list[dict[str, Any]] = []
    origin = "earliest"
    for until in (117, 133, LAST):
        served, _ = given_until(serve_given, until)
        with connected(served) as client:
            client.subscribe(**{"from": origin})
            rows, origin = client.rows(until)
            found += rows
            served.service.drain()
            closing = client.next("closing")
            assert closing["resume"] == {"t": origin}
            with pytest.raises(ConnectionClosed):
                client.socket.recv(timeout=20)
            assert client.socket.close_code == 1012
        served.close()
    assert places(found) == known(live_rows, FIRST, LAST)


def test_ledgers_that_are_gone_are_a_gap_and_never_silence(serve_given: Start, live_rows: Any) -> None:
    served, _ = given_until(serve_given, 105)
    with connected(served) as client:
        client.subscribe(**{"from": "earliest"})
        _, origin = client.rows(105)
    served.close()
    left = {name: {one: rows for one, rows in held.items() if one > 120} for name, held in live_rows.items()}
    served, chain = serve_given(Given(left))
    chain.give(LAST)
    served.wait_for(LAST)
    with connected(served) as client:
        assert client.subscribe(**{"from": origin})["recovered"] is False
        gap = client.next("gap")
        assert (gap["first_ledger"], gap["last_ledger"]) == (106, 120)
        assert places(client.rows(LAST)[0]) == known(live_rows, 121, LAST)


def test_a_client_that_takes_nothing_is_closed_with_where_to_go_on_and_slows_nobody(
    serve_given: Start, live_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.servers.analytics_ws.subscriptions.BEHIND_BYTES", 20_000)
    served, chain = given_until(serve_given, FIRST)
    with connected(served, max_queue=1) as slow, connected(served) as fast:
        slow.subscribe()
        fast.subscribe()
        stop = time.monotonic() + 20
        until = FIRST
        while until < LAST and time.monotonic() < stop:
            until += 1
            chain.give(until)
            assert places(fast.rows(until)[0]) == known(live_rows, until, until)
        found: list[dict[str, Any]] = []
        resume = ""
        while True:
            told = slow.next("data", "closing")
            if told["op"] == "closing":
                break
            found += told["rows"]
            if found and told["last_ledger"] == LAST:
                return  # the system's buffers held all of it
        assert told["code"] == 4008
        resume = told["resume"]["t"]
    with connected(served) as again:
        again.subscribe(**{"from": resume})
        found += again.rows(LAST)[0]
    assert places(found) == known(live_rows, FIRST + 1, LAST)


def test_with_credit_the_server_waits(serve_given: Start, live_rows: Any) -> None:
    served, chain = given_until(serve_given, FIRST)
    with connected(served) as client:
        client.subscribe(credit=1, **{"from": "earliest"})
        found = client.rows(FIRST)[0]
        chain.give(LAST)
        served.wait_for(LAST)
        for _ in range(2):  # what was sent was more than was given
            client.say("ping")
            assert client.next("pong", "data")["op"] == "pong"
            client.say("credit", id="t", bytes=1)
        client.say("credit", id="t", bytes=1 << 30)
        found += client.rows(LAST)[0]
    assert places(found) == known(live_rows, FIRST, LAST)


def test_many_listeners_are_served_from_one_encoding(
    serve_given: Start, live_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = writing.json_rows

    def counting(batches: Any) -> bytes:
        calls.append(1)
        return real(batches)

    monkeypatch.setattr("stellarrow.servers.analytics_ws.encoding.json_rows", counting)
    served, chain = given_until(serve_given, FIRST, max_connections_per_ip=100)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(served)) for _ in range(20)]
        for one in clients:
            one.subscribe()
        for until in range(FIRST + 1, FIRST + 11):
            chain.give(until)
            for one in clients:
                assert places(one.rows(until)[0]) == known(live_rows, until, until)
    assert len(calls) <= 30, "ten ledgers, and those that were read before all had joined"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"op": "shout"}', "op is 'shout'"),
        ('{"op": "subscribe"}', "channel is missing"),
        ('{"op": "subscribe", "id": "x", "channel": "nothing"}', "there is no table 'nothing'"),
        (
            '{"op": "subscribe", "id": "x", "channel": "ledgers", "colums": []}',
            "did you mean 'columns'|columns",
        ),
        ('{"op": "subscribe", "id": "", "channel": "ledgers"}', "id must be"),
        ('{"op": "subscribe", "id": "x", "channel": "ledgers", "format": "xml"}', "format is 'xml'"),
        ('{"op": "subscribe", "id": "x", "channel": "ledgers", "from": "abc"}', "from must be"),
        ('{"op": "subscribe", "id": "x", "channel": "ledgers", "where": "a = 1"}', "a"),
        ('{"op": "subscribe", "id": "x", "channel": "ledgers", "credit": -1}', "credit must be"),
        ('{"op": "credit", "id": "x", "bytes": 5}', "there is no subscription 'x'"),
        ('{"op": "auth"}', "token is missing"),
        ('{"op": "list", "a": 1}', "list has 'a'"),
        ("[" * 30_000, "JSON"),
    ],
)
def test_a_message_that_makes_no_sense_is_an_error_and_ends_nothing(
    serve_given: Start, text: str, told: str
) -> None:
    served, _ = given_until(serve_given, FIRST)
    with connected(served) as client:
        client.socket.send(text)
        error = json.loads(client.socket.recv(timeout=20))
        assert error["op"] == "error"
        assert any(one in error["message"] for one in told.split("|")), error
        client.say("ping")
        assert client.next("pong")


def test_hostile_frames_end_the_connection_and_nothing_else(serve_given: Start) -> None:
    served, _ = given_until(serve_given, FIRST)
    with connected(served) as other:
        with connected(served) as client:
            client.socket.send("x" * 70_000)
            assert code_of(client) == 1009
        with connected(served) as client:
            with client.socket.send_context():
                client.socket.protocol.send_text(b"\xff\xfe")
            assert code_of(client) == 1007
        with connected(served) as client:
            with suppress(ConnectionClosed):
                for _ in range(200):
                    client.say("ping")
            assert code_of(client) == 1008
        other.say("ping")
        assert other.next("pong")


def test_who_connects_too_often_is_told_before_the_upgrade(serve_given: Start) -> None:
    served, _ = given_until(serve_given, FIRST, max_connections=3, max_connections_per_ip=2)
    with connected(served), connected(served), pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{served.service.rest.address}/v1/ws")
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after"] == "10"


def test_pages_of_other_places_may_not_connect(serve_given: Start) -> None:
    served, _ = given_until(serve_given, FIRST)
    address = served.service.rest.address
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address}/v1/ws", origin="https://evil.example")
    assert refused.value.response.status_code == 403
    with connect(f"ws://{address}/v1/ws", origin=f"http://{address}") as socket:
        assert Client(socket).ready["limits"]["subscriptions"] == 64


def test_who_subscribes_to_nothing_is_let_go(serve_given: Start) -> None:
    served, _ = given_until(serve_given, FIRST, connection_timeout="200ms")
    with connected(served) as client:
        assert client.next("closing")["code"] == 4001


def test_subscriptions_are_listed_and_end(serve_given: Start) -> None:
    served, chain = given_until(serve_given, 110)
    with connected(served) as client:
        client.subscribe(id="a", columns=["event_index", "amount_text"])
        client.subscribe(id="b", channel="ledgers")
        client.say("subscribe", id="a", channel="ledgers")
        assert "already" in client.next("error")["message"]
        client.say("list")
        assert [one["id"] for one in client.next("list")["subscriptions"]] == ["a", "b"]
        client.say("unsubscribe", id="b")
        assert client.next("unsubscribed")["id"] == "b"
        chain.give(111)
        told = client.next("data")
        assert (told["id"], told["last_ledger"]) == ("a", 111)
        assert {tuple(row) for row in told["rows"]} == {("event_index", "amount_text")}


def test_who_is_not_known_subscribes_to_nothing_until_it_shows_a_key_or_a_ticket(
    serve_given: Start, live_rows: Any
) -> None:
    served, chain = given_until(serve_given, 110, auth="api_key")
    keys = served.service._secured.keys
    assert keys is not None
    _, text = keys.create("me", ["reader"], created_by="test")
    with connected(served) as client:
        client.say("subscribe", id="t", channel="token_transfers")
        assert client.next("error")["code"] == "unauthenticated"
        client.say("auth", token="stlr_wrong")  # noqa: S106  it is wrong
        assert client.next("error")["code"] == "unauthenticated"
        client.say("auth", token=text)
        assert client.next("ready")["principal"] == {"name": "me", "kind": "api_key", "roles": ["reader"]}
        client.subscribe()
        chain.give(111)
        assert places(client.rows(111)[0]) == known(live_rows, 111, 111)
        keys.revoke("me")
        assert client.next("closing")["code"] == 4003
    _, text = keys.create("you", ["reader"], created_by="test")
    made = served.client.post("/v1/tickets", headers={"authorization": f"Bearer {text}"})
    for due in ("ready", "error"):  # a ticket is good once
        with connected(served) as client:
            client.say("auth", token=made.json()["ticket"])
            assert client.next(due)["op"] == due


def test_a_connection_outlives_the_time_that_a_request_has(
    serve_given: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "REQUEST_SECONDS", 0.3)
    served, _ = given_until(serve_given, 110)
    with connected(served) as client:
        client.subscribe()
        time.sleep(1)
        client.say("ping")
        assert client.next("pong")["op"] == "pong"


def test_a_question_that_cannot_be_answered_ends_its_subscription_alone(serve_given: Start) -> None:
    served, chain = given_until(serve_given, 110)
    with connected(served) as client:
        client.subscribe()
        for name, origin in (("late", "latest"), ("early", "earliest")):
            wrong = {"channel": "token_transfers", "where": "cast(event_type as bigint) = 1", "from": origin}
            client.say("subscribe", id=name, **wrong)
            assert client.next("subscribed")["id"] == name
        chain.give(120)
        told: dict[str, Any] = {}
        while len(told) < 2:
            error = client.next_of("error")
            told[error["id"]] = error
        assert {one["code"] for one in told.values()} == {"invalid_argument"}
        assert all("cast less" in one["message"] and one["resume"] for one in told.values())
        client.say("list")
        assert [one["id"] for one in client.next("list")["subscriptions"]] == ["t"]
