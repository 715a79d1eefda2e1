"""The sink: buffers batches, and commits rows and coverage in one atomic batch of messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from stellarrow.core.tables import is_typed
from stellarrow.errors import ConfigError, SchemaMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerSet, Network
from stellarrow.net.redaction import shortened
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.nats.address import OPTIONS, Address
from stellarrow.sinks.nats.batches import Batch, Unit, batches
from stellarrow.sinks.nats.coverage import CoverageLog, record_of, spanning
from stellarrow.sinks.nats.reading import HeldSubject, held_subjects, is_apart
from stellarrow.sinks.nats.stream import Message, State, Stream
from stellarrow.sinks.transactional.ledger_messages import Encoder, Outgoing
from stellarrow.sinks.transactional.message_sink import (
    BUFFER_BYTES,
    Kept,
    MessageSink,
    Overtaken,
    Place,
)
from stellarrow.sinks.transactional.windows import Window
from stellarrow.telemetry.metrics import Metrics


class NatsSink(MessageSink):
    """Keep tables as subjects of a JetStream stream. Rows and which ledgers they are of move in one batch.

    A message holds a ledger's rows of a table. Readers need nothing: a batch is there whole or not at all. A
    batch names the records of coverage that it replaces, and the server refuses it where another writer has
    replaced them: it begins again with what is not covered by then. Opening it asks nothing of the servers;
    coverage reads there, and only write and commit make a stream.
    """

    def __init__(
        self,
        url: str | Stream,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        policy: Policy | None = None,
        metrics: Metrics | None = None,
        stop: threading.Event | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        _refuse_typed(tables)
        self._stream = Stream(Address.parse(url)) if isinstance(url, str) else url
        self._address = self._stream.address
        self._records = CoverageLog(self._stream)
        super().__init__(
            _place(self._address),
            self._records,
            tables,
            network=network,
            where=where,
            decoded=decoded,
            transfers=transfers,
            policy=policy,
            metrics=metrics,
            stop=stop,
            buffer_bytes=buffer_bytes,
        )
        self._there: State | None = None  # while nothing went wrong
        self._is_behind = False
        self._encoders: dict[str, Encoder] = {}

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> NatsSink:
        """Open a stream, as the registry does."""
        return cls(
            url,
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
        )

    @classmethod
    def held(cls, url: str) -> list[HeldSubject]:
        """Return the tables that subjects hold, whoever wrote them."""
        return held_subjects(Stream(Address.parse(url)))

    def health(self) -> Health:
        """Say whether servers answer, without changing anything there."""
        return self._stream.health()

    def close(self) -> None:
        self._buffer.clear()
        self._there = None
        self._stream.close()

    def _ask(self) -> None:
        self._stream.state()

    def _place(self, table: str) -> str:
        return f"subject {self._address.subject(table)}"

    def _is_alone(self) -> bool:
        return False

    def _attempt(self) -> None:
        there = self._there or self._look()
        for batch in batches(self._units()):
            self._send(batch, there)

    def _let_go(self) -> None:
        self._there, self._is_behind = None, True

    def _look(self) -> State:
        """See what others have written, and how large messages may be."""
        there, seen = self._stream.made(), self._records.seen
        self._refresh()
        if self._is_behind and self._records.seen == seen:
            self._records.forget()  # what we know of was removed, and nothing came
            self._refresh()
        self._refuse_uncovered()
        limit = self._stream.message_bytes(there)
        for kept in self._tables:
            self._encoders[kept.asked] = Encoder(
                str(self._stream),
                self._address.encoding,
                self._address.key,
                kept.headers(),
                limit,
                "max_payload of the server, and max_msg_size of the stream",
                a_row_each=False,
            )
        self._there, self._is_behind = there, False
        return there

    def _refuse_uncovered(self) -> None:
        """Refuse subjects that hold messages nothing tells the ledgers of: they would be written twice."""
        for kept in self._tables:
            if self._records.making(kept.table.name):
                continue
            subject = self._address.subject(kept.table.name)
            for one in (subject, f"{subject}.*"):
                if next(self._stream.messages(one, 1), None):
                    self._refresh()
                    if not self._is_behind or self._records.making(kept.table.name):
                        raise Overtaken  # another writer's first batch came meanwhile
                    raise SchemaMismatch(
                        f"subject {subject} of {self._stream} holds messages, but none of"
                        f" {self._address.coverage}.> tells their ledgers: purge the subject, or choose"
                        " another subject_prefix"
                    )

    def _units(self) -> Iterator[Unit]:
        """Yield each missing ledger of each table once."""
        missing = {kept.asked: self._missing(kept) for kept in self._tables}
        every = LedgerSet()
        for ledgers in missing.values():
            every |= ledgers
        for batch, part in self._buffer.parts(every):
            yield from self._units_of(batch, {asked: part & ledgers for asked, ledgers in missing.items()})

    def _units_of(self, batch: LedgerBatch, due: Mapping[str, LedgerSet]) -> Iterator[Unit]:
        made: list[Unit] = []
        for kept in self._tables:
            rows = batch.tables[kept.asked]
            apart = is_apart(self._address.key, rows.schema.names)
            by_ledger: dict[int, list[Outgoing]] = {
                ledger: [] for part in due[kept.asked] for ledger in range(part.first, part.end + 1)
            }
            for one in self._encoders[kept.asked].messages(rows, due[kept.asked]):
                by_ledger[one.ledger].append(one)
            for ledger, outgoing in by_ledger.items():
                messages = [self._message(kept, one, apart=apart) for one in outgoing]
                made.append(Unit(kept.asked, ledger, messages, sum(one.rows for one in outgoing)))
        yield from sorted(made, key=lambda unit: unit.ledger)  # tables move together

    def _message(self, kept: Kept, one: Outgoing, *, apart: bool) -> Message:
        subject = self._address.subject(kept.table.name)
        if apart:
            subject += f".{one.key.decode() or 'none'}"
        headers = {name: value.decode() for name, value in one.headers if isinstance(value, bytes)}
        return Message(subject, one.value, headers)

    def _send(self, batch: Batch, there: State) -> None:
        """Make a batch durable, with the records of coverage that belong to it."""
        messages, grown = list(batch.messages), list(self._grown(batch))
        for window, rows in grown:
            messages.append(
                record_of(
                    window,
                    self._records,
                    there,
                    at=len(messages) + 1,
                    rows=rows,
                    prefix=self._address.coverage,
                )
            )
        before = self._stream.publish(messages) - len(messages)
        for number, (window, rows) in enumerate(grown, len(batch.messages) + 1):
            spans = spanning((before + rows[0], before + rows[1] + 1)) if rows else {}
            self._records.landed(window.grown(LedgerSet(), 0, spans), before + number)

    def _grown(self, batch: Batch) -> Iterator[tuple[Window, tuple[int, int] | None]]:
        """Yield the records that belong to a batch, each with the places of its rows."""
        for kept in self._tables:
            if part := batch.parts.get(kept.asked):
                name = kept.table.name
                for window in self._records.grown(name, kept.making, part.covered, part.rows, {}):
                    yield window, part.places.get(window.first)


def _place(address: Address) -> Place:
    return Place(
        "the NATS sink",
        str(address),
        f"subjects {address.prefix}.>",
        "subject_prefix",
        "subject: give each a subject_prefix of its own",
        address.encoding,
        address.key,
    )


def _refuse_typed(tables: Sequence[str]) -> None:
    """Refuse contracts' own tables, whose columns grow: no record tells columns here."""
    if found := next(filter(is_typed, tables), None):
        raise ConfigError(
            f"the NATS sink does not keep typed tables such as {shortened(found)}: write them to any other"
            " sink, such as parquet:FOLDER, postgres://… or kafka://…"
        )
