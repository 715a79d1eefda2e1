"""What a WebSocket takes and what it does not: wrong messages, strangers, limits, questions that fail."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from analytics.conftest import FIRST
from analytics.sockets import Client, Start, code_of, connect, connected, given_until
from analytics.test_stream import known, places
from stellarrow.servers import http_limits


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


def test_pages_of_other_places_may_not_connect(serve_given: Start, caplog: pytest.LogCaptureFixture) -> None:
    served, _ = given_until(serve_given, FIRST)
    address = served.service.rest.address
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address}/v1/ws", origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
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
