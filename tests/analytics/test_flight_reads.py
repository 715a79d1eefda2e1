"""Flight of the analytics service: the rows of REST, figures, SQL; resumed exactly, for who may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from analytics.conftest import COUNT, FIRST, Given, Serve, Served
from analytics.sockets import connected
from analytics.test_stream import known, places
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.ledgers import LedgerRange
from stellarrow.security.key_store import FILE, KeyStore
from stellarrow.servers import analytics_rows

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1


def client_of(served: Served) -> flight.FlightClient:
    return flight.connect(f"grpc://{served.service.flight.address}")


def options(token: str = "") -> flight.FlightCallOptions:
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    return flight.FlightCallOptions(timeout=60, headers=headers)


def got(served: Served, **command: Any) -> pa.Table:
    with client_of(served) as client:
        ticket = flight.Ticket(json.dumps(command).encode())
        return client.do_get(ticket, options()).read_all()


def told(served: Served, **command: Any) -> list[tuple[pa.RecordBatch, dict[str, Any]]]:
    """Return each batch, and what is told of it."""
    with client_of(served) as client:
        reader = client.do_get(flight.Ticket(json.dumps(command).encode()), options())
        return [(one.data, json.loads(one.app_metadata.to_pybytes())) for one in reader]


def rest(served: Served, path: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = served.get(path, format="arrow", **parameters)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return rows


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"assets": ["native"]},
        {"event_types": ["transfer"], "columns": ["ledger_sequence", "amount_text"]},
        {"where": "amount_raw > 1000", "columns": ["to", "from"]},
    ],
)
def test_rows_are_those_of_rest(served: Served, asked: dict[str, Any]) -> None:
    found = got(served, table="token_transfers", follow=False, **asked)
    parameters = {name: value if isinstance(value, str) else ",".join(value) for name, value in asked.items()}
    expected = rest(served, "/v1/tables/token_transfers/rows", **parameters)
    assert found.to_pylist() == expected
    assert len(expected) > 10


def test_a_range_of_ledgers_ends_by_itself(served: Served) -> None:
    found = got(served, table="ledgers", start_ledger=58_752_000, end_ledger=58_752_000)
    assert found["ledger_sequence"].to_pylist() == [58_752_000]
    assert got(served, table="ledgers", start_ledger=1, end_ledger=2).num_rows == 0


def test_paths_commands_and_infos_have_the_same_schema(served: Served) -> None:
    with client_of(served) as client:
        infos = {
            tuple(word.decode() for word in one.descriptor.path): one
            for one in client.list_flights(b"", options())
        }
        assert {("ledgers",), ("token_transfers",), ("analytics", "network")} <= infos.keys()
        for path, info in infos.items():
            assert client.get_schema(flight.FlightDescriptor.for_path(*path)).schema == info.schema
        descriptor = flight.FlightDescriptor.for_command(b'{"table": "ledgers", "follow": false}')
        info = client.get_flight_info(descriptor, options())
        said = json.loads(info.app_metadata)
        assert said["as_of_ledger"] == served.get("/v1/status").json()["as_of_ledger"]
        (endpoint,) = info.endpoints
        table = client.do_get(endpoint.ticket, options()).read_all()
        assert table.schema.equals(info.schema, check_metadata=True)
        assert table["ledger_sequence"].to_pylist() == [53_312_000, 58_752_000]


def test_figures_are_those_of_rest(served: Served) -> None:
    deadline = time.monotonic() + 60
    while served.get("/v1/analytics").json()["analytics"][0]["last_ledger"] != 58_752_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for command in ({"window": "24h"}, {"window": "total", "asset": "native"}, {"top": 3, "by": "volume"}):
        found = got(served, table="analytics/transfers", **command)
        assert found.to_pylist() == rest(served, "/v1/analytics/transfers", **command)
        assert found.num_rows
    ((_, said),) = told(served, table="analytics/network", window="total")
    assert said["last_ledger"] == 58_752_000


def test_sql_is_answered_as_over_rest(served: Served) -> None:
    sql = "select event_type, count(*)::integer as n from token_transfers group by 1 order by 1"
    expected = served.client.post("/v1/query", json={"sql": sql}).json()
    found = told(served, sql=sql)
    assert [row for rows, _ in found for row in rows.to_pylist()] == expected["rows"]
    as_of, gaps = expected["as_of_ledger"], expected["gaps"]  # between the two ledgers that there are
    assert found[-1][1] == {"as_of_ledger": as_of, "truncated": False, "left": gaps}
    assert told(served, sql="select * from ledgers", limit=1)[-1][1]["truncated"] is True
    with client_of(served) as client:
        descriptor = flight.FlightDescriptor.for_command(json.dumps({"sql": sql}).encode())
        info = client.get_flight_info(descriptor, options())
        assert info.schema.names == ["event_type", "n"]
        assert client.do_get(info.endpoints[0].ticket, options()).read_all().to_pylist() == expected["rows"]


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [
        (b"{", pa.ArrowInvalid, "the command is no JSON"),
        (b"{}", pa.ArrowInvalid, "the command names no table"),
        (b'{"table": "ledger"}', pa.ArrowKeyError, "did you mean ledgers?"),
        (b'{"table": "ledgers", "colums": []}', pa.ArrowInvalid, "did you mean .columns.?"),
        (b'{"table": "ledgers", "columns": ["x"]}', pa.ArrowInvalid, "has no column .x."),
        (b'{"table": "ledgers", "where": "x = 1"}', pa.ArrowInvalid, "x"),
        (b'{"table": "ledgers", "from": "nowhere"}', pa.ArrowInvalid, "must be earliest, latest"),
        (b'{"table": "ledgers", "start_ledger": 9, "end_ledger": 8}', pa.ArrowInvalid, "swap them"),
        (b'{"table": "contract_data@1.0"}', pa.ArrowInvalid, "is an older version"),
        (b'{"table": "analytics/nothing"}', pa.ArrowInvalid, "there are no analytics"),
        (b'{"table": "analytics/network", "session": "a"}', pa.ArrowInvalid, "leave it out"),
        (b'{"sql": "select * from read_csv(1)"}', pa.ArrowInvalid, "read_csv"),
        (b'{"sql": "select 1", "table": "ledgers"}', pa.ArrowInvalid, "table"),
        (b"\x0a\x05other", pa.ArrowNotImplementedError, "no command of stellarrow"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(
    served: Served, command: bytes, kind: type[Exception], sentence: str
) -> None:
    with client_of(served) as client:
        with pytest.raises(kind, match=sentence) as refused:
            client.do_get(flight.Ticket(command), options()).read_all()
        assert "Traceback" not in str(refused.value)
        with pytest.raises(kind, match=sentence):
            client.get_flight_info(flight.FlightDescriptor.for_command(command), options())


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select count(*) from range(1000000000000) a, range(9999) b", flight.FlightTimedOutError),
        ("select repeat('x', 100000) as t from range(1000)", flight.FlightServerError),
    ],
)
def test_sql_that_takes_too_much_is_told_apart_from_sql_that_is_wrong(
    served: Served, sql: str, kind: type[Exception]
) -> None:
    ticket = flight.Ticket(json.dumps({"sql": sql, "timeout": 5}).encode())
    with client_of(served) as client, pytest.raises(kind, match="ask for") as raised:
        client.do_get(ticket, options()).read_all()
    assert raised.type is kind


def test_rows_go_on_as_ledgers_come_and_from_a_token_over_restarts(
    serve_given: Start, live_rows: Any
) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    client = client_of(served)
    reader = client.do_get(flight.Ticket(b'{"table": "token_transfers"}'), options())
    found: list[dict[str, Any]] = []
    last, resume = 0, ""

    def take(reader: Any, until: int) -> None:
        nonlocal last, resume
        while last < until:
            chunk = reader.read_chunk()
            said = json.loads(chunk.app_metadata.to_pybytes())
            assert last == 0 or said["first_ledger"] == last + 1
            found.extend(chunk.data.to_pylist())
            last, resume = said["last_ledger"], said["resume"]

    take(reader, 110)
    chain.give(120)
    take(reader, 120)
    client.close()
    served.close()
    served, chain = serve_given()
    chain.give(LAST)
    with client_of(served) as client:
        command = json.dumps({"table": "token_transfers", "from": resume}).encode()
        take(client.do_get(flight.Ticket(command), options()), LAST)
    assert places(found) == known(live_rows, FIRST, LAST)


@pytest.fixture
def whole(serve_given: Start) -> Served:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    return served


def test_every_token_goes_on_behind_its_batch_even_inside_a_large_ledger(
    whole: Served, live_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics_rows, "_MESSAGE_BYTES", 2_000)
    batches = told(whole, table="token_transfers", follow=False)
    rows = [batch.to_pylist() for batch, _ in batches]
    assert places([row for some in rows for row in some]) == known(live_rows, FIRST, LAST)
    assert any(not said["complete"] for _, said in batches), "a ledger is larger than a message"
    monkeypatch.setattr(analytics_rows, "_MESSAGE_BYTES", 3_000)  # the batches are others then
    for number in range(0, len(batches), max(1, len(batches) // 25)):
        rest = got(whole, table="token_transfers", follow=False, **{"from": batches[number][1]["resume"]})
        assert rest.to_pylist() == [row for some in rows[number + 1 :] for row in some]


def test_a_token_of_flight_is_one_of_the_websocket_and_back(whole: Served, live_rows: Any) -> None:
    (*_, (_, said)) = told(whole, table="token_transfers", end_ledger=120)
    with connected(whole) as client:
        client.subscribe(**{"from": said["resume"]})
        rows, resume = client.rows(140)
    assert places(rows)[0] == known(live_rows, 121, LAST)[0]
    last = rows[-1]["ledger_sequence"]
    rest = got(whole, table="token_transfers", follow=False, **{"from": resume}).to_pylist()
    assert places(rest) == known(live_rows, last + 1, LAST)


def test_ledgers_without_rows_are_told_and_gaps_belong_to_no_batch(served: Served) -> None:
    ((rows, said),) = told(
        served, table="ledgers", follow=False, where="transaction_count < 0", start_ledger=58_752_000
    )
    assert (rows.num_rows, said["first_ledger"], said["last_ledger"]) == (0, 58_752_000, 58_752_000)
    batches = told(served, table="ledgers", follow=False)
    assert [(one["first_ledger"], one["last_ledger"]) for _, one in batches] == [
        (53_312_000, 53_312_000),
        (58_752_000, 58_752_000),
    ]
    assert batches[1][1]["gaps"] == [[53_312_001, 58_751_999]]


def test_our_own_reader_of_processors_reads_it_too(whole: Served, live_rows: Any) -> None:
    table = FlightTable(whole.service.flight.address, "token_transfers", network=whole.service.tables.network)
    found = [row for one in table.read("earliest", LedgerRange(FIRST, LAST)) for row in one.rows.to_pylist()]
    assert places(found) == known(live_rows, FIRST, LAST)


def test_a_reader_that_leaves_is_forgotten_and_the_service_ends_in_time(serve_given: Start) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    before = len(served.service.tables._listeners)
    client = client_of(served)
    reader = client.do_get(flight.Ticket(b'{"table": "ledgers", "from": "latest"}'), options())
    deadline = time.monotonic() + 30
    while len(served.service.tables._listeners) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    reader.cancel()
    while len(served.service.tables._listeners) > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    again = client.do_get(flight.Ticket(b'{"table": "ledgers", "from": "latest"}'), options())
    ended = threading.Thread(target=lambda: [*again])
    ended.start()
    served.service.drain()
    ended.join(30)
    assert not ended.is_alive()
    client.close()


def test_the_same_credentials_and_permissions_as_elsewhere(
    serve: Serve, real_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    store = KeyStore(tmp_path / "state" / FILE)
    _, token = store.create("ann", ["reader"], created_by="test")
    store.close()
    served = serve(data=real_data, auth="api_key")
    ticket = flight.Ticket(b'{"table": "ledgers", "follow": false}')
    with client_of(served) as client:
        with pytest.raises(flight.FlightUnauthenticatedError, match="authentication required"):
            client.do_get(ticket, options()).read_all()
        assert client.do_get(ticket, options(token)).read_all().num_rows == 2
        with pytest.raises(flight.FlightUnauthorizedError, match="WriteLedgers"):
            put(client, token)


@pytest.mark.parametrize("key", ["decoded", "aggregate", "reader", "filter"])
def test_what_only_sessions_take_is_told_as_such(served: Served, key: str) -> None:
    command = {"table": "ledgers", "follow": False}
    assert got(served, **command, **{key: False}).num_rows == 2
    with pytest.raises(pa.ArrowInvalid, match=rf"{key} is of a processor's sessions \(8816\)"):
        got(served, **command, **{key: True})


@pytest.mark.parametrize(("first", "last"), [(53_311_000, 53_311_040), (58_752_001, 58_752_009)])
def test_ledgers_that_were_never_here_are_named(served: Served, first: int, last: int) -> None:
    command = {"table": "ledgers", "start_ledger": first, "end_ledger": last, "follow": False}
    ((batch, said),) = told(served, **command)
    assert (batch.num_rows, said["first_ledger"], said["gaps"]) == (0, 0, [[first, last]])


def test_the_path_of_older_clients_is_answered_with_where_it_is(served: Served) -> None:
    descriptor = flight.FlightDescriptor.for_path("contract", "data")
    with client_of(served) as client, pytest.raises(pa.ArrowInvalid, match="ask for contract_data"):
        client.get_flight_info(descriptor)


def test_what_is_put_is_refused(served: Served) -> None:
    with client_of(served) as client, pytest.raises(pa.ArrowNotImplementedError, match="has no DoPut"):
        put(client)


def put(client: flight.FlightClient, token: str = "") -> None:
    descriptor = flight.FlightDescriptor.for_path("ledgers")
    writer, _ = client.do_put(descriptor, pa.schema([("a", pa.int64())]), options(token))
    writer.close()
