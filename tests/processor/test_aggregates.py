"""Named queries over Arrow Flight: of ranges, of sessions, and of windows as they end."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa
from stellarrow.core.named_queries import Catalogue
from stellarrow.processor.reads import aggregate_stream
from stellarrow.sql import windows

from .conftest import Endless, Received, Service, Start

Expected = Callable[..., list[dict[str, Any]]]
Rows = list[dict[str, Any]]
SAVED = (
    sa.NamedQuery(
        name="native_payments",
        table="token_transfers",
        kind="filter",
        expression="asset = 'native' and event_type in ('payment', 'create_account')",
    ),
    sa.NamedQuery(
        name="by_event",
        table="token_transfers",
        kind="aggregate",
        expression='sum(amount_raw) as volume, count(*) as rows, count(distinct "from") as senders'
        " by event_type",
    ),
    sa.NamedQuery(
        name="brief",
        table="token_transfers",
        kind="projection",
        expression="asset, successful, amount_text",
    ),
    sa.NamedQuery(name="in_all", table="token_transfers", kind="aggregate", expression="count(*) as rows"),
    sa.NamedQuery(
        name="by_hash", table="token_transfers", kind="aggregate", expression="count(*) by transaction_hash"
    ),
)
RANGE: dict[str, Any] = {"start_ledger": 100, "end_ledger": 139}
MONDAY = datetime(2024, 7, 1, tzinfo=UTC)


@pytest.fixture
def service(start: Start) -> Service:
    """A processor with saved queries, whose one session has brought all forty ledgers."""
    made = start(queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    made.finished(made.processor.start(100, 139).id)
    return made


def by_event(rows: Rows) -> dict[str, tuple[int, int, int]]:
    """Compute aggregate by_event with Python's integers."""
    groups: dict[str, Rows] = defaultdict(list)
    for row in rows:
        groups[row["event_type"]].append(row)
    return {
        kind: (
            sum(int(row["amount_text"]) for row in held),
            len(held),
            len({row["from"] for row in held} - {None}),
        )
        for kind, held in groups.items()
    }


def figures(received: Received) -> dict[str, tuple[int, int, int]]:
    return {
        row["event_type"]: (int(row["volume_text"]), row["rows"], row["senders"]) for row in received.rows
    }


def counted(service: Service, name: str) -> int:
    text = service.processor.metrics.text().decode()
    (line,) = [one for one in text.splitlines() if one.startswith(f"{name} ")]
    return int(float(line.split()[1]))


@pytest.mark.parametrize("ranged", [False, True])
def test_an_aggregate_is_of_every_row_once(service: Service, expected: Expected, *, ranged: bool) -> None:
    received = service.tables.read(aggregate="by_event", **(RANGE if ranged else {}))
    assert figures(received) == by_event(expected("token_transfers"))
    told = received.told[-1]
    assert (told["first_ledger"], told["last_ledger"], told["complete"]) == (100, 139, True)
    assert told["network"] == sa.Network.of("synthetic").passphrase
    assert ("session" in told) is not ranged


@pytest.mark.parametrize("ranged", [False, True])
def test_filters_hold_in_aggregates_and_for_rows(
    service: Service, expected: Expected, *, ranged: bool
) -> None:
    wanted = [
        row
        for row in expected("token_transfers")
        if row["asset_type"] == "native" and row["operation_type"] in ("payment", "create_account")
    ]
    asked: dict[str, Any] = {"filter": "native_payments", **(RANGE if ranged else {})}
    assert service.tables.read(**asked, follow=False).rows == wanted
    assert figures(service.tables.read(aggregate="by_event", **asked)) == by_event(wanted)
    half = wanted[0]["from"]
    narrowed = service.tables.read(aggregate="by_event", where=f"\"from\" = '{half}'", **asked)
    assert figures(narrowed) == by_event([row for row in wanted if row["from"] == half])


@pytest.mark.parametrize("ranged", [False, True])
def test_a_projection_makes_its_columns(service: Service, expected: Expected, *, ranged: bool) -> None:
    received = service.tables.read(projection="brief", follow=False, **(RANGE if ranged else {}))
    assert received.batches[0].schema.names == ["ledger_sequence", "asset", "successful", "amount_text"]
    assert [row["amount_text"] for row in received.rows] == [
        row["amount_text"] for row in expected("token_transfers")
    ]
    asked: dict[str, Any] = {"from": received.told[3]["resume"], **(RANGE if ranged else {})}
    resumed = service.tables.read(projection="brief", follow=False, **asked)
    assert (
        received.rows == [row for batch in received.batches[:4] for row in batch.to_pylist()] + resumed.rows
    )


