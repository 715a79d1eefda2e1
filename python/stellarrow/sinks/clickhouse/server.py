"""One ClickHouse server: queries, and what its errors mean in ours."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from stellarrow.errors import SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.protocols import Health
from stellarrow.sinks.clickhouse.address import Address

logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
logging.getLogger("clickhouse_connect").propagate = False  # our errors have its words, too

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 300
_OLDEST: Final = (24, 8)  # lightweight deletes, views with arguments and tokens in INSERT SELECT work
_LONGEST_QUERY: Final = 16 << 20  # bytes: a commit may name many ranges
_LONG: Final = 200_000  # characters, from which on a server must be told: its own limit is 256 KiB
_AWAY: Final = "start the server or check the address, then run the same again"
_REMEDIES: Final = {
    "516": "set the right user and password",
    "192": "set the right user and password",
    "193": "set the right user and password",
    "194": "set the right user and password",
    "497": "grant what is missing (docs/clickhouse.md lists it), or use another user",
    "164": "use a user that may write, and no readonly profile",
    "81": "create the database first, or name another",
    "243": "make room on the server's disk",
    "241": "give the server more memory, or run fewer queries beside it",
    "36": "run a ClickHouse from 24.8 on",
    "62": "run a ClickHouse from 24.8 on",
}
# Timeouts, too many queries or parts, a server that ends or is read-only while it begins, its Keeper.
_PASSING: Final = frozenset(
    (
        "3",
        "159",
        "202",
        "203",
        "209",
        "210",
        "236",
        "241",
        "242",
        "252",
        "279",
        "319",
        "394",
        "425",
        "473",
        "999",
    )
)
_LAYOUT: Final = frozenset(("10", "16", "27", "47", "53", "349", "386"))  # columns, and what they hold
NO_DATABASE: Final = "81"
NO_TABLE: Final = "60"
# Views that are fed wait for their disk at the same time; when it answers, all of them have their rows.
_INSERT: Final = "async_insert = 0, parallel_view_processing = 1"
_ARROW: Final = (
    "output_format_arrow_string_as_string = 0, output_format_arrow_low_cardinality_as_dictionary = 0"
)


class Absent(SinkError):
    """The database or the table is not there."""


class Server:
    """Asks and writes; nothing is connected before the first question."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Client | None = None

    def connect(self) -> None:
        """See that the server answers, and lets this user in."""
        with self._translated("connect to"):
            self._connected()

    def do(self, statement: str) -> None:
        """Run a statement that answers nothing."""
        with self._translated("write to"):
            self._connected().command(statement, settings=_room_for(statement), use_database=False)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return what a query answers."""
        return [row for batch in self.stream(query) for row in batch.to_pylist()]

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """Yield what a query answers as it comes; texts are UTF-8."""
        with self._translated("read"):
            answer: Any = self._connected().raw_stream(
                f"{query} SETTINGS {_ARROW}", fmt="ArrowStream", settings=_room_for(query), use_database=False
            )
            with closing(answer):
                try:
                    yield from pa.ipc.open_stream(answer)
                except pa.ArrowInvalid as error:
                    raise SinkUnavailable(
                        f"{self.address} broke off while it was read: run the same again"
                    ) from error

    def insert(self, into: str, rows: pa.Table) -> None:
        """Write rows; what fails may be there in part."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(sink, rows.schema, options=options) as stream:
            stream.write_table(rows)
        names = ", ".join(f"`{name}`" for name in rows.schema.names)
        statement = f"INSERT INTO {into} ({names}) SETTINGS {_INSERT} FORMAT ArrowStream"
        with self._translated("write to"):
            self._connected().command(statement, data=sink.getvalue().to_pybytes(), use_database=False)

    def health(self) -> Health:
        """Say whether the server answers, how old it is, and whether this user may make tables."""
        began = time.monotonic()
        answer = self.rows("SELECT version() AS version, now() AS now")[0]
        latency = (time.monotonic() - began) * 1000
        version = text(answer["version"])
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            return Health("broken", f"ClickHouse {version} is too old: run one from 24.8 on")
        database = self.address.database
        there = self.rows(f"SELECT 1 AS one FROM system.databases WHERE name = '{database}'")
        made = f"database {database!r}" if there else f"no database {database!r} yet"
        return Health("ok", f"ClickHouse {version}, {made}", latency_ms=latency)

    def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client:
            client.close()

    def _connected(self) -> Client:
        if self._client is None:
            choices: dict[str, Any] = {**self.address.client}
            self._client = clickhouse_connect.get_client(
                host=self.address.host,
                port=self.address.port,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=ANSWER_SECONDS,
                compress=False,  # Arrow compresses what is large
                query_retries=0,  # a Guard tries again
                autogenerate_session_id=False,
                client_name="stellarrow",
                **choices,
            )
        return self._client

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise self._error(doing, error) from error
        except (ClickHouseError, OSError) as error:
            raise SinkError(
                f"cannot {doing} {self.address} ({_first(error)}): see docs/clickhouse.md"
            ) from error

    def _error(self, doing: str, error: DatabaseError) -> SinkError:
        code, said = str(error.code or ""), _first(error)
        if isinstance(error, OperationalError) and not code:
            self.close()
            if "certificate" in said.lower() or "ssl" in said.lower():
                return SinkError(
                    f"cannot {doing} {self.address} ({said}): give the right CA in ca=FILE, or leave tls out"
                    " where the server has none"
                )
            return SinkUnavailable(f"cannot {doing} {self.address} ({said}): {_AWAY}")
        if code in (NO_DATABASE, NO_TABLE):
            return Absent(f"cannot {doing} {self.address} ({said}): write to it first")
        sentence = f"cannot {doing} {self.address} ({said})"
        if code in _PASSING:
            return SinkUnavailable(f"{sentence}: {_REMEDIES.get(code, 'run the same again')}")
        if code in _LAYOUT:
            return SchemaMismatch(
                f"{sentence}: its tables are not as stellarrow makes them: name another database"
            )
        return SinkError(f"{sentence}: {_REMEDIES.get(code, 'see what the server says in its log')}")


def _room_for(query: str) -> dict[str, int]:
    """Return the setting that a long query needs: every other request is shorter without it."""
    return {"max_query_size": _LONGEST_QUERY} if len(query) > _LONG else {}


def text(value: Any) -> str:
    """Return a text of an answer."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _first(error: BaseException) -> str:
    """Return what an error says, without the URL, the stack and what the client puts around it."""
    said = str(error).partition("server response: ")[2] or str(error)
    said = said.partition(" (for url")[0].splitlines()[0]
    if "Caused by" in said:
        said = said.rpartition(": ")[2].strip("')\" ")
    return said.rstrip(". ")[:300]
