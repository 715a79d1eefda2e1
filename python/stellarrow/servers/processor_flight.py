"""Arrow Flight: tables of the sessions, and of ledgers decoded on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import flight

from stellarrow.analysis.request import FiguresRequest, is_figures
from stellarrow.analysis.request import of_path as figures_of_path
from stellarrow.analysis.request import parse as parse_figures
from stellarrow.core.tables import is_typed
from stellarrow.net.address import Address
from stellarrow.net.redaction import shortened
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.batching import Stream
from stellarrow.processor.reads.figures import answered
from stellarrow.processor.reads.places import ACKNOWLEDGE, acknowledge
from stellarrow.processor.reads.range_stream import endpoints, of_range
from stellarrow.processor.reads.request import COMPATIBLE, Command, NoCommand, of_path, parse
from stellarrow.processor.reads.session_stream import of_sessions
from stellarrow.security.access import Access, Grant
from stellarrow.security.tls import Tls
from stellarrow.servers.flight_base import (
    FlightListener,
    GuardedFlight,
    gone_of,
    headers_of_call,
    text_of,
    write_options,
)
from stellarrow.servers.flight_errors import Unimplemented, answering
from stellarrow.telemetry import tracing


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
    actions = ((ACKNOWLEDGE, "A reader that has a name has all up to a batch: reader, table, resume."),)

    def __init__(self, processor: Processor, access: Access | None, **made: Any) -> None:
        self._processor = processor
        super().__init__(access, **made)

    def flights(self, _: bytes) -> Iterator[flight.FlightInfo]:
        kept = self._processor.options.kept
        named = ((name,) if is_typed(name) else tuple(name.split("@")) for name in kept)
        for path in (COMPATIBLE[0], *named):
            yield self.info(flight.FlightDescriptor.for_path(*path))

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        with answering():
            command = self._command(descriptor)
            # No location: where the client is already connected.
            split = [command] if isinstance(command, FiguresRequest) else endpoints(command)
            parts = [flight.FlightEndpoint(part.ticket(), []) for part in split]
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
        if isinstance(command, FiguresRequest):
            return self._figures(context, command)
        of_command = _answering(command, grant)
        gone = gone_of(context, grant)
        stream = of_command(self._processor, command, cancelled=gone, reader=text_of(context.peer()))
        batches = tracing.served(f"DoGet {command.table}", headers_of_call(context), _batches(stream, grant))
        return flight.GeneratorStream(command.schema, batches, options=write_options(context))

    def act(self, grant: Grant, action: flight.Action) -> list[bytes]:
        if action.type != ACKNOWLEDGE:
            raise Unimplemented(f"this server has no action {shortened(action.type)!r}: it has {ACKNOWLEDGE}")
        body = action.body.to_pybytes() if action.body else b""
        made = acknowledge(self._processor, body, grant.owner)
        return [json.dumps({"reader": made.name, "table": made.table, "resume": made.resume}).encode()]

    def _command(self, descriptor: flight.FlightDescriptor) -> Command | FiguresRequest:
        if descriptor.descriptor_type == flight.DescriptorType.PATH:
            words = tuple(word.decode("utf-8", "replace") for word in descriptor.path)
            return figures_of_path(words[1:]) if words[:1] == ("analytics",) else of_path(descriptor.path)
        return self._parsed(descriptor.command)

    def _parsed(self, command: bytes) -> Command | FiguresRequest:
        try:
            if is_figures(command):
                return parse_figures(command)
            return parse(command, self._processor.options.queries)
        except NoCommand:
            raise Unimplemented(
                "this is no command of stellarrow's: send a path, or a JSON object with a table"
            ) from None

    def _figures(self, context: flight.ServerCallContext, command: FiguresRequest) -> flight.GeneratorStream:
        with answering():
            answer = answered(self._processor, command)
        told = pa.py_buffer(json.dumps(answer.to_dict()).encode())
        batches = [(batch, told) for batch in answer.rows.combine_chunks().to_batches()]
        return flight.GeneratorStream(answer.rows.schema, iter(batches), options=write_options(context))


def _answering(command: Command, grant: Grant) -> Callable[..., Stream]:
    """Return what answers a command."""
    if command.aggregate:
        from stellarrow.processor.reads.aggregate_stream import of_aggregate  # noqa: PLC0415  an extra

        return of_aggregate
    return of_range if command.ledgers else partial(of_sessions, owner=grant.owner)


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
                **tracing.for_message(sent.traces),
            }
            yield sent.rows, pa.py_buffer(json.dumps(report).encode())
        grant.check()  # a stream that ends for this must not look whole
