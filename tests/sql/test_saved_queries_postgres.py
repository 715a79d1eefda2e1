"""The ready-made queries, and others, asked of PostgreSQL: the answers that files give."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from fakes.postgres import url_of
from sinks.postgres.made import balance, batch
from stellarrow.cli import invoke
from stellarrow.core.framing import frame
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.embedded import PrivateServer
from stellarrow.sql.saved_queries import queries

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
TABLES = ["token_transfers", "transactions", "contract_data", "contract_events"]
TOP, BOTTOM = 2**127 - 1, -(2**127)
Say = Callable[..., tuple[int, str, str]]


def new_database(postgres: PrivateServer) -> str:
    name = f"asked_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    parts = psycopg.conninfo.conninfo_to_dict(url_of(postgres.url, dbname=name))
    return "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**parts)


@pytest.fixture(scope="module")
def both(postgres: PrivateServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The ledgers of the package in files and in a database."""
    folder, url = tmp_path_factory.mktemp("files"), new_database(postgres)
    sa.run(LEDGERS, tables=TABLES, sinks=[f"parquet:{folder}", url], network="pubnet")
    return folder, url


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> tuple[int, str, str]:
        code = invoke(["sql", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("name", [one.name for one in queries()])
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_ready_made_query_answers_as_over_files(
    say: Say, both: tuple[Path, str], name: str, form: str
) -> None:
    files, database = (say(f"@{name}", "--data", place, form) for place in both)
    assert files == database
    assert (files[0], files[2]) == (0, "")
    assert len(files[1].splitlines()) > (form == "--csv")  # a row at least


@pytest.mark.parametrize(
    "words",
    [
        ["@volume_by_asset"],
        ["@volume_by_asset", "--window", "7d", "--filter", "successful_payments"],
        ["@volume_by_asset", "--window", "5m", "--filter", "large_amounts"],
        ["@transactions_by_hour"],
        ["@by_event", "--window", "24h"],
        ["@assets"],
        ["@in_all"],
        ["@by_type"],
    ],
)
def test_an_aggregate_answers_as_over_files(
    say: Say, both: tuple[Path, str], tmp_path: Path, words: list[str]
) -> None:
    config = tmp_path / "saved.toml"
    config.write_text(
        """
[queries.by_event]
table = "token_transfers"
kind = "aggregate"
expression = "count(*) filter (where successful) as ok, max(closed_at) as last by event_type"
[queries.assets]
table = "token_transfers"
kind = "aggregate"
expression = "count(distinct asset) as assets by event_type"
[queries.in_all]
table = "token_transfers"
kind = "aggregate"
expression = "sum(amount_raw) as volume, min(amount_raw) as least, sum(event_index) as places"
[queries.by_type]
table = "contract_data"
kind = "aggregate"
expression = "count(*), max(balance) as most by contract_key_type"
"""
    )
    files, database = (say(*words, "--data", place, "--config", config, "--json") for place in both)
    assert files == database
    assert (files[0], files[2]) == (0, "")
    assert files[1]


@pytest.mark.parametrize("name", ["successful_payments", "large_amounts"])
def test_a_filter_keeps_as_many_rows_as_over_files(say: Say, both: tuple[Path, str], name: str) -> None:
    files, database = (say(f"@{name}", "--data", place, "--json") for place in both)
    assert len(files[1].splitlines()) == len(database[1].splitlines()) > 0


def test_what_a_database_cannot_answer_by_name_is_a_sentence(say: Say, both: tuple[Path, str]) -> None:
    for words, told in (
        (["@volume_by_aset"], "did you mean volume_by_asset?"),
        (["select 1", "--window", "1h"], "--window and --filter are for @NAME"),
        (["@large_amounts", "--window", "1h"], "leave --window out"),
    ):
        code, _, error = say(*words, "--data", both[1])
        assert (code, told in error) == (2, True), error


@pytest.fixture(scope="module")
def held(postgres: PrivateServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Balances of every size in files and in a database."""
    folder, url = tmp_path_factory.mktemp("balances"), new_database(postgres)
    amounts = [TOP, TOP - 1, BOTTOM, 10**38, 10**38 - 1, 7, 0, -1]
    rows = [balance(at, f"{at}", amount) for at, amount in enumerate(amounts, 1)]
    files = FileSink(folder, ["contract_data"], format=format_of("parquet"), network="pubnet")
    for sink in (files, PostgresSink(url, ["contract_data"], network="pubnet")):
        with closing(sink):
            sink.write(batch(1, 9, rows))
            sink.commit()
    return folder, url


def test_balances_of_39_digits_are_whole_in_a_database_as_in_files(say: Say, held: tuple[Path, str]) -> None:
    with psycopg.connect(held[1], autocommit=True) as connection:
        connection.execute("DELETE FROM stellar.assets")
    database = say("@top-holders", "--data", held[1], "--json")[1]
    assert [int(json.loads(line)["balance"]) for line in database.splitlines()] == [
        TOP, TOP - 1, 10**38, 10**38 - 1, 7,
    ]  # fmt: skip
    query = "select balance, balance_text from {} order by ledger_sequence"
    told = [
        say(query.format(table), "--data", place, "--csv")
        for table, place in zip(("contract_data", "entries"), held, strict=True)
    ]
    assert told[0] == told[1]
    assert f"{BOTTOM},{BOTTOM}\n" in told[1][1]


def test_answers_are_files_that_others_read(say: Say, held: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    query = "select ledger_sequence, closed_at, balance, balance_text, deleted, null as nothing from entries"
    assert say(query, "--data", held[1], "--out", out) == (0, f"8 rows in {out}\n", "")
    found = pq.read_table(out)
    assert [str(one) for one in found.schema.types] == [
        "int64", "timestamp[us, tz=UTC]", "decimal128(38, 0)", "string", "bool", "string",
    ]  # fmt: skip
    by_text = dict(zip(*(found[name].to_pylist() for name in ("balance_text", "balance")), strict=True))
    assert by_text == {
        str(one): Decimal(one) if abs(one) < 10**38 else None
        for one in (TOP, TOP - 1, BOTTOM, 10**38, 10**38 - 1, 7, 0, -1)
    }
    code, _, err = say("select balance from entries", "--data", held[1], "--out", out)
    assert (code, "39 digits" in err) == (2, True)


def test_numbers_of_no_declared_size_are_texts_with_every_digit(say: Say, held: tuple[Path, str]) -> None:
    query = "select sum(balance) s, avg(ledger_sequence)::numeric(10, 2) a, sum(balance) / 3 t from entries"
    told = say(query, "--data", held[1], "--json")[1]
    total = sum((TOP, TOP - 1, BOTTOM, 10**38, 10**38 - 1, 7, 0, -1))
    found = json.loads(told)
    assert (found["s"], found["a"]) == (str(total), "4.50")
    assert found["t"].startswith(str(total // 3))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select nothing from entries", 'column "nothing" does not exist'),
        ("select 1 / 0", "division by zero"),
        ("selekt 1", "syntax error"),
        ("delete from entries", "the query returns no rows: write a select"),
        ("select stellar.forget_ledgers('contract_data.entries', 1, 9)", "read-only transaction"),
        ("@top-holder", "did you mean top-holders?"),
        ("select 1 from nowhere", 'relation "nowhere" does not exist'),
    ],
)
def test_a_mistake_is_a_sentence(say: Say, held: tuple[Path, str], query: str, said: str) -> None:
    code, out, err = say(query, "--data", held[1])
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err


def test_a_database_that_was_not_written_to_is_told(say: Say, postgres: PrivateServer) -> None:
    code, _, err = say("select 1", "--data", new_database(postgres))
    assert (code, "holds no table: extract something into it first" in err) == (1, True)
    code, _, err = say("select 1", "--data", "postgres://me:secret@127.0.0.1:1/x")
    assert (code, "secret" in err, "Traceback" in err) == (1, False, False)


def test_a_long_answer_comes_in_batches(held: tuple[Path, str]) -> None:
    from stellarrow.cli.query.postgres import PostgresDatabase  # noqa: PLC0415  an extra

    database = PostgresDatabase(held[1])
    rows = database.rows(
        "select n, array['a', null] as l, '{\"a\": 1}'::json as j from generate_series(1, 25000) n;"
    )
    assert [batch.num_rows for batch in rows] == [10_000, 10_000, 5_000]
    (one,) = database.rows(
        "select array['a', null] as l, '{\"a\": 1}'::json as j, '\\x00ff'::bytea as b, 1.5::float8 f"
    )
    assert one.to_pylist() == [{"l": ["a", None], "j": '{"a": 1}', "b": b"\x00\xff", "f": 1.5}]
    assert one.schema.field("l").type == pa.list_(pa.string())
    assert {"contract_data.entries", "balance_holder", "select"} <= set(database.words())


def test_a_table_that_was_written_after_the_others_lacks_nothing(
    postgres: PrivateServer, ledgers: tuple[bytes, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = new_database(postgres)
    (tmp_path / "all.xdr").write_bytes(frame(ledgers, "record-marked"))
    source, network = f"{tmp_path}/all.xdr", "synthetic"
    sa.run(source, tables=["ttl"], sinks=[url], ledgers="100:119", network=network)
    sa.run(source, tables=["ledgers"], sinks=[url], ledgers="100:109", network=network)
    from stellarrow.cli.query.postgres import PostgresDatabase  # noqa: PLC0415  an extra

    database = PostgresDatabase(url)
    sa.run(source, tables=["ledgers"], sinks=[url], ledgers="110:119", network=network)
    assert database.rows("select count(*) as n from ledgers").read_all().to_pylist() == [{"n": 20}]
    assert capsys.readouterr().err == ""


def test_what_a_table_lacks_is_told_where_it_is_asked(
    say: Say, postgres: PrivateServer, ledgers: tuple[bytes, ...], tmp_path: Path
) -> None:
    url = new_database(postgres)
    (tmp_path / "all.xdr").write_bytes(frame(ledgers, "record-marked"))
    for part, tables in (
        ("100:119", ["ledgers", "ttl"]),
        ("130:139", ["ledgers", "ttl"]),
        ("120:129", ["ttl"]),
    ):
        sa.run(f"{tmp_path}/all.xdr", tables=tables, sinks=[url], ledgers=part, network="synthetic")
    code, rows, told = say("select count(*) from stellar.ledgers", "--data", url, "--csv")
    assert (code, rows.split()) == (0, ["count", "30"])
    assert told.startswith("warning: ledgers 120 to 129 of ledgers are not here: ")
    assert say("select count(*) from ttl", "--data", url, "--csv")[2] == ""
