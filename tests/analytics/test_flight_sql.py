"""Flight SQL: what ADBC and JDBC drivers find and read, and what a server that only reads refuses."""

from __future__ import annotations

import subprocess
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import pyarrow as pa
import pytest
from adbc_driver_manager import dbapi
from google.protobuf import any_pb2
from pyarrow import flight

from analytics.conftest import Serve, Served
from fakes.jars import jars
from stellarrow.core.version import __version__
from stellarrow.security.key_store import FILE, KeyStore

FIRST = 53_312_000
MOST_ROWS = 100_000


def connected(served: Served, token: str = "") -> Any:
    given = {"adbc.flight.sql.authorization_header": f"Bearer {token}"} if token else {}
    return adbc.connect(f"grpc://{served.service.flight.address}", db_kwargs=given, autocommit=True)


def got(served: Served, text: str, *params: Any) -> list[Any]:
    with connected(served) as connection, connection.cursor() as cursor:
        cursor.execute(text, params or None)
        return list(cursor.fetchall())


def test_a_driver_learns_what_the_server_is(served: Served) -> None:
    with connected(served) as connection:
        told = connection.adbc_get_info()
    assert (told["vendor_name"], told["vendor_version"]) == ("stellarrow", __version__)


def test_a_driver_finds_every_table_with_its_columns(served: Served) -> None:
    with connected(served) as connection:
        (catalog,) = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        schema = connection.adbc_get_table_schema("ledgers")
        types = connection.adbc_get_table_types()
    (found,) = catalog["catalog_db_schemas"]
    assert (catalog["catalog_name"], found["db_schema_name"], types) == ("stellarrow", "main", ["TABLE"])
    columns = {
        one["table_name"]: [column["column_name"] for column in one["table_columns"]]
        for one in found["db_schema_tables"]
    }
    assert set(columns) == set(served.service.tables.names)
    assert columns["ledgers"] == schema.names


@pytest.mark.parametrize(
    ("pattern", "found"), [("l%s", {"ledgers"}), ("led_ers", {"ledgers"}), ("led.ers", set())]
)
def test_tables_are_found_by_patterns(served: Served, pattern: str, found: set[str]) -> None:
    with connected(served) as connection:
        told = connection.adbc_get_objects(depth="tables", table_name_filter=pattern).read_all().to_pylist()
    schemas = [schema for catalog in told for schema in catalog["catalog_db_schemas"]]
    assert {one["table_name"] for schema in schemas for one in schema["db_schema_tables"]} == found


@pytest.mark.parametrize(
    "name", ["ledgers", "main.ledgers", "stellarrow.main.ledgers", 'stellarrow."main"."ledgers"']
)
def test_tables_go_by_their_whole_names_too(served: Served, name: str) -> None:
    assert got(served, f"select min(ledger_sequence) from {name}") == [(FIRST,)]


@pytest.mark.parametrize("value", [FIRST, str(FIRST), Decimal(FIRST)])
def test_a_prepared_query_takes_numbers_and_texts_for_its_parameters(served: Served, value: Any) -> None:
    text = "select ledger_sequence, ? from ledgers where ledger_sequence <= ?"
    assert got(served, text, "it's", value) == [(FIRST, "it's")]


def test_a_prepared_query_takes_times(served: Served) -> None:
    text = "select count(*) from ledgers where closed_at < ?"
    assert got(served, text, datetime(2015, 1, 1, tzinfo=UTC)) == [(0,)]


