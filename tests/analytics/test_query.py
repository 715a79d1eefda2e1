"""SQL over REST: what DuckDB says of the stored tables, as of one ledger, and nothing but the tables."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from analytics.conftest import Serve, Served

Oracle = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def served(serve: Serve, real_data: Path) -> Iterator[Served]:
    with closing(serve(data=real_data)) as made:
        yield made


def asked(served: Served, sql: str, **more: Any) -> Any:
    return served.client.post("/v1/query", json={"sql": sql, **more})


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*)::integer as n from token_transfers",
        "select event_type, count(*)::integer as n from token_transfers group by 1 order by 1",
        "select count(*)::integer as n from ledgers join transactions using (ledger_sequence)",
        "with a as (select * from token_transfers where amount_raw > 9) select count(*)::integer as n from a",
    ],
)
def test_an_answer_is_what_duckdb_says_of_the_stored_tables(served: Served, oracle: Oracle, sql: str) -> None:
    answer = asked(served, sql).json()
    assert [tuple(row.values()) for row in answer["rows"]] == oracle(sql)
    assert answer["as_of_ledger"] == served.get("/v1/status").json()["as_of_ledger"]


def test_every_format_has_the_same_rows(served: Served) -> None:
    sql = "select ledger_sequence, transaction_count from ledgers order by 1"
    rows = asked(served, sql).json()["rows"]
    told = served.client.post("/v1/query", json={"sql": sql}, params={"format": "arrow"})
    with pa.ipc.open_stream(io.BytesIO(told.content)) as stream:
        assert stream.read_all().to_pylist() == rows
    lines = served.client.post(
        "/v1/query", json={"sql": sql}, headers={"accept": "text/csv"}
    ).text.splitlines()
    assert len(lines) == len(rows) + 1


def test_values_are_given_apart_from_the_text(served: Served, oracle: Oracle) -> None:
    sql = "select count(*)::integer from token_transfers where event_type = "
    expected = oracle(f"{sql} 'fee'")[0][0]
    assert [*asked(served, f"{sql} ?", params=["fee"]).json()["rows"][0].values()] == [expected]
    assert [*asked(served, f"{sql} $kind", params={"kind": "fee"}).json()["rows"][0].values()] == [expected]
    assert [*asked(served, f"{sql} ?", params=["fee' or '1' = '1"]).json()["rows"][0].values()] == [0]


def test_rows_beyond_the_limit_are_left_out_and_that_is_told(served: Served) -> None:
    answer = asked(served, "select * from token_transfers", limit=7)
    assert (len(answer.json()["rows"]), answer.headers["x-truncated"]) == (7, "true")
    answer = asked(served, "select * from ledgers")
    assert answer.headers["x-truncated"] == "false"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "copy ledgers to '/tmp/out.csv'",
        "attach '/tmp/x.db'",
        "install httpfs",
        "set memory_limit = '100GB'",
        "select getenv('HOME')",
        "create table t as select 1",
        "drop table ledgers",
        "select 1; select 2",
        "select * from duckdb_settings()",
        "pragma database_list",
        "selec 1",
        "select nothing from nowhere",
    ],
)
def test_what_is_no_reading_of_tables_is_refused_in_a_sentence(served: Served, sql: str) -> None:
    answer = asked(served, sql)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "sql"),
        ({"sql": 1}, "sql"),
        ({"sql": "select 1", "limit": 0}, "limit"),
        ({"sql": "select 1", "limit": True}, "limit"),
        ({"sql": "select 1", "timeout": 1e9}, "timeout"),
        ({"sql": "select 1", "timeout": "1"}, "timeout"),
        ({"sql": "select 1", "params": "x"}, "params"),
        ({"sql": "select 1", "spl": 1}, "spl"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(served: Served, body: dict[str, Any], field: str) -> None:
    answer = served.client.post("/v1/query", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_query_that_takes_too_long_is_ended(served: Served) -> None:
    answer = asked(served, "select count(*) from range(1000000000000) a, range(1000000) b", timeout=0.5)
    assert (answer.status_code, answer.json()["title"]) == (504, "Gateway Timeout")
    assert asked(served, "select 1 as one").json()["rows"] == [{"one": 1}]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ('select \'x","admin":"yes\' as evil_hash', [{"evil_hash": 'x","admin":"yes'}]),
        ('select 1 as "a""b"', [{'a"b': 1}]),
        ("select [1, null, 3] as l, {'a': 1} as s", [{"l": [1, None, 3], "s": {"a": 1}}]),
        ("select ['a', null, 'b'] as l", [{"l": ["a", None, "b"]}]),
        ("select time '10:00' as t, date '2024-02-29' as d", [{"t": "10:00:00", "d": "2024-02-29"}]),
        ("select 9007199254740993 as n, 1.10::decimal(38, 2) as m", [{"n": "9007199254740993", "m": "1.10"}]),
        ("select 'nan'::double as f, 'a\\b' as t", [{"f": "nan", "t": "a\\b"}]),
    ],
)
def test_a_strangers_columns_are_what_they_are(served: Served, sql: str, rows: list[dict[str, Any]]) -> None:
    assert asked(served, sql).json()["rows"] == rows
    lines = served.client.post("/v1/query", json={"sql": sql}, params={"format": "ndjson"}).text.splitlines()
    assert [json.loads(line) for line in lines] == rows


@pytest.mark.parametrize(
    "sql",
    [
        "select interval 1 day as i",
        "select 'a'::enum('a') as e",
        "select union_value(a := 1) as u",
        "select 1 as a, 2 as a",
        f"select 1 as {'a' * 500}",
        "select timestamp '290000-01-01' as t",
        "select * from pg_settings, (with pg_settings as (select 1) select 2) x",
    ],
)
@pytest.mark.parametrize("format_name", ["json", "ndjson", "csv"])
def test_a_column_that_has_no_place_is_named(served: Served, sql: str, format_name: str) -> None:
    answer = served.client.post("/v1/query", json={"sql": sql}, params={"format": format_name})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_caller_that_leaves_keeps_nobody_waiting(served: Served) -> None:
    slow = {"sql": "select count(*) from range(1000000000000) a, range(1000000) b", "timeout": 10}
    for _ in range(10):
        with pytest.raises(httpx.ReadTimeout):
            served.client.post("/v1/query", json=slow, timeout=0.3)
    began = time.monotonic()
    assert asked(served, "select 1 as one").json()["rows"] == [{"one": 1}]
    assert time.monotonic() - began < 30  # two at a time to their ends, they would take 50 s


def test_queries_that_wait_take_nothing_from_other_calls(served: Served) -> None:
    slow = {"sql": "select count(*) from range(1000000000000) a, range(1000000) b", "timeout": 0.5}
    with ThreadPoolExecutor(40) as threads:
        waiting = [
            threads.submit(httpx.post, f"{served.url}/v1/query", json=slow, timeout=60) for _ in range(40)
        ]
        statuses = [served.get("/v1/status").status_code for _ in range(5)]
        answers = [one.result().status_code for one in waiting]
    assert statuses == [200] * 5
    assert set(answers) <= {504, 429}
    assert 429 in answers


def test_a_query_that_needs_too_much_is_told_apart_from_a_wrong_one(served: Served) -> None:
    large = asked(served, "select repeat('x', 100000) as t from range(1000)", limit=1000)
    assert (large.status_code, "ask for fewer" in large.json()["detail"]) == (422, True)
    wrong = asked(served, "select nothing from ledgers")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "sql")


def test_a_field_that_is_given_twice_is_refused(served: Served) -> None:
    body = b'{"sql": "select 1", "sql": "select 2"}'
    answer = served.client.post("/v1/query", content=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "sql")
    assert "more than once" in answer.json()["detail"]


@pytest.mark.parametrize("sql", ["explain select 1", "show tables"])
def test_what_is_no_select_is_told_what_may_be_asked(served: Served, sql: str) -> None:
    answer = asked(served, sql)
    assert (answer.status_code, "DESCRIBE or SUMMARIZE" in answer.json()["detail"]) == (400, True)
    assert asked(served, "describe select 1 as n").json()["rows"][0]["column_name"] == "n"


@pytest.mark.parametrize(
    ("before", "status", "named"),
    [
        (b"GET /v1/ledgers?where=", 414, b"request's line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nx: ", 431, b"headers"),
    ],
)
def test_a_request_that_is_too_long_is_told_how_long_it_may_be(
    served: Served, before: bytes, status: int, named: bytes
) -> None:
    address = served.service.rest.address
    with socket.create_connection((address.host, address.port), timeout=30) as connection:
        connection.sendall(before + b"a" * 2_000_000)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert named in answer
    assert b"16,384 bytes" in answer
