"""Tables over Arrow Flight."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa

from .conftest import Service, Start

Expected = Callable[..., list[dict[str, Any]]]


def since(origin: str) -> dict[str, Any]:
    return {"from": origin}


@pytest.fixture
def done(start: Start) -> Service:
    """A processor whose one session has brought all forty ledgers."""
    service = start()
    service.finished(service.processor.start(100, 139).id)
    return service


def test_the_path_of_older_clients_is_contract_data_1_0_from_the_beginning_to_the_end(
    done: Service, expected: Expected
) -> None:
    table = done.tables.path("contract", "data")
    assert table.schema.equals(sa.schema("contract_data@1.0"), check_metadata=True)
    assert table.to_pylist() == expected("contract_data@1.0")


def test_every_kept_table_is_listed_and_answers_to_its_path(done: Service, expected: Expected) -> None:
    paths = [
        tuple(word.decode() for word in info.descriptor.path) for info in done.tables.client.list_flights()
    ]
    assert paths == [
        ("contract", "data"),
        ("contract_data", "1.0"),
        ("contract_data", "2.0"),
        ("contract_events", "1.0"),
        ("token_transfers", "1.0"),
        ("ledgers", "1.0"),
    ]
    for name, *version in paths[1:]:
        table = "@".join((name, *version))
        assert done.tables.path(name, *version).to_pylist() == expected(table), table
    assert done.tables.path("contract_data").to_pylist() == expected("contract_data@2.0")
    asked = flight.FlightDescriptor.for_path("ledgers")
    assert done.tables.client.get_schema(asked).schema == sa.schema("ledgers")


def test_batches_have_at_most_as_many_rows_as_the_session_wants_and_know_their_ledgers(done: Service) -> None:
    received = done.tables.read(table="contract_events")
    assert max(batch.num_rows for batch in received.batches) == 5
    for batch, answer in zip(received.batches, received.told, strict=True):
        ledgers = batch["ledger_sequence"].to_pylist()
        assert answer["first_ledger"] <= ledgers[0] <= ledgers[-1] <= answer["last_ledger"]
    assert received.told[0]["first_ledger"] == 100
    assert (received.told[-1]["last_ledger"], received.told[-1]["complete"]) == (139, True)


def test_small_ledgers_come_several_in_a_batch(done: Service) -> None:
    received = done.tables.read(table="ledgers")
    assert [batch.num_rows for batch in received.batches] == [5] * 8
    assert [answer["last_ledger"] for answer in received.told] == list(range(104, 140, 5))


@pytest.mark.parametrize("ranged", [False, True])
def test_a_reader_goes_on_at_the_row_after_any_batch(
    done: Service, expected: Expected, *, ranged: bool
) -> None:
    command: dict[str, Any] = {
        "table": "contract_events",
        **({"start_ledger": 100, "end_ledger": 110} if ranged else {}),
    }
    whole = done.tables.read(**command)
    assert whole.rows == expected("contract_events", 100, 110 if ranged else 139)
    sizes = [batch.num_rows for batch in whole.batches]
    assert any(not answer["complete"] for answer in whole.told)  # a ledger has more rows than a batch
    for at, answer in list(enumerate(whole.told))[:: 1 + len(sizes) // 25]:
        rest = done.tables.read(**command, **since(answer["resume"]))
        assert rest.rows == whole.rows[sum(sizes[: at + 1]) :]


def test_a_token_holds_after_the_server_has_started_anew(start: Start, expected: Expected) -> None:
    service = start()
    service.finished(service.processor.start(100, 139).id)
    begun = service.tables.read(table="contract_events", most=5)
    service.close()
    rest = start().tables.read(table="contract_events", **since(begun.resume))
    assert begun.rows + rest.rows == expected("contract_events")


def test_two_clients_both_see_every_row_while_the_session_runs(start: Start, expected: Expected) -> None:
    service = start()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(service.tables.path, "contract_data") for _ in range(2)]
        time.sleep(0.1)  # they wait for the first session
        service.processor.start(100, 139)
        for reader in readers:
            assert reader.result(20).to_pylist() == expected("contract_data")


def test_a_stream_ends_when_every_session_has_ended(start: Start, expected: Expected) -> None:
    service = start()
    service.processor.start(100, 109)
    service.processor.start(120, 129)
    rows = service.tables.path("ledgers").to_pylist()
    assert sorted(rows, key=lambda row: row["ledger_sequence"]) == expected("ledgers", 100, 109) + expected(
        "ledgers", 120, 129
    )


def test_readers_of_overlapping_sessions_are_told_which_session_a_batch_is_of(
    start: Start, expected: Expected
) -> None:
    service = start()
    ids = [service.processor.start(*ends).id for ends in ((100, 119), (110, 129))]
    for one in ids:
        service.finished(one)
    received = service.tables.read(table="ledgers")
    for one, ends in zip(ids, ((100, 119), (110, 129)), strict=True):
        rows = [
            row
            for batch, answer in zip(received.batches, received.told, strict=True)
            if answer["session"] == one
            for row in batch.to_pylist()
        ]
        assert rows == expected("ledgers", *ends)


def test_latest_begins_behind_what_is_there(done: Service) -> None:
    assert done.tables.read(table="ledgers", **since("latest")).rows == []


def test_a_bounded_command_needs_no_session_and_is_split_for_parallel_readers(
    start: Start, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.reads.range_stream._LEDGERS", 10)
    service = start()
    info = service.tables.info(table="contract_data", start_ledger=100, end_ledger=139)
    assert len(info.endpoints) == 4
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda one: service.tables.client.do_get(one.ticket).read_all(), info.endpoints)
        assert [row for part in parts for row in part.to_pylist()] == expected("contract_data")


def test_a_token_goes_on_in_a_range_that_is_split(
    start: Start, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.reads.range_stream._LEDGERS", 10)
    command: dict[str, Any] = {"table": "contract_events", "start_ledger": 100, "end_ledger": 139}
    tables = start().tables
    whole = tables.read(**command)
    assert whole.rows == expected("contract_events")
    sizes = [batch.num_rows for batch in whole.batches]
    for at in range(0, len(sizes), 1 + len(sizes) // 9):
        rest = tables.read(**command, **since(whole.told[at]["resume"]))
        assert rest.rows == whole.rows[sum(sizes[: at + 1]) :]


def test_filters_and_columns_are_pushed_down_to_ranges(start: Start, expected: Expected) -> None:
    service = start()
    contract = expected("contract_data")[0]["contract_id"]
    received = service.tables.read(
        table="contract_data",
        start_ledger=100,
        end_ledger=139,
        contract_ids=[contract],
        where="not deleted",
        columns=["ledger_sequence", "deleted"],
    )
    wanted = expected("contract_data", contract_ids=[contract], include_deleted=False)
    assert received.batches[0].schema.names == ["ledger_sequence", "deleted"]
    assert received.rows == [{name: row[name] for name in ("ledger_sequence", "deleted")} for row in wanted]
    assert 0 < len(received.rows) < len(expected("contract_data"))


def test_filters_on_sessions_choose_among_their_rows(done: Service, expected: Expected) -> None:
    contract = expected("contract_data")[0]["contract_id"]
    received = done.tables.read(table="contract_data", contract_ids=[contract], where="not deleted")
    assert received.rows == expected("contract_data", contract_ids=[contract], include_deleted=False)
    assert received.told[-1]["last_ledger"] == 139  # a reader learns of ledgers without rows


def test_decoded_columns_are_made_on_demand(start: Start) -> None:
    received = start().tables.read(table="contract_data", start_ledger=100, end_ledger=101, decoded=True)
    assert "val_json" in received.batches[0].schema.names


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_the_client_chooses_the_compression(done: Service, expected: Expected, codec: str) -> None:
    received = done.tables.read(table="contract_data", headers=[(b"compression", codec.encode())])
    assert received.rows == expected("contract_data")


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        ({"tabel": "ledgers"}, pa.ArrowInvalid, "the command has 'tabel': did you mean 'table'?"),
        ({"table": "contract_dat"}, pa.ArrowInvalid, "did you mean 'contract_data'?"),
        ({"table": 7}, pa.ArrowInvalid, "table is 7: it must be a text"),
        ({}, pa.ArrowInvalid, "names no table"),
        ({"table": "ledgers", "start_ledger": 9, "end_ledger": 3}, pa.ArrowInvalid, "ends before it starts"),
        ({"table": "ledgers", "end_ledger": 3}, pa.ArrowInvalid, "no start_ledger"),
        ({"table": "ledgers", "start_ledger": -1}, pa.ArrowInvalid, "it must be a ledger's number"),
        ({"table": "ledgers", "start_ledger": 5, "end_ledger": 6}, pa.ArrowKeyError, "there is no ledger 5"),
        ({"table": "ledgers", "columns": ["hash"]}, pa.ArrowInvalid, "no column 'hash'"),
        ({"table": "ledgers", "from": "yesterday"}, pa.ArrowInvalid, "earliest, latest, or the resume"),
        ({"table": "ttl"}, pa.ArrowInvalid, "sessions do not keep ttl@1.0: name start_ledger"),
        (
            {"table": "contract_data", "where": {"x": 1}},
            pa.ArrowInvalid,
            "where is {'x': 1}: it must be a text",
        ),
        ({"table": "contract_data", "where": "balanse > 1"}, pa.ArrowInvalid, "balanse"),
        ({"table": "contract_data", "where": "balanse > 1", "start_ledger": 100}, pa.ArrowInvalid, "balanse"),
        (
            {"table": "contract_data", "contract_ids": ["C"], "start_ledger": 100},
            pa.ArrowInvalid,
            "contract_ids",
        ),
        (
            {"table": "token_transfers", "asset_codes": ["USDC"]},
            pa.ArrowInvalid,
            "asset_codes cannot be told",
        ),
        ({"table": "contract_data", "decoded": True}, pa.ArrowInvalid, "sessions keep no decoded columns"),
        ({"table": "contract_data", "event_names": ["mint"]}, pa.ArrowInvalid, "has no event_name: leave"),
        ({"table": "contract_data", "contract_ids": ["C"]}, pa.ArrowInvalid, "contract_ids"),
        ({"table": "contract_data", "contract_ids": ["\ud800"]}, pa.ArrowInvalid, "half of a surrogate pair"),
        ({"table": "ledgers", "start_ledger": 10**20}, pa.ArrowInvalid, "it must be a ledger's number"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(
    start: Start, command: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        start().tables.read(**command)
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_another_protocols_command_is_unimplemented(start: Start) -> None:
    client = start().tables.client
    sql = b"\n\x39type.googleapis.com/arrow.flight.protocol.sql.CommandGetSqlInfo"
    with pytest.raises(NotImplementedError, match="no command of stellarrow's"):
        client.get_flight_info(flight.FlightDescriptor.for_command(sql))
    with pytest.raises(NotImplementedError):
        list(client.do_action(flight.Action("CreateSession", b"")))


def test_a_token_of_another_command_or_of_a_lost_session_is_refused(done: Service, start: Start) -> None:
    begun = done.tables.read(table="contract_events", most=1)
    with pytest.raises(pa.ArrowInvalid, match="of another command"):
        done.tables.read(table="ledgers", **since(begun.resume))
    done.close()
    other = start(state_dir=done.processor.options.state_dir.with_name("other"))
    with pytest.raises(pa.ArrowKeyError, match="no longer here: read from earliest"):
        other.tables.read(table="contract_events", **since(begun.resume))


@pytest.mark.parametrize(
    "place", ["[99, -5]", "[-5, 0]", "[1e999, 0]", "[99, Infinity]", f"[{10**30}, 0]", "7"]
)
def test_a_token_made_up_is_refused(done: Service, place: str) -> None:
    shape, held = _opened(done.tables.read(table="contract_data", most=1).resume)
    (session,) = held
    made_up = base64.urlsafe_b64encode(f'["{shape}", {{"{session}": {place}}}]'.encode()).decode()
    with pytest.raises(pa.ArrowInvalid, match="earliest, latest, or the resume"):
        done.tables.read(table="contract_data", **since(made_up))


def test_a_token_of_more_rows_than_a_ledger_has_is_refused_instead_of_losing_them(done: Service) -> None:
    shape, held = _opened(done.tables.read(table="contract_data", most=1).resume)
    (session,) = held
    made_up = base64.urlsafe_b64encode(json.dumps([shape, {session: [99, 10**6]}]).encode()).decode()
    with pytest.raises(pa.ArrowInvalid, match="of ledger 100, which has fewer"):
        done.tables.read(table="contract_data", **since(made_up))


def test_a_command_that_nests_too_deep_is_refused(done: Service) -> None:
    ticket = flight.Ticket(b'{"table":' + b"[" * 200_000)
    with pytest.raises(pa.ArrowInvalid, match="the command is no JSON"):
        done.tables.client.do_get(ticket).read_all()


def _opened(token: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def test_a_reader_that_leaves_holds_nothing_back(done: Service) -> None:
    (work,) = done.processor.works()
    assert work.spool is not None
    stream = done.tables.client.do_get(done.tables.info(table="contract_events").endpoints[0].ticket)
    stream.read_chunk()
    assert len(work.spool.readers) == 1
    stream.cancel()
    deadline = time.monotonic() + 60
    while work.spool.readers:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_draining_ends_streams_at_a_ledger_with_a_token(start: Start, expected: Expected) -> None:
    service = start()
    service.finished(service.processor.start(100, 139).id)
    stream = service.tables.client.do_get(service.tables.info(table="contract_events").endpoints[0].ticket)
    got = [stream.read_chunk()]
    threading.Timer(0.05, service.processor.drain).start()
    time.sleep(0.1)
    got += list(stream)
    lines = [chunk.app_metadata.to_pybytes() for chunk in got]
    assert b'"complete": true' in lines[-1]
    rows = [row for chunk in got for row in chunk.data.to_pylist()]
    assert rows == expected("contract_events")[: len(rows)]


@pytest.mark.parametrize("name", ["native", "XLM"])
def test_lumens_are_chosen_by_either_name_in_sessions_and_ranges(
    start: Start, expected: Expected, name: str
) -> None:
    service = start()
    lumens = expected("token_transfers", asset_codes=["native"])
    assert 0 < len(lumens) < len(expected("token_transfers"))
    ranged = service.tables.read(
        table="token_transfers", start_ledger=100, end_ledger=139, asset_codes=[name]
    )
    assert ranged.rows == lumens
    assert service.control("ConfigureFilters", asset_codes=[name], include_deleted=True).success
    session = service.control("StartProcessing", start_ledger=100, end_ledger=139).session_id
    service.finished(session)
    assert service.tables.read(table="token_transfers").rows == lumens