def test_columns_are_known_before_a_query_runs(served: Served) -> None:
    with connected(served) as connection, connection.cursor() as cursor:
        text = "select ledger_sequence, closed_at from ledgers where ledger_sequence > ?"
        assert cursor.adbc_execute_schema("select count(*) n from ledgers") == pa.schema([("n", pa.int64())])
        assert cursor.adbc_prepare(text).names == ["1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("drop table ledgers", "DROP is not allowed here"),
        ("select * from nothing", "there is no table 'nothing'"),
        ("select * from other.ledgers", "there is no table 'other.ledgers'"),
        ("select * from stellarrow.main.duckdb_settings", "there is no table"),
        ("select * from information_schema.tables", "there is no table"),
        ("select * from read_csv('/etc/passwd')", "is not allowed behind FROM"),
        ("select 1; select 2", "there are 2 statements"),
        (f"select * from range({MOST_ROWS + 1})", "more than 100,000 rows"),
    ],
)
def test_a_query_that_may_not_be_is_refused_in_a_sentence(served: Served, text: str, why: str) -> None:
    with pytest.raises(dbapi.Error, match=why):
        got(served, text)


def test_as_many_rows_as_there_may_be_are_answered(served: Served) -> None:
    assert len(got(served, f"select * from range({MOST_ROWS})")) == MOST_ROWS


def test_nothing_is_written(served: Served) -> None:
    with (
        connected(served) as connection,
        connection.cursor() as cursor,
        pytest.raises(dbapi.NotSupportedError, match="this server reads only"),
    ):
        cursor.adbc_ingest("ledgers", pa.table({"a": [1]}))


def test_several_rows_of_parameters_are_refused(served: Served) -> None:
    with (
        connected(served) as connection,
        connection.cursor() as cursor,
        pytest.raises(dbapi.Error, match="parameters have more than one row"),
    ):
        cursor.execute("select ?", pa.record_batch({"1": ["a", "b"]}))


def wrapped(name: str, value: bytes) -> bytes:
    return any_pb2.Any(
        type_url=f"type.googleapis.com/arrow.flight.protocol.sql.{name}", value=value
    ).SerializeToString()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (wrapped("CommandStatementQuery", b"\x0a\xff"), "damaged"),
        (wrapped("CommandPreparedStatementQuery", b"\x0a\x02{]"), "the handle is of no statement"),
        (
            wrapped("CommandPreparedStatementQuery", b"\x0a\x08" + b'{"a": 1}'),
            "the handle is of no statement",
        ),
        (wrapped("TicketStatementQuery", b""), "the handle is of no statement"),
        (wrapped("CommandStatementUpdate", b""), "this server reads only"),
        (wrapped("Command\x00Nobody", b""), "this server reads only"),
        (wrapped("ActionClosePreparedStatementRequest", b""), "is no question"),
        (b"\n\xff\xff\xff\xff", "no command of stellarrow"),
        (b"\n" * 100, "no command of stellarrow"),
    ],
)
def test_messages_that_are_damaged_or_of_something_else_are_refused(
    served: Served, command: bytes, why: str
) -> None:
    with flight.connect(f"grpc://{served.service.flight.address}") as client:
        with pytest.raises(pa.ArrowException, match=why):
            client.get_flight_info(flight.FlightDescriptor.for_command(command))
        with pytest.raises(pa.ArrowException, match=why):
            client.do_get(flight.Ticket(command)).read_all()


def test_who_may_read_may_give_parameters_and_nobody_else(
    serve: Serve, real_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    with closing(KeyStore(tmp_path / "state" / FILE)) as store:
        _, reader = store.create("ann", ["reader"], created_by="test")
    served = serve(data=real_data, auth="api_key")
    with connected(served, reader) as connection, connection.cursor() as cursor:
        cursor.execute("select ?", ("yes",))
        assert cursor.fetchall() == [("yes",)]
    with (
        pytest.raises(dbapi.Error, match="authentication required"),
        connected(served) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select ?", ("no",))


@pytest.mark.slow
def test_javas_driver_reads_the_same(served: Served) -> None:
    java = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", f"{jars('jdbc')}/*"]
    source = str(Path(__file__).with_name("TablesOverJdbc.java"))
    address = str(served.service.flight.address)
    done = subprocess.run(
        [*java, source, address, str(FIRST)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "product stellarrow",
        "table stellarrow.main.ledgers",
        "column base_fee",
        "column base_reserve",
        *(
            f"row {sequence}"
            for (sequence,) in got(served, "select ledger_sequence from ledgers order by 1 limit 2")
        ),
    ]
