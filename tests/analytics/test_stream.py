"""Server-sent events: every row once, over reconnects, slow listeners and servers that end."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pyarrow as pa
import pytest

from analytics.conftest import COUNT, FIRST, Given, Served
from stellarrow.analysis.reads.reading import Question
from stellarrow.analysis.reads.tailing import Tail
from stellarrow.servers.analytics_live import Channel

Start = Callable[..., tuple[Served, Given]]
PATH = "/v1/stream/token_transfers"
LAST = FIRST + COUNT - 1


class Events:
    """What a client of the stream sees."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.id = ""

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.id = value
            elif name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)


@contextmanager
def listening(served: Served, last: str = "", **parameters: Any) -> Iterator[Events]:
    headers = {"last-event-id": last} if last else {}
    with served.client.stream("GET", PATH, params=parameters or None, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer.iter_lines())


def places(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["ledger_sequence"], row["event_index"]) for row in rows]


def known(rows: dict[str, dict[int, pa.RecordBatch]], first: int, last: int) -> list[tuple[int, int]]:
    held = rows["token_transfers"]
    return places([row for ledger in range(first, last + 1) for row in held[ledger].to_pylist()])


def taken(events: Events, until: int, most: int | None = None) -> list[dict[str, Any]]:
    """Return the rows up to a ledger, or of so many events."""
    found: list[dict[str, Any]] = []
    for number, (kind, told) in enumerate(events, 1):
        assert kind in ("rows", "progress"), told
        found += told.get("rows", [])
        if told["last_ledger"] >= until or number == most:
            break
    return found


def test_rows_come_as_ledgers_do_from_the_latest_on(serve_given: Start, live_rows: Any) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    with listening(served) as events:
        chain.give(130)
        assert places(taken(events, 130)) == known(live_rows, 111, 130)
        chain.give(LAST)
        assert places(taken(events, LAST)) == known(live_rows, 131, LAST)


def test_a_filter_and_columns_hold_for_a_stream(serve_given: Start, live_rows: Any) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    contract = live_rows["token_transfers"][110].column("contract_id")[0].as_py()
    asked = {"from": "earliest", "contract_ids": contract, "columns": "event_index,contract_id"}
    with listening(served, **asked) as events:
        found = []
        for kind, told in events:
            assert kind == "rows"
            found += told["rows"]
            if len(found) >= sum(
                one.column("contract_id").to_pylist().count(contract)
                for one in live_rows["token_transfers"].values()
            ):
                break
    assert {tuple(row) for row in found} == {("event_index", "contract_id")}
    assert {row["contract_id"] for row in found} == {contract}