@pytest.mark.parametrize("window", windows.NAMES)
def test_windows_tumble_by_close_time(service: Service, expected: Expected, window: str) -> None:
    length = windows.length(window)
    groups: dict[datetime, Rows] = defaultdict(list)
    for row in expected("token_transfers"):
        groups[MONDAY + (row["closed_at"] - MONDAY) // length * length].append(row)
    ranges: list[dict[str, Any]] = [RANGE, {}]
    for ends in ranges:
        received = service.tables.read(aggregate="by_event", window=window, **ends)
        found: dict[datetime, dict[str, Any]] = defaultdict(dict)
        for row in received.rows:
            values = (int(row["volume_text"]), row["rows"], row["senders"])
            found[row["window_start"]][row["event_type"]] = values
        assert found == {begin: by_event(rows) for begin, rows in groups.items()}


def test_the_schema_is_told_before(service: Service) -> None:
    commands: list[dict[str, Any]] = [
        {"aggregate": "by_event", "window": "1h"},
        {"aggregate": "transactions_by_hour", "table": "token_transfers"},
        {"table": "token_transfers", "projection": "brief", "follow": False},
    ]
    for command in commands:
        descriptor = flight.FlightDescriptor.for_command(json.dumps(command).encode())
        told = service.tables.client.get_schema(descriptor).schema
        info = service.tables.info(**command)
        received = service.tables.read(**command)
        assert told.equals(info.schema)
        assert told.equals(received.batches[0].schema)
        assert len(info.endpoints) == 1


def test_an_answer_that_does_not_fit_into_a_message_is_resumed_at_any_row(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_stream, "_MESSAGE_BYTES", 2_000)
    ranges: list[dict[str, Any]] = [RANGE, {}]
    for ends in ranges:
        whole = service.tables.read(aggregate="by_hash", **ends)
        assert len(whole.batches) > 5
        for at, told in enumerate(whole.told):
            rest = service.tables.read(aggregate="by_hash", **{"from": told["resume"]}, **ends)
            assert (
                whole.rows
                == [row for batch in whole.batches[: at + 1] for row in batch.to_pylist()] + rest.rows
            )


def test_sessions_of_the_same_ledgers_are_not_added_up(start: Start, expected: Expected) -> None:
    service = start(queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    ids = [service.processor.start(*ends).id for ends in ((100, 119), (110, 129))]
    for one in ids:
        service.finished(one)
    received = service.tables.read(aggregate="in_all")
    assert {
        told["session"]: batch["rows"][0].as_py()
        for batch, told in zip(received.batches, received.told, strict=True)
    } == {
        one: len(expected("token_transfers", *ends))
        for one, ends in zip(ids, ((100, 119), (110, 129)), strict=True)
    }


@pytest.mark.parametrize("ranged", [False, True])
def test_windows_are_sent_as_they_end_and_go_on_from_any_token(
    start: Start, endless: Endless, expected: Expected, monkeypatch: pytest.MonkeyPatch, *, ranged: bool
) -> None:
    monkeypatch.setattr(aggregate_stream, "_MESSAGE_BYTES", 3_000)
    service = start(endless, queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    asked: dict[str, Any] = {"aggregate": "by_hash", "window": "1m", "follow": True}
    if ranged:
        asked["start_ledger"] = 100
    else:
        service.processor.start(100)
    rows = expected("token_transfers")
    minutes: dict[tuple[datetime, str], int] = defaultdict(int)
    for row in rows:
        minutes[row["closed_at"].replace(second=0), row["transaction_hash"]] += 1
    ended = {key: count for key, count in minutes.items() if key[0] < max(minutes)[0]}
    endless.give(139)
    whole = as_many(service, len(ended), **asked)
    assert answered(whole.rows) == ended
    assert len(whole.batches) > 3
    for at, told in enumerate(whole.told[:-1]):
        due = len(ended) - sum(batch.num_rows for batch in whole.batches[: at + 1])
        rest = as_many(service, due, **asked, **{"from": told["resume"]})
        before = [row for batch in whole.batches[: at + 1] for row in batch.to_pylist()]
        assert answered(before + rest.rows) == ended
        assert len(before) + len(rest.rows) == len(ended)


def as_many(service: Service, rows: int, **asked: Any) -> Received:
    """Read a stream that does not end until so many rows have come."""
    received = Received()
    ticket = service.tables.info(**asked).endpoints[0].ticket
    stream = service.tables.client.do_get(ticket, flight.FlightCallOptions(timeout=60))
    while sum(batch.num_rows for batch in received.batches) < rows:
        chunk = stream.read_chunk()
        received.batches.append(chunk.data)
        received.told.append(json.loads(chunk.app_metadata.to_pybytes()))
    stream.cancel()
    return received


def answered(rows: Rows) -> dict[tuple[datetime, str], int]:
    return {(row["window_start"], row["transaction_hash"]): row["count"] for row in rows}


def test_the_last_window_of_sessions_that_ended_is_sent(service: Service, expected: Expected) -> None:
    received = service.tables.read(aggregate="in_all", window="1m", follow=True)
    assert sum(row["rows"] for row in received.rows) == len(expected("token_transfers"))
    assert received.told[-1]["last_ledger"] == 139
    asked: dict[str, Any] = {"from": received.resume}
    again = service.tables.read(aggregate="in_all", window="1m", follow=True, **asked)
    assert again.rows == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ({"aggregate": "volume_by_aset"}, "did you mean volume_by_asset?"),
        ({"aggregate": "large_amounts"}, "large_amounts is a filter, not an aggregate"),
        ({"table": "ledgers", "filter": "large_amounts"}, "is of token_transfers, not of ledgers"),
        ({"table": "ledgers", "filter": "by_event"}, "by_event is an aggregate, not a filter"),
        ({"table": "ledgers", "filter": 7}, "filter is 7: it must be a text"),
        ({"aggregate": "by_event", "window": "2h"}, "the window is '2h': it must be 1m, 5m, 1h, 24h, 7d"),
        ({"aggregate": "by_event", "windw": "1h"}, "did you mean 'window'?"),
        ({"table": "ledgers", "window": "1h"}, 'a "window" is of an "aggregate"'),
        ({"aggregate": "by_event", "columns": ["closed_at"]}, "leave columns, select and projection out"),
        ({"aggregate": "by_event", "projection": "brief"}, "leave columns, select and projection out"),
        ({"aggregate": "by_event", "follow": True}, "has no end"),
        ({"aggregate": "by_event", "from": "latest"}, 'add "follow": true'),
        ({"aggregate": "by_event", "from": "x"}, "must be earliest, latest, or the resume of a batch"),
        ({"projection": "brief", "columns": ["closed_at"]}, "columns say what the projection says"),
        ({"aggregate": "by_event", "where": "(" * 5_000}, "nests too deep"),
        ({"aggregate": "by_event", "where": "asset_cod = 'x'"}, "did you mean 'asset_code'?"),
        ({"aggregate": "by_event", "version": "9.9"}, "there is no table"),
        ({"aggregate": "transactions_by_hour"}, "sessions do not keep transactions"),
        ({"aggregate": "x" * 100_000}, "there is no aggregate"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(service: Service, command: dict[str, Any], told: str) -> None:
    with pytest.raises(pa.ArrowInvalid) as error:
        service.tables.read(**command)
    assert told in str(error.value)
    assert "Traceback" not in str(error.value)


def test_more_groups_than_are_kept_are_an_error_and_so_for_who_waits(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_stream, "_GROUPS", 50)
    begun = threading.Barrier(3)

    def ask() -> str:
        begun.wait(30)
        with pytest.raises(pa.ArrowInvalid) as error:
            service.tables.read(aggregate="by_hash", **RANGE)
        return str(error.value)

    with ThreadPoolExecutor(3) as pool:
        said = [one.result(60) for one in [pool.submit(ask) for _ in range(3)]]
    assert all("makes more than 50 groups" in one for one in said)
    assert service.tables.read(aggregate="in_all", **RANGE).rows


def test_a_resume_token_is_of_one_filter_alone(service: Service) -> None:
    token = service.tables.read(aggregate="by_event", **RANGE).resume
    others: list[dict[str, Any]] = [
        {"filter": "large_amounts"},
        {"window": "1m"},
        {"end_ledger": 120},
        {"aggregate": "in_all"},
    ]
    for other in others:
        with pytest.raises(pa.ArrowInvalid, match="the resume token is of another command"):
            service.tables.read(**{"aggregate": "by_event", **RANGE, **other, "from": token})
