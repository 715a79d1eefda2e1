"""Subscriptions over WebSocket: every row once, over reconnects, kills of the server and slow clients."""

from __future__ import annotations

import json
import random
import struct
import time
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pytest
from websockets.exceptions import ConnectionClosed

from analytics.conftest import FIRST, Given
from analytics.sockets import LAST, Start, connected, given_until
from analytics.test_stream import known, places
from stellarrow.servers.analytics_http import writing


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


def test_a_client_goes_on_at_another_server_where_this_one_ended(
    serve_given: Start, live_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who answers the last words is not held until it would be cut.
    monkeypatch.setattr("stellarrow.servers.analytics_ws.session.GRACE_SECONDS", 600)
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
