"""Records as rows of PostgreSQL: one statement compares and writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from stellarrow.errors import ConfigError, SinkError, SinkUnavailable
from stellarrow.extras import needing
from stellarrow.net.redaction import redacted_url
from stellarrow.records.record import Record

with needing("PostgreSQL", "postgres"):
    import psycopg
    from psycopg import conninfo, errors

Result = TypeVar("Result")

# Who shares records must notice soon that the server is away; what the URL says wins.
_PATIENCE: Final = {
    "connect_timeout": "4",
    "tcp_user_timeout": "4000",
    "application_name": "stellarrow records",
}
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS stellarrow.records"
    " (key text PRIMARY KEY, version bigint NOT NULL, data bytea NOT NULL)"
)
_CREATE: Final = (
    "SELECT pg_advisory_xact_lock(hashtext('stellarrow.records'))",
    "CREATE SCHEMA IF NOT EXISTS stellarrow",
    _TABLE,
    "CREATE SEQUENCE IF NOT EXISTS stellarrow.record_versions",
)
_PASSING: Final = ("08", "40", "53", "55", "57")  # classes of SQLSTATE


class PostgresRecords:
    """The table stellarrow.records; a version is a number that is never used again."""

    def __init__(self, url: str) -> None:
        self.where = redacted_url(url).partition("?")[0]
        try:
            parts = {name: value for name, value in conninfo.conninfo_to_dict(url).items() if value}
        except psycopg.ProgrammingError:  # which may repeat the password
            raise ConfigError(
                f"{self.where} cannot be read: write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            ) from None
        self._conninfo = conninfo.make_conninfo("", **{**_PATIENCE, **parts})
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def get(self, key: str) -> Record | None:
        def work(connection: psycopg.Connection) -> Record | None:
            try:
                row = connection.execute(
                    "SELECT data, version FROM stellarrow.records WHERE key = %s", (key,)
                ).fetchone()
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                return None
            return Record(bytes(row[0]), str(row[1])) if row else None

        return self._done(work)

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        def work(connection: psycopg.Connection) -> str | None:
            try:
                return _replaced(connection, key, data, of)
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                if of is not None:
                    return None
            with connection.transaction():
                for statement in _CREATE:
                    connection.execute(statement.encode())
            return _replaced(connection, key, data, of)

        return self._done(work)

    def remove(self, key: str) -> None:
        def work(connection: psycopg.Connection) -> None:
            try:
                connection.execute("DELETE FROM stellarrow.records WHERE key = %s", (key,))
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                return

        self._done(work)

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _done(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        with self._lock, self._translate_errors():
            if self._connection is not None and self._connection.closed:
                self._connection = None
            is_new = self._connection is None
            try:
                return work(self._connected())
            except psycopg.OperationalError:
                if is_new:
                    raise
                self._let_go()
            return work(self._connected())  # the server had closed what was idle

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            self._connection.prepare_threshold = None  # poolers hand sessions on between transactions
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            self._let_go()
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            said = f"the shared records in {self.where} cannot be used ({reason})"
            state = error.sqlstate or ""
            if state[:2] in _PASSING or (not state and isinstance(error, psycopg.OperationalError)):
                raise SinkUnavailable(f"{said}: start the server or check the address") from error
            raise SinkError(f"{said}: let this user create and use the schema stellarrow") from error


def _replaced(connection: psycopg.Connection, key: str, data: bytes, of: str | None) -> str | None:
    values: tuple[Any, ...]
    if of is None:
        statement = (
            "INSERT INTO stellarrow.records (key, version, data)"
            " VALUES (%s, nextval('stellarrow.record_versions'), %s)"
            " ON CONFLICT (key) DO NOTHING RETURNING version"
        )
        values = (key, data)
    else:
        statement = (
            "UPDATE stellarrow.records SET data = %s, version = nextval('stellarrow.record_versions')"
            " WHERE key = %s AND version = %s RETURNING version"
        )
        values = (data, key, int(of))
    row = connection.execute(statement.encode(), values).fetchone()
    return str(row[0]) if row else None
