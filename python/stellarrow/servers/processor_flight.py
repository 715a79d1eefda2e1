"""Arrow Flight: tables of the sessions, and of ledgers decoded on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import flight

from stellarrow.net.address import Address
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.aggregate_stream import of_aggregate
from stellarrow.processor.reads.batching import Stream
from stellarrow.processor.reads.range_stream import endpoints, of_range
from stellarrow.processor.reads.request import COMPATIBLE, Command, NoCommand, of_path, parse
from stellarrow.processor.reads.session_stream import of_sessions
from stellarrow.security.access import Access, Grant
from stellarrow.security.tls import Tls
from stellarrow.servers.flight_base import (
    FlightListener,
    GuardedFlight,
    Unimplemented,
    answering,
    gone_of,
    text_of,
    write_options,
)


class FlightServer(FlightListener):
    """Serve a processor's tables."""

    def __init__(
        self,
        address: Address,
        processor: Processor,
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
    ) -> None:
        super().__init__(
            address,
            lambda made: _Tables(processor, access, **made),
            tls=tls,
            access=access,
            insecure=insecure,
        )


class _Tables(GuardedFlight):
    def __init__(self, processor: Processor, access: Access | None, **made: Any) -> None:
        self._processor = processor
        super().__init__(access, **made)

    def flights(self, _: bytes) -> Iterator[flight.FlightInfo]:
        paths = [COMPATIBLE[0], *(tuple(name.split("@")) for name in self._processor.options.kept)]
        for path in paths:
            yield self.info(flight.FlightDescriptor.for_path(*path))

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        with answering():
            command = self._command(descriptor)
            # No location: where the client is already connected.
            parts = [flight.FlightEndpoint(part.ticket(), []) for part in endpoints(command)]
            network = self._processor.options.network
            told = json.dumps({"network": network.passphrase} if network else {})
            return flight.FlightInfo(
                command.schema, descriptor, parts, ordered=True, app_metadata=told.encode()
            )

    def schema(self, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        return flight.SchemaResult(self._command(descriptor).schema)

    def get(
        self, context: flight.ServerCallContext, grant: Grant, ticket: flight.Ticket
    ) -> flight.GeneratorStream:
        command = self._parsed(ticket.ticket)
        of_command = of_aggregate if command.aggregate else of_range if command.ledgers else of_sessions
        gone = gone_of(context, grant)
        stream = of_command(self._processor, command, cancelled=gone, reader=text_of(context.peer()))
        batches = _batches(stream, grant)
        return flight.GeneratorStream(command.schema, batches, options=write_options(context))

    def _command(self, descriptor: flight.FlightDescriptor) -> Command:
        if descriptor.descriptor_type == flight.DescriptorType.PATH:
            return of_path(descriptor.path)
        return self._parsed(descriptor.command)

    def _parsed(self, command: bytes) -> Command:
        try:
            return parse(command, self._processor.options.queries)
        except NoCommand:
            raise Unimplemented(
                "this is no command of stellarrow's: send a path, or a JSON object with a table"
            ) from None


def _batches(stream: Stream, grant: Grant) -> Iterator[tuple[pa.RecordBatch, pa.Buffer]]:
    with answering():
        for sent, resume in stream:
            grant.check()
            report = {
                "first_ledger": sent.first,
                "last_ledger": sent.last,
                "complete": sent.complete,
                "resume": resume,
                **({"session": sent.session} if sent.session else {}),
                **({"network": sent.network} if sent.network else {}),
            }
            yield sent.rows, pa.py_buffer(json.dumps(report).encode())
        grant.check()  # a stream that ends for this must not look whole
