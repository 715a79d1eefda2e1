"""Arrow Flight over tables and figures: what REST answers with, rows that go on as they come, and SQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.analysis.request import FiguresRequest
from stellarrow.analysis.windows import NAMES
from stellarrow.core.rows import no_rows
from stellarrow.errors import TooManyCalls, nearest
from stellarrow.ledgers import LedgerSet
from stellarrow.net.address import Address
from stellarrow.net.redaction import shortened
from stellarrow.security.access import Access, Grant
from stellarrow.security.tls import Tls
from stellarrow.servers.analytics_commands import Command, NoCommand, RowsCommand, SqlCommand, of_path, parse
from stellarrow.servers.analytics_http.query import MOST_ROWS, AskedSql, Queries, Sandboxed
from stellarrow.servers.analytics_rows import RowStream
from stellarrow.servers.flight_base import FlightListener, GuardedFlight, gone_of, write_options
from stellarrow.servers.flight_errors import Unimplemented, answering
from stellarrow.servers.flight_sql.answering import ACTIONS, PUT_OF_PARAMETERS, FlightSql
from stellarrow.sinks.files.departures import Absence
from stellarrow.sql.sandbox import SandboxAnswer

Answered = tuple[pa.Schema, Iterator[tuple[pa.RecordBatch, Mapping[str, Any]]]]
_QUERIES: Final = 2  # at once
_LEFT: Final = 100  # ranges that left, told of a table
_WAIT_SECONDS: Final = 10.0  # of a query for its turn


class AnalyticsFlight(FlightListener):
    """Serve the tables of the analytics service."""

    def __init__(
        self,
        address: Address,
        tables: Tables,
        figures: KeptFigures,
        queries: Queries,
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
    ) -> None:
        super().__init__(
            address,
            lambda made: _Analytics(_Answers(tables, figures, queries), access, **made),
            tls=tls,
            access=access,
            insecure=insecure,
            put_call=f"Flight.{PUT_OF_PARAMETERS}",
        )


class _Answers:
    """What is asked of, by all calls."""

    def __init__(self, tables: Tables, figures: KeptFigures, queries: Queries) -> None:
        self.tables = tables
        self.figures = figures
        self._queries = queries
        self._turns = threading.BoundedSemaphore(_QUERIES)

    @property
    def names(self) -> list[str]:
        """The figures that there are."""
        return [name for name, one in NAMES.items() if one.table in self.figures.tables]

    def checked(self, command: Command) -> Command:
        """Return a command; NotFound where what it is of is not here, ConfigError where it does not fit."""
        if isinstance(command, FiguresRequest) and command.name not in self.names:
            remedy = nearest(command.name, self.names, f"there are {', '.join(self.names) or 'none'}")
            raise NotFound(f"there are no figures {shortened(command.name)!r} here: {remedy}", field="table")
        if isinstance(command, RowsCommand):
            RowStream(self.tables, command, lambda: False)  # says what is wrong with it
        return command

    def schema(self, command: Command) -> pa.Schema:
        """Return what is answered with; of SQL that is known once the query has begun."""
        if isinstance(command, RowsCommand):
            snapshot = self.tables.snapshot(command.question.table)
            return snapshot.answer_schema(command.question.columns)
        if isinstance(command, FiguresRequest):
            return command.schema
        return self.described(command)[0]

    def described(self, command: SqlCommand) -> tuple[pa.Schema, tuple[str, ...]]:
        """Return a query's columns, and what values may be given for."""
        with self.query(command, describe=True) as (_, found):
            for _ in found:
                pass
            return found.schema, found.parameters

    def queried(self, command: SqlCommand) -> tuple[pa.Schema, list[pa.RecordBatch], dict[str, Any]]:
        """Return the columns and rows of a query, and what is told of them."""
        with self.query(command) as (read, found):
            batches = [*found]  # bounded; what waits for a slow reader holds up no other query
            told = {"as_of_ledger": read.as_of, "truncated": found.truncated, **_left(read.gaps())}
        return found.schema, batches or [no_rows(found.schema)], told

    @contextmanager
    def query(
        self, command: SqlCommand, *, describe: bool = False
    ) -> Iterator[tuple[Sandboxed, SandboxAnswer]]:
        """Yield what a query reads, and its answer; some run at once, others wait for a while."""
        asked = AskedSql.read(command.given, rows=MOST_ROWS)
        if not self._turns.acquire(timeout=_WAIT_SECONDS):
            raise TooManyCalls("other queries take all the time there is: ask again in a moment")
        try:
            with self._queries.begun(asked, describe=describe) as found:
                yield found
        finally:
            self._turns.release()


