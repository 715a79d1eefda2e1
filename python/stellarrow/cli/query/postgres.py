"""The database that extract wrote to, asked in its own SQL, its answers in Arrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from stellarrow.cli.query.computed import Asked
from stellarrow.cli.query.departing import warn
from stellarrow.core.named_queries import Catalogue
from stellarrow.errors import ConfigError, SourceError, nearest
from stellarrow.extras import needing
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.files.lacking import warning_of
from stellarrow.sql.saved_queries import ready_made

with needing("PostgreSQL", "postgres"):
    import psycopg
    from psycopg.types.string import TextLoader

    from stellarrow.sinks.postgres import choices
    from stellarrow.sinks.postgres.reading import kept_tables
    from stellarrow.sinks.postgres.server import Server

_AT_ONCE: Final = 10_000  # rows
_I128: Final = pa.decimal128(38, 0)  # whose 16 bytes hold 39 digits as well
_USER_ERRORS: Final = ("0A", "22", "25", "42")  # classes of SQLSTATE: what the query says cannot be done
_TYPES: Final = {
    "bool": pa.bool_(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "bytea": pa.binary(),
    "text[]": pa.list_(pa.string()),
}
_NO_SELECT: Final = re.compile(
    r'near "(insert|update|delete|create|drop|alter|show|explain|set|call)"', re.IGNORECASE
)
_WORDS: Final = (
    "SELECT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('stellar', 'contract_data'))"
    " AND attnum > 0 UNION SELECT word FROM pg_get_keywords()"
)


_COLUMNS: Final = (
    "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


class PostgresDatabase:
    """A PostgreSQL that extract wrote to. Its tables go by their names there, with or without the schema."""

    def __init__(self, url: str, asked: Asked | None = None) -> None:
        self._asked = asked or Asked(Catalogue())
        self._server = Server(choices.split(url)[0])
        self._url = url
        self._kept = kept_tables(url)
        self._warned: set[str] = set()
        self._tables = [one.place for one in self._kept]
        if not self._tables:
            raise SourceError(f"{redacted_url(url)} holds no table: extract something into it first")

    def tables(self) -> list[str]:
        """Return every table's name."""
        return self._tables

    def words(self) -> list[str]:
        """Return what a query may be made of: names of tables and columns, keywords."""
        with self._server.translate_errors("ask"), self._server.connect() as connection:
            return [*self._tables, *(word for (word,) in connection.execute(_WORDS).fetchall())]

    def schema(self, table: str) -> list[tuple[str, str]]:
        """Return the columns of a table, as `tables` names it, with PostgreSQL's type of each."""
        if table not in self._tables:
            remedy = nearest(table, self._tables, f"there are {', '.join(self._tables)}")
            raise ConfigError(f"there is no table {table!r}: {remedy}")
        with self._server.translate_errors("ask"), self._server.connect() as connection:
            return connection.execute(_COLUMNS, [table]).fetchall()

    def rows(self, query: str) -> pa.RecordBatchReader:
        """Answer a query, or what @NAME names: a ready-made question, or a named query."""
        if (named := self._asked.named(query)) is not None:
            known = {one.rpartition(".")[2]: one for one in self._tables}
            query = self._asked.statement(named, known)
        else:
            query = ready_made(query, dialect="postgres")
        self._warn(query)
        batches = self._answer(query)
        return pa.RecordBatchReader.from_batches(next(batches), batches)

    def _warn(self, query: str) -> None:
        """Tell once of each table that the query names, which of its ledgers are not here."""
        reach = max((one.ledgers.last for one in self._kept if one.ledgers), default=0)
        for one in self._kept:
            name = re.escape(one.place.rpartition(".")[2])
            if one.place not in self._warned and re.search(rf"\b{name}\b", query, re.IGNORECASE):
                self._warned.add(one.place)
                if warning_of(one.name, one.ledgers, None, reach=reach):
                    # Who writes may have been between two tables then: what others had, it has by now.
                    by_now = {held.place: held.ledgers for held in kept_tables(self._url)}
                    warn(warning_of(one.name, by_now.get(one.place, one.ledgers), None, reach=reach))

    def _answer(self, query: str) -> Iterator[Any]:
        """Yield the answer's schema, then its rows."""
        with (
            self._server.translate_errors("ask"),
            self._server.connect() as connection,
            connection.transaction(),
        ):
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute("SET LOCAL timezone = 'UTC'")
            connection.execute("SET LOCAL search_path = stellar, contract_data, public")
            for kind in ("json", "jsonb"):
                connection.adapters.register_loader(kind, TextLoader)
            try:
                with connection.cursor("stellarrow_answer") as cursor:
                    cursor.execute(query.strip().rstrip(";").encode())
                    columns = [_column(one, connection) for one in cursor.description or ()]
                    yield pa.schema([field for field, _ in columns])
                    while found := cursor.fetchmany(_AT_ONCE):
                        yield _batch(found, columns)
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] in _USER_ERRORS:
                    raise _refused(error) from error
                raise


_Column = tuple[pa.Field, Callable[[Sequence[Any]], pa.Array]]


def _column(one: psycopg.Column, connection: psycopg.Connection) -> _Column:
    kind = _kind(one, connection)
    making = _integers if kind is _I128 else _texts if kind == pa.string() else _plain(kind)
    return pa.field(one.name, kind), making


def _kind(one: psycopg.Column, connection: psycopg.Connection) -> pa.DataType:
    """Return a column's type; numbers of no declared size have no decimal that surely holds them: text."""
    known = connection.adapters.types.get(one.type_code)
    name = known.name if known else ""
    if known and one.type_code == known.array_oid:
        return _TYPES.get(f"{name}[]", pa.string())
    if name == "numeric" and one.precision is not None and one.scale is not None:
        if (one.precision, one.scale) in ((39, 0), (38, 0)):
            return _I128
        return pa.decimal128(one.precision, one.scale) if one.precision < 39 else pa.string()
    return _TYPES.get(name, pa.string())


def _batch(rows: Sequence[Sequence[Any]], columns: Sequence[_Column]) -> pa.RecordBatch:
    values = zip(*rows, strict=True)
    made = [making(one) for (_, making), one in zip(columns, values, strict=True)]
    return pa.RecordBatch.from_arrays(made, schema=pa.schema([field for field, _ in columns]))


def _plain(kind: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pa.array(values, kind)


def _integers(values: Sequence[Decimal | None]) -> pa.Array:
    """Keep every i128 whole, as DuckDB hands them over: 39 digits in a decimal of 38."""
    held = b"".join(int(one or 0).to_bytes(16, "little", signed=True) for one in values)
    valid = pa.array([one is not None for one in values]).buffers()[1]
    return pa.Array.from_buffers(_I128, len(values), [valid, pa.py_buffer(held)])


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if one is None else _text(one) for one in values], pa.string())


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _refused(error: psycopg.Error) -> ConfigError:
    said = error.diag
    hint = said.message_hint or ""
    if _NO_SELECT.search(str(error)):
        hint = "the query returns no rows: write a select"
    return ConfigError(f"{said.message_primary or error}. {hint}".strip())