@pytest.mark.parametrize("seed", range(3))
def test_a_client_that_leaves_at_random_moments_has_each_row_once(
    serve_given: Start, live_rows: Any, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  a test
    served, chain = serve_given()
    chain.give(FIRST)
    served.wait_for(FIRST)
    found: list[dict[str, Any]] = []
    last, reached = "", FIRST
    while not found or found[-1]["ledger_sequence"] < LAST:
        reached = min(LAST, reached + chance.randrange(12))
        chain.give(reached)
        served.wait_for(reached)
        with listening(served, last, **{"from": "earliest"}) as events:
            due = [row for row in known(live_rows, FIRST, reached) if row not in places(found[-1:])]
            if places(found) == known(live_rows, FIRST, reached) or not due:
                continue
            found += taken(events, reached, most=chance.randrange(1, 5))
            last = events.id
    assert places(found) == known(live_rows, FIRST, LAST)


def test_a_client_goes_on_at_another_server_where_this_one_ended(serve_given: Start, live_rows: Any) -> None:
    found: list[dict[str, Any]] = []
    last = ""
    for until in (115, 131, LAST):
        served, chain = serve_given()
        chain.give(until)
        served.wait_for(until)
        with listening(served, last, **{"from": "earliest"}) as events:
            found += taken(events, until)
            last = events.id
        served.close()
    assert places(found) == known(live_rows, FIRST, LAST)


def test_a_stream_ends_when_the_server_does(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    with listening(served, **{"from": "earliest"}) as events:
        taken(events, LAST)
        served.service.drain()
        assert [*events] == []


def test_ledgers_that_are_not_here_are_told_as_a_gap(serve_given: Start, live_rows: Any) -> None:
    served, chain = serve_given()
    chain.give(105)
    served.wait_for(105)
    with listening(served, **{"from": "earliest"}) as events:
        taken(events, 105)
        last = events.id
    served.close()
    left = {name: {one: rows for one, rows in held.items() if one > 120} for name, held in live_rows.items()}
    served, chain = serve_given(Given(left))
    chain.give(LAST)
    served.wait_for(LAST)
    with listening(served, last) as events:
        kind, told = next(iter(events))
        assert (kind, told["first_ledger"], told["last_ledger"]) == ("gap", 106, 120)
        assert places(taken(events, LAST)) == known(live_rows, 121, LAST)


def test_a_listener_that_takes_nothing_slows_nobody_and_loses_nothing(
    serve_given: Start, live_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.servers.analytics_http.stream._BEHIND_BYTES", 1_000)
    served, chain = serve_given()
    chain.give(FIRST)
    served.wait_for(FIRST)
    with listening(served) as slow, listening(served) as fast:
        for until in range(FIRST + 1, LAST + 1):
            chain.give(until)
            assert places(taken(fast, until)) == known(live_rows, until, until)
        assert places(taken(slow, LAST)) == known(live_rows, FIRST + 1, LAST)


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"from": "abc"}, 400, "from"),
        ({"columns": "nothing"}, 400, "columns"),
        ({"where": "nothing = 1"}, 400, "where"),
        ({"limit": "1"}, 400, "limit"),
    ],
)
def test_a_stream_that_makes_no_sense_is_refused(
    serve_given: Start, parameters: dict[str, str], status: int, field: str
) -> None:
    served, _ = serve_given()
    answer = served.get(PATH, **parameters)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert served.get("/v1/stream/nothing").status_code == 404


def test_the_token_of_other_rows_is_refused(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    with listening(served, **{"from": "earliest"}) as events:
        next(iter(events))
        token = events.id
    answer = served.client.get(PATH, params={"event_types": "mint"}, headers={"last-event-id": token})
    assert (answer.status_code, answer.json()["field"]) == (400, "from")
    assert isinstance(answer, httpx.Response)


def test_a_question_that_cannot_be_answered_is_told_and_hinders_nobody(
    serve_given: Start, live_rows: Any
) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    wrong = {"where": "cast(event_type as bigint) = 1"}
    with listening(served) as good:
        for origin in ("latest", "earliest"):
            with listening(served, **wrong, **{"from": origin}) as events:
                chain.give(120 if origin == "latest" else 125)
                kind, told = next(iter(events))
                assert (kind, told["status"]) == ("problem", 400)
                assert "cast less" in told["detail"]
        assert places(taken(good, 125)) == known(live_rows, 111, 125)


def test_who_was_ahead_is_waited_for_and_goes_on_without_a_repeat(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    with listening(served, **{"from": "earliest"}) as events:
        taken(events, 120)
        ahead = events.id
    behind, slower = serve_given()
    slower.give(110)
    behind.wait_for(110)
    with listening(behind, ahead) as events:
        slower.give(115)
        behind.wait_for(115)
        slower.give(LAST)
        assert places(taken(events, LAST))[0][0] > 115


def test_a_stream_ahead_of_the_chain_ends_with_its_service(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    with listening(served, **{"from": "earliest"}) as events:
        taken(events, 105)
        shape, _ = json.loads(base64.urlsafe_b64decode(events.id + "==="))
    ahead = base64.urlsafe_b64encode(json.dumps([shape, {"": [4_000_000_000, 0]}]).encode()).decode()
    with listening(served, ahead.rstrip("=")) as events:
        served.service.tables.close()
        assert [*events] == []


def test_a_listener_that_takes_nothing_holds_no_rows_and_few_bytes(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    tail = Tail(served.service.tables, Question(table="token_transfers"))
    channel = Channel(tail, lambda part: b"x" * 100_000 if part.rows is not None else b"")

    held, is_all = channel._some(FIRST - 1, LAST)
    assert not is_all
    assert all(made.part.rows is None for made in held)
    assert sum(len(made.body) for made in held) < 400_000