class _Analytics(GuardedFlight):
    actions = ACTIONS

    def __init__(self, answers: _Answers, access: Access | None, **made: Any) -> None:
        self._answers = answers
        self._sql = FlightSql(answers.tables, answers)
        super().__init__(access, **made)

    def flights(self, _: bytes) -> Iterator[flight.FlightInfo]:
        paths = [(name,) for name in self._answers.tables.names]
        for path in (*paths, *(("analytics", name) for name in self._answers.names)):
            yield self.info(flight.FlightDescriptor.for_path(*path))

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        with answering():
            if message := self._sql.read(descriptor.command or b""):
                return self._sql.info(message, descriptor)
            command = self._command(descriptor)
            told: dict[str, Any] = {}
            if isinstance(command, RowsCommand):
                snapshot = self._answers.tables.snapshot(command.question.table)
                told["as_of_ledger"] = snapshot.as_of
                left = snapshot.absences(LedgerSet([command.question.ledgers]))
                told |= _left(snapshot.gaps(command.question.ledgers))
                command = command.until(snapshot.known.last if left else snapshot.as_of)
            if network := self._answers.tables.network:
                told["network"] = network.passphrase
            # No location: where the client is already connected.
            parts = [flight.FlightEndpoint(command.ticket(), [])]
            schema = self._answers.schema(command)
            metadata = json.dumps(told).encode()
            return flight.FlightInfo(schema, descriptor, parts, ordered=True, app_metadata=metadata)

    def schema(self, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        if message := self._sql.read(descriptor.command or b""):
            return flight.SchemaResult(self._sql.schema(message))
        return flight.SchemaResult(self._answers.schema(self._command(descriptor)))

    def act(self, _: Grant, action: flight.Action) -> list[bytes]:
        return self._sql.act(action)

    def put_verb(self, descriptor: flight.FlightDescriptor) -> str:
        return PUT_OF_PARAMETERS if self._sql.is_read(descriptor) else super().put_verb(descriptor)

    def put(
        self,
        _: flight.ServerCallContext,
        __: Grant,
        descriptor: flight.FlightDescriptor,
        reader: Any,
        writer: Any,
    ) -> None:
        self._sql.put(descriptor, reader, writer)

    def get(
        self, context: flight.ServerCallContext, grant: Grant, ticket: flight.Ticket
    ) -> flight.GeneratorStream:
        options = write_options(context)
        if message := self._sql.read(ticket.ticket):
            schema, rows = self._sql.rows(message)
            return flight.GeneratorStream(schema, _sent(rows, grant), options=options)
        command = self._parsed(ticket.ticket)
        if isinstance(command, SqlCommand):
            answered = self._queried(command)
        elif isinstance(command, FiguresRequest):
            answered = self._counted(command)
        else:
            stream = RowStream(self._answers.tables, command, gone_of(context, grant))
            answered = stream.schema, stream.batches()
        schema, rows = answered
        return flight.GeneratorStream(schema, _sent(rows, grant), options=options)

    def _command(self, descriptor: flight.FlightDescriptor) -> Command:
        if descriptor.descriptor_type == flight.DescriptorType.PATH:
            return self._answers.checked(of_path(descriptor.path))
        return self._parsed(descriptor.command)

    def _parsed(self, command: bytes) -> Command:
        try:
            return self._answers.checked(parse(command))
        except NoCommand:
            raise Unimplemented(
                "this is no command of stellarrow's: send a path, or a JSON object with a table or sql"
            ) from None

    def _counted(self, command: FiguresRequest) -> Answered:
        answer, gaps = self._answers.figures.answered(command)
        told = {
            "first_ledger": answer.ledgers.first if answer.ledgers else 0,
            "last_ledger": answer.ledgers.end if answer.ledgers else 0,
            "complete": True,
            **_left(gaps),
        }
        batches = answer.rows.combine_chunks().to_batches()
        return answer.rows.schema, ((rows, told) for rows in batches)

    def _queried(self, command: SqlCommand) -> Answered:
        schema, batches, told = self._answers.queried(command)
        return schema, ((rows, told) for rows in batches)


def _left(gaps: Sequence[Absence]) -> dict[str, Any]:
    """Return what app_metadata says of ledgers that left or are missing; nothing where none is."""
    return {"left": [one.to_dict() for one in gaps[:_LEFT]]} if gaps else {}


def _sent(
    rows: Iterator[tuple[pa.RecordBatch, Mapping[str, Any]]], grant: Grant
) -> Iterator[tuple[pa.RecordBatch, pa.Buffer]]:
    with answering():
        for batch, told in rows:
            grant.check()
            yield batch, pa.py_buffer(json.dumps(told).encode())
        grant.check()  # a stream that ends for this must not look whole
