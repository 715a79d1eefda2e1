"""Raw ledgers over Arrow Flight: a ledger a row, from any ledger on, taken up again by `resume`."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.core.rows import texts_of
from stellarrow.core.tables import schema
from stellarrow.errors import ConfigError
from stellarrow.ledgers import Network
from stellarrow.net.address import Address
from stellarrow.net.bounded_json import JsonObject
from stellarrow.net.redaction import shortened
from stellarrow.security.access import Access, Grant
from stellarrow.security.tls import Tls
from stellarrow.servers.flight_base import (
    FlightListener,
    GuardedFlight,
    gone_of,
    headers_of_call,
    write_options,
)
from stellarrow.servers.flight_errors import answering
from stellarrow.servers.raw.relay import Relay
from stellarrow.servers.raw.verified import HEADER, Ledger
from stellarrow.telemetry import tracing

TABLE: Final = "raw_ledgers"
# Clients of gRPC take messages of at most 4 MiB unless told otherwise.
_MESSAGE_BYTES: Final = 3 << 20
_ALONE_BYTES: Final = 256 << 10  # from which on another message costs less than a copy
_ROW_BYTES: Final = 1 << 10  # of a row beside its XDR, the source's URL included
_DIGITS: Final = 10  # of the last ledger that can be
_COMMAND_BYTES: Final = 4 << 10
_ENDPOINTS: Final = 4  # a bounded range is read in so many parts at once
_PART: Final = 64  # ledgers of a part at least
SCHEMA: Final = pa.schema(
    [
        *(schema("ledgers").field(name).remove_metadata() for name in HEADER),
        pa.field("ledger_close_meta_xdr", pa.binary(), nullable=False),
        pa.field("source_type", pa.string(), nullable=False),
        pa.field("source_url", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Command:
    """What a client asks for; `since` is earliest, latest or the `resume` of the last batch it had."""

    start_ledger: int | None = None
    end_ledger: int | None = None
    since: str = "earliest"
    follow: bool = False

    @classmethod
    def parse(cls, told: bytes) -> Command:
        """Read JSON; what is unknown or of the wrong kind is an error, not ignored."""
        asked = JsonObject.read(told, "the command", keys=_KEYS, largest=_COMMAND_BYTES)
        if (table := asked.text("table") or TABLE) != TABLE:
            raise ConfigError(f"there is no table {shortened(table)!r} here: ask for {TABLE}")
        first, last = asked.ledger("start_ledger") or None, asked.ledger("end_ledger") or None
        if first and last and last < first:
            raise ConfigError("end_ledger is before start_ledger: swap them")
        since = asked.text("from") or "earliest"
        is_token = since.isascii() and since.isdecimal() and len(since) <= _DIGITS
        if since not in ("earliest", "latest") and not is_token:
            raise ConfigError(
                f"from is {shortened(repr(since))}: it must be earliest, latest or a resume token"
            )
        return cls(first, last, since, asked.truth("follow", default=False))

    @property
    def count(self) -> int | None:
        """How many ledgers it is, where both ends are named."""
        first, last = self.start_ledger, self.end_ledger
        return last - first + 1 if first and last and not self.since.isdecimal() else None

    def ticket(self) -> flight.Ticket:
        report = {
            "start_ledger": self.start_ledger,
            "end_ledger": self.end_ledger,
            "from": self.since,
            "follow": self.follow,
        }
        return flight.Ticket(json.dumps({key: value for key, value in report.items() if value}).encode())


_KEYS: Final = ("table", "start_ledger", "end_ledger", "from", "follow")


class RawLedgerFlight(FlightListener):
    """Serve the ledgers of a relay."""

    def __init__(
        self,
        address: Address,
        relay: Relay,
        *,
        source_type: str,
        source_url: str,
        network: Network | None = None,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
    ) -> None:
        super().__init__(
            address,
            lambda made: _RawLedgers(relay, (source_type, source_url), network, access, **made),
            tls=tls,
            access=access,
            insecure=insecure,
        )

    def close(self, grace: float = 0.0) -> bool:
        """Wait so long for the streams under way to end; tell whether they have.

        A client that takes nothing holds its stream, and with it the end of the interpreter, for ever.
        """
        return super().close(grace)


class _RawLedgers(GuardedFlight):
    def __init__(
        self,
        relay: Relay,
        origin: tuple[str, str],
        network: Network | None,
        access: Access | None,
        **made: Any,
    ) -> None:
        self._relay = relay
        self._origin = origin
        self._network = network
        super().__init__(access, **made)

    def flights(self, _: bytes) -> Iterator[flight.FlightInfo]:
        yield flight.FlightInfo(SCHEMA, flight.FlightDescriptor.for_path(TABLE), [], -1, -1)

    def schema(self, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        _asked(descriptor)
        return flight.SchemaResult(SCHEMA)

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        parts = _parts(_asked(descriptor))
        endpoints = [flight.FlightEndpoint(part.ticket(), []) for part in parts]
        records = sum(part.count or 0 for part in parts) or -1
        return flight.FlightInfo(SCHEMA, descriptor, endpoints, records, -1, app_metadata=self._metadata())

    def _metadata(self) -> bytes:
        """Say what the ledgers are of, and which there are, where the source told."""
        passphrase = self._network.passphrase if self._network else None
        report = {
            "network": passphrase,
            "first_ledger": self._relay.earliest,
            "last_ledger": self._relay.latest,
        }
        return json.dumps({key: value for key, value in report.items() if value is not None}).encode()

    def get(
        self, context: flight.ServerCallContext, grant: Grant, ticket: flight.Ticket
    ) -> flight.GeneratorStream:
        start, end = self._range(Command.parse(ticket.ticket))
        batches = self._batches(start, end, gone_of(context, grant), grant)
        batches = tracing.served("DoGet raw_ledgers", headers_of_call(context), batches)
        return flight.GeneratorStream(SCHEMA, batches, options=write_options(context))

    def _batches(
        self, start: int, end: int | None, gone: Callable[[], bool], grant: Grant
    ) -> Iterator[tuple[pa.RecordBatch, pa.Buffer]]:
        if end is not None and start > end:
            return
        with answering():
            for ledgers in self._relay.streams(start, end, gone=gone):
                for fitting in _fitting(ledgers):
                    grant.check()
                    yield self._batch(fitting), _metadata(fitting)
            grant.check()  # a stream that ends for this must not look whole

    def _range(self, command: Command) -> tuple[int, int | None]:
        """Return the first ledger and the last: that of now, or none where it is to follow."""
        latest, earliest = self._relay.latest, self._relay.earliest
        end = command.end_ledger or (None if command.follow else latest)
        if command.since.isdecimal():
            return int(command.since), end
        if command.start_ledger:
            return command.start_ledger, end
        start = latest if command.since == "latest" else earliest
        if start is None:
            raise ConfigError("the source does not tell which ledgers it has: give start_ledger")
        return start, end

    def _batch(self, ledgers: list[Ledger]) -> pa.RecordBatch:
        count = len(ledgers)
        headers = [one.header.columns for one in ledgers]
        columns = [pa.concat_arrays(column) for column in zip(*headers, strict=True)]
        columns.append(_binary([one.xdr for one in ledgers]))
        columns += [texts_of([told] * count) for told in self._origin]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _asked(descriptor: flight.FlightDescriptor) -> Command:
    if descriptor.descriptor_type is flight.DescriptorType.CMD:
        return Command.parse(descriptor.command)
    path = [part.decode(errors="replace") for part in descriptor.path]
    if path != [TABLE]:
        raise ConfigError(f"there is no {shortened('/'.join(path))!r} here: ask for {TABLE}")
    return Command(follow=True)


def _parts(command: Command) -> list[Command]:
    """Cut a bounded range into parts that may be read side by side."""
    first, last = command.start_ledger, command.end_ledger
    if not command.count or not first or not last:
        return [command]
    size = max(_PART, -(-command.count // _ENDPOINTS))
    return [
        Command(start_ledger=begin, end_ledger=min(begin + size - 1, last))
        for begin in range(first, last + 1, size)
    ]


def _fitting(ledgers: list[Ledger]) -> Iterator[list[Ledger]]:
    """Split ledgers into what a message holds; a large one is alone, and sent from where it lies."""
    group: list[Ledger] = []
    held = 0
    for ledger in ledgers:
        size = len(ledger.xdr) + _ROW_BYTES
        if group and held + size > (_MESSAGE_BYTES if size < _ALONE_BYTES else 0):
            yield group
            group, held = [], 0
        group.append(ledger)
        held += size if size < _ALONE_BYTES else _MESSAGE_BYTES
    if group:
        yield group


def _binary(values: Sequence[bytes | pa.Buffer]) -> pa.Array:
    """Return an array of bytes: of one value where it lies, of several in a copy."""
    sizes = [len(value) for value in values]
    offsets = pa.py_buffer(array("i", accumulate(sizes, initial=0)))
    data = values[0] if len(values) == 1 else b"".join(values)
    return pa.Array.from_buffers(pa.binary(), len(sizes), [None, offsets, pa.py_buffer(data)])


def _metadata(ledgers: list[Ledger]) -> pa.Buffer:
    first, last = ledgers[0].sequence, ledgers[-1].sequence
    report: dict[str, Any] = {"first_ledger": first, "last_ledger": last, "resume": str(last + 1)}
    report |= tracing.for_message({one.sequence: one.trace for one in ledgers})
    return pa.py_buffer(json.dumps(report).encode())
