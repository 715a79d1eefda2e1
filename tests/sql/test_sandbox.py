"""SQL of strangers: what it answers, and what it cannot do, however it is asked."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from stellarrow.errors import ConfigError, SourceError, Unavailable
from stellarrow.sql.sandbox import Sandbox, SandboxLimits, SandboxTable
from stellarrow.sql.sandbox_rules import check

ROWS = pa.table({"a": pa.array(range(50_000)), "s": [f"text {at % 7}" for at in range(50_000)]})
OTHER = pa.table({"a": [1, 2, 3], "when": pa.array([0, 1, 2], pa.timestamp("us", "UTC"))})
LIMITS = SandboxLimits(seconds=60, memory_mb=256)


def table(rows: pa.Table, *, size: int = 1_000) -> SandboxTable:
    return SandboxTable(rows.schema, lambda: iter(rows.to_batches(size)))


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    made = Sandbox({"t": table(ROWS), "other": table(OTHER)}, LIMITS, ready=2)
    yield made
    made.close()


def read(box: Sandbox, text: str, params: Any = (), **limits: Any) -> pa.Table:
    chosen = SandboxLimits(**{"seconds": 60, "memory_mb": 256, **limits})
    with box.answer(text, params, chosen) as answer:
        return pa.Table.from_batches(answer, answer.schema)


@pytest.mark.parametrize(
    "text",
    [
        "select count(*), sum(a), min(s) from t",
        "select s, count(*) as n from t group by all order by s",
        "select x.a from t x join t y using (a) where y.a % 9999 = 0 order by a",
        "with few as (from t where a < 10) select f.a, o.when from few f join other o using (a) order by 1",
        "select a, row_number() over (order by a desc) as place from t qualify place <= 3",
        "select unnest([1, 2, 3]) as n",
        "select * from range(5) r(n)",
        "select list_transform([1, 2], lambda n : n + 1) as made",
        "describe t",
        "select '2024-07-01 12:00:00+00'::timestamptz as moment, 1::decimal(38, 0) / 3 as third",
        "values (1, 'x'), (2, null)",
        "select (select max(a) from t) as most",
    ],
)
def test_answers_are_duckdbs(box: Sandbox, text: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("t", ROWS)
        connection.register("other", OTHER)
        expected = connection.sql(text).to_arrow_table()
    found = read(box, text)
    assert found.schema.names == expected.schema.names
    assert found.to_pylist() == expected.to_pylist()


def test_numbers_that_arrow_has_no_type_for_are_text(box: Sandbox) -> None:
    found = read(box, f"select {10**60}::bignum as large, {2**127 - 1}::hugeint as whole")
    assert found["large"].to_pylist() == [str(10**60)]


def test_parameters_are_values_and_never_sql(box: Sandbox) -> None:
    evil = "x' or 1 = 1; drop table t; --"
    assert read(box, "select count(*) as n from t where s = ?", [evil]).to_pylist() == [{"n": 0}]
    found = read(box, "select count(*) as n from t where s = $s and a < $a", {"s": "text 1", "a": 10})
    assert found.to_pylist() == [{"n": 2}]
    with pytest.raises(ConfigError, match="a parameter cannot be sent"):
        box.answer("select ?", [object()])


def test_rows_beyond_the_bound_are_left_out_and_that_is_told(box: Sandbox) -> None:
    for text, rows, truncated in (
        ("from t", 20_000, True),
        ("from t", 50_000, False),
        ("from t", 49_999, True),
        ("select * from range(100000000000)", 20_000, True),
        ("select a from t where a < 0", 10, False),
    ):
        with box.answer(text, limits=SandboxLimits(seconds=60, memory_mb=256, rows=rows)) as answer:
            found = sum(batch.num_rows for batch in answer)
            assert (found, answer.truncated) == (0 if "< 0" in text else rows, truncated), text


def test_rows_come_before_the_last_is_computed() -> None:
    taken = []

    def slowly() -> Iterator[pa.RecordBatch]:
        for at in range(1_000):
            taken.append(at)
            yield pa.record_batch({"n": pa.array([at] * 10_000)})

    streaming = Sandbox({"slow": SandboxTable(pa.schema([("n", pa.int64())]), slowly)}, LIMITS)
    try:
        with streaming.answer("from slow", limits=LIMITS) as answer:
            assert next(iter(answer)).num_rows
            assert len(taken) < 1_000
    finally:
        streaming.close()


CHECKED = [
    ("select * from read_csv('/etc/passwd')", "read_csv() is not allowed"),
    ("from '/etc/passwd'", "there is no table '/etc/passwd'"),
    ("from 'https://example.org/x.parquet'", "there is no table"),
    ("from glob('/*')", "glob() is not allowed"),
    ("from read_text('/etc/passwd')", "read_text() is not allowed"),
    ("from read_blob('/proc/self/environ')", "read_blob() is not allowed"),
    ("from read_parquet('s3://bucket/x')", "read_parquet() is not allowed"),
    ("from sniff_csv('/etc/passwd')", "sniff_csv() is not allowed"),
    ("from parquet_metadata('/x')", "parquet_metadata() is not allowed"),
    ("select (select content from read_text('/etc/passwd'))", "read_text() is not allowed"),
    ("with x as (from read_text('/etc/passwd')) from x", "read_text() is not allowed"),
    ("select 1 where exists (from read_text('/etc/passwd'))", "read_text() is not allowed"),
    ("from query('select 1')", "query() is not allowed"),
    ("from query_table('t')", "query_table() is not allowed"),
    ("from duckdb_settings()", "duckdb_settings() is not allowed"),
    ("from duckdb_secrets()", "duckdb_secrets() is not allowed"),
    ("from pragma_database_size()", "pragma_database_size() is not allowed"),
    ("from enable_logging()", "enable_logging() is not allowed"),
    ("from force_checkpoint()", "force_checkpoint() is not allowed"),
    ("from json_execute_serialized_sql('x')", "json_execute_serialized_sql() is not allowed"),
    ("from information_schema.tables", "there is no table 'information_schema.tables'"),
    ("from pg_catalog.pg_settings", "there is no table 'pg_catalog.pg_settings'"),
    ("from duckdb_tables", "there is no table 'duckdb_tables'"),
    ("from sqlite_master", "there is no table"),
    ("from tt", "did you mean 't'?"),
    ("from othr", "did you mean 'other'?"),
    ("select getenv('HOME')", "getenv() is not allowed"),
    ("select main.getenv('HOME')", "getenv() is not allowed"),
    ("select GetEnv('HOME')", "getenv() is not allowed"),
    ("select current_setting('memory_limit')", "current_setting() is not allowed"),
    ("select sleep_ms(100000)", "sleep_ms() is not allowed"),
    ("select write_log('x')", "write_log() is not allowed"),
    ("install httpfs", "INSTALL is not allowed here: send one SELECT"),
    ("/* a */ -- b\n  install httpfs", "INSTALL is not allowed here: send one SELECT"),
    ("force install httpfs", "FORCE is not allowed here"),
    ("load httpfs", "LOAD is not allowed"),
    ("attach ':memory:' as m", "ATTACH is not allowed"),
    ("copy t to '/tmp/stolen.csv'", "COPY is not allowed"),
    ("copy (select 1) to '/dev/stdout'", "COPY is not allowed"),
    ("set memory_limit = '100GB'", "SET is not allowed"),
    ("reset memory_limit", "RESET is not allowed here"),
    ("pragma memory_limit = '100GB'", "PRAGMA is not allowed here"),
    ("pragma version", "PRAGMA is not allowed"),
    ("call pragma_version()", "CALL is not allowed"),
    ("create table x (a int)", "CREATE is not allowed"),
    ("create secret (type s3)", "CREATE is not allowed here"),
    ("create macro m() as 1", "CREATE is not allowed"),
    ("drop view t", "DROP is not allowed"),
    ("insert into t values (1, 'x')", "INSERT is not allowed"),
    ("update t set a = 1", "UPDATE is not allowed"),
    ("delete from t", "DELETE is not allowed"),
    ("export database '/tmp/x'", "EXPORT is not allowed"),
    ("import database '/tmp/x'", "IMPORT is not allowed here"),
    ("checkpoint", "CHECKPOINT is not allowed here"),
    ("prepare p as select 1", "PREPARE is not allowed"),
    ("begin", "BEGIN is not allowed"),
    ("use memory", "USE is not allowed here"),
    ("explain analyze select 1", "EXPLAIN is not allowed"),
    ("show databases", "SHOW is not allowed"),
    ("select 1; drop view t", "there are 2 statements"),
    ("", "there are 0 statements"),
    ("-- nothing", "there are 0 statements"),
    ("selec 1", "syntax error"),
    ("select '", "unterminated"),
    ("select " + "(" * 20_000 + "1" + ")" * 20_000, "depth"),
    ("select " + "1 + " * 20_000 + "1", "depth"),
    ("select " + "not " * 20_000 + "true", "depth"),
    ("select " + "(select " * 2_000 + "1" + ")" * 2_000, "depth"),
]


@pytest.mark.parametrize(("text", "told"), CHECKED, ids=[text[:40] for text, _ in CHECKED])
def test_what_is_more_than_a_select_over_tables_is_refused(text: str, told: str) -> None:
    with duckdb.connect(config={"max_expression_depth": 250}) as connection:
        with pytest.raises(ConfigError) as error:
            check(connection, text, ["t", "other"])
        assert told in str(error.value)


@pytest.mark.parametrize(("text", "told"), CHECKED[:3] + CHECKED[28:30] + CHECKED[35:39])
def test_it_is_refused_in_the_process_too(box: Sandbox, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(box, text)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "select repeat('x', 2000000000) as s",
        "select string_agg(repeat('x', 100000), '') as s from range(100000)",
        "select array_agg(a) over () as held from t",
        "select list(i) as held from range(1000000000) r(i)",
        "select range(2000000000) as held",
        "with recursive r as (select 'x' as s union all select s || s from r) select max(length(s)) from r",
        "select count(*) from (select distinct a.a, b.a, c.a from t a, t b, t c)",
    ],
)
def test_memory_is_bounded_whatever_the_query_does(box: Sandbox, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(box, text, seconds=200)
    assert "the query needs more than 256 MB of memory" in str(error.value), error.value


def test_the_process_never_grows_beyond_its_bound(box: Sandbox) -> None:
    peak, over = [0], threading.Event()

    def look(pid: int) -> None:
        while not over.wait(0.005):
            with suppress(OSError, IndexError):
                status = Path(f"/proc/{pid}/status").read_text()
                peak.append(int(status.partition("VmHWM:")[2].split()[0]))

    with pytest.raises(ConfigError):  # noqa: PT012  who looks must be there while it runs
        answer = None
        pid = box._waiting[0]._process.pid
        looking = threading.Thread(target=look, args=(pid,))
        looking.start()
        try:
            answer = box.answer("select array_agg(a) over () as held from t", limits=LIMITS)
            sum(batch.num_rows for batch in answer)
        finally:
            over.set()
            looking.join()
            if answer:
                answer.close()
    assert 0 < max(peak) < (256 + 512 + 300) << 10  # kB; DuckDB alone would have taken 5 GB


@pytest.mark.parametrize(
    "text",
    [
        "select count(*) from range(1000000) a, range(1000000) b",
        "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
        "select lpad('x', 2000000000, 'y') as s",
        "select sum(1) from generate_series(1, 100000000000)",
    ],
)
def test_a_query_ends_at_its_deadline(box: Sandbox, text: str) -> None:
    with pytest.raises(ConfigError, match=r"took longer than 1 s|needs more than"):
        read(box, text, seconds=1)


def test_the_answer_is_bounded_in_bytes(box: Sandbox) -> None:
    with pytest.raises(ConfigError, match="the answer has more than 1 MB"):
        read(box, "select repeat('x', 1000) as s from t", size_bytes=1 << 20)


def test_a_text_that_is_too_long_is_not_even_sent(box: Sandbox) -> None:
    with pytest.raises(ConfigError, match="200,000 characters, at most 100,000"):
        box.answer(" " * 200_000)


def test_what_is_no_text_is_refused_with_its_place(box: Sandbox) -> None:
    with pytest.raises(ConfigError, match="at character 9, which is no text"):
        box.answer("select '\ud800'")


def test_rows_that_cannot_be_read_are_an_error_and_not_the_end() -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches(1_000)
        raise SourceError("ledger 7 cannot be read")

    box = Sandbox({"t": SandboxTable(ROWS.schema, broken)}, LIMITS)
    try:
        for text in ("select count(*) from t", "from t"):
            with pytest.raises(SourceError, match="ledger 7 cannot be read"):
                read(box, text)
    finally:
        box.close()


def test_a_process_that_dies_between_two_batches_is_an_error(box: Sandbox) -> None:
    with box.answer("from range(10000000)", limits=SandboxLimits(seconds=60, rows=10**9)) as answer:
        batches = iter(answer)
        next(batches)
        answer._worker.kill()
        with pytest.raises(ConfigError):
            for _ in batches:
                pass


def test_nothing_of_a_query_is_left_once_it_is_closed(box: Sandbox) -> None:
    threads = threading.active_count()
    for _ in range(3):
        answer = box.answer("from range(100000000)", limits=SandboxLimits(seconds=60, rows=10**9))
        next(iter(answer))
        pid = answer._worker._process.pid
        answer.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    deadline = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads


def test_a_query_that_is_left_while_its_rows_are_sent_for_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    pipe = os.pipe

    def noted() -> tuple[int, int]:
        both = pipe()
        if threading.current_thread().name == "stellarrow-sandbox":
            made.extend(both)
        return both

    def gone(*_: Any) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "pipe", noted)
    monkeypatch.setattr(socket, "send_fds", gone)
    box = Sandbox({"t": table(ROWS)}, LIMITS, ready=0)
    with closing(box), box.answer("from t") as answer:
        answer._serving.join(60)
        assert not answer._serving.is_alive()
        monkeypatch.undo()
        assert len(made) == 2
        for one in made:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(one)


def test_the_process_has_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "secret")
    box = Sandbox({"t": table(ROWS)}, LIMITS)
    try:
        pid = box._waiting[0]._process.pid
        deadline = time.monotonic() + 30
        while b"PYTHONPATH" not in (held := Path(f"/proc/{pid}/environ").read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert b"secret" not in held
        assert read(box, "select count(*) as n from t").to_pylist() == [{"n": 50_000}]
    finally:
        box.close()


def test_many_may_ask_at_once(box: Sandbox) -> None:
    with ThreadPoolExecutor(6) as pool:
        asking = [
            pool.submit(read, box, "select count(*) as n from t where a < ?", [at * 1_000])
            for at in range(12)
        ]
        assert [one.result(60)["n"][0].as_py() for one in asking] == [at * 1_000 for at in range(12)]


def test_a_sandbox_that_is_closed_answers_nothing() -> None:
    box = Sandbox({"t": table(ROWS)}, LIMITS)
    box.close()
    with pytest.raises(Unavailable):
        box.answer("select 1")
