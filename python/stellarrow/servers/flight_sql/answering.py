"""Answers to Flight SQL's clients, beside the commands of our own on the same port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa
from pyarrow import flight

from stellarrow.analysis.reads.reading import Tables
from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.servers.analytics_commands import SqlCommand
from stellarrow.servers.flight_errors import Unimplemented
from stellarrow.servers.flight_sql import catalog, commands, server_facts, statements

with needing("Flight SQL", "grpc"):
    from stellarrow.proto import flight_sql_pb2 as messages

PUT_OF_PARAMETERS: Final = "DoPut of parameters"  # to security/permissions.py
_CREATE: Final = "CreatePreparedStatement"
_CLOSE: Final = "ClosePreparedStatement"
ACTIONS: Final = (
    (_CREATE, "Prepare a query; its parameters are texts, numbers, booleans and times."),
    (_CLOSE, "Let a prepared query go."),
)
Rows = Iterator[tuple[pa.RecordBatch, Mapping[str, Any]]]


class Queried(Protocol):
    """What answers a query: its columns and parameters, and its rows with what is told of them."""

    def described(self, command: SqlCommand) -> tuple[pa.Schema, tuple[str, ...]]: ...

    def queried(self, command: SqlCommand) -> tuple[pa.Schema, list[pa.RecordBatch], dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class FlightSql:
    """Tables and queries for clients of Flight SQL."""

    tables: Tables
    queries: Queried

    def read(self, given: bytes) -> Any:
        """Return a message of Flight SQL, or None where the bytes are something else."""
        try:
            return commands.read(given)
        except commands.Untaken as error:
            raise Unimplemented(str(error)) from None

    def is_read(self, descriptor: flight.FlightDescriptor) -> bool:
        """Tell whether what is put with this is of a query that reads."""
        return isinstance(self.read(descriptor.command or b""), messages.CommandPreparedStatementQuery)

    def info(self, message: Any, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        """Tell what a message is answered with, and by which ticket."""
        ticket = commands.written(message)
        if statement := self._statement(message):
            handle = statements.handle_of(statement.given["sql"], statement.given.get("params", ()))
            ticket = commands.written(messages.TicketStatementQuery(statement_handle=handle))
        schema = self.schema(message)
        # No location: where the client is already connected.
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], ordered=True)

    def schema(self, message: Any) -> pa.Schema:
        """Return the columns that a message is answered with."""
        if statement := self._statement(message):
            return self.queries.described(statement)[0]
        return self._facts(message).schema

    def rows(self, message: Any) -> tuple[pa.Schema, Rows]:
        """Return what a message is answered with; a query whose rows are too many is refused, never cut."""
        statement = self._statement(message)
        if not statement:
            found = self._facts(message)
            return found.schema, ((batch, {}) for batch in found.to_batches())
        schema, batches, told = self.queries.queried(statement)
        if told["truncated"]:
            most = sum(batch.num_rows for batch in batches)
            raise ConfigError(f"the answer has more than {most:,} rows: aggregate, or add a where or a limit")
        return schema, ((batch, told) for batch in batches)

    def act(self, action: flight.Action) -> list[bytes]:
        """Prepare a query, or let one go."""
        message = self.read(action.body.to_pybytes())
        if isinstance(message, messages.ActionCreatePreparedStatementRequest):
            schema, names = self.queries.described(SqlCommand(given={"sql": message.query}))
            made = messages.ActionCreatePreparedStatementResult(
                prepared_statement_handle=statements.handle_of(message.query),
                dataset_schema=schema.serialize().to_pybytes(),
                parameter_schema=statements.parameter_schema(names).serialize().to_pybytes(),
            )
            return [commands.written(made)]
        if isinstance(message, messages.ActionClosePreparedStatementRequest):
            return []  # its handle holds all there is
        raise Unimplemented(
            f"the action {action.type} does not fit its message: there are {_CREATE}, {_CLOSE}"
        )

    def put(self, descriptor: flight.FlightDescriptor, reader: Any, writer: Any) -> None:
        """Take the parameters of a prepared query."""
        message = self.read(descriptor.command or b"")
        if not isinstance(message, messages.CommandPreparedStatementQuery):
            raise Unimplemented(
                "this server has no DoPut but of a prepared query's parameters: it reads only"
            )
        handle = statements.bound(message.prepared_statement_handle, reader)
        made = messages.DoPutPreparedStatementResult(prepared_statement_handle=handle)
        writer.write(pa.py_buffer(made.SerializeToString()))

    def _statement(self, message: Any) -> SqlCommand | None:
        if isinstance(message, messages.CommandStatementQuery):
            return SqlCommand(given={"sql": message.query})
        if isinstance(message, messages.CommandPreparedStatementQuery):
            return statements.statement_of(message.prepared_statement_handle)
        if isinstance(message, messages.TicketStatementQuery):
            return statements.statement_of(message.statement_handle)
        return None

    def _facts(self, message: Any) -> pa.Table:
        if isinstance(message, messages.CommandGetSqlInfo):
            return server_facts.facts(message.info)
        if isinstance(message, messages.CommandGetXdbcTypeInfo):
            return server_facts.types(message.data_type if message.HasField("data_type") else None)
        schemas = {name: self._schema_of(name) for name in self.tables.names}
        found = catalog.answer(message, schemas)
        if found is None:
            raise Unimplemented(f"{message.DESCRIPTOR.name} is no question: send it as an action, or not")
        return found

    def _schema_of(self, name: str) -> Any:
        return lambda: self.tables.snapshot(name).schema
