"""What sinks of messages share: batches wait, and go out in steps of which each moves rows and coverage."""

from __future__ import annotations

import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import Table, columns_of, is_typed
from stellarrow.errors import LedgersRefused, SinkError, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerSet, Network
from stellarrow.net.resilience import Guard, Policy
from stellarrow.sinks.transactional.batch_buffer import BatchBuffer
from stellarrow.sinks.transactional.ledger_messages import Encoding, Headers, Key
from stellarrow.sinks.transactional.makings import making_texts, meant_tables
from stellarrow.sinks.transactional.windows import Making, Windows
from stellarrow.telemetry.metrics import Metrics

_log: Final = logging.getLogger(__name__)
BUFFER_BYTES: Final = 32 << 20  # of Arrow, after which a commit begins by itself
_TURNS: Final = 40  # that other writers may take before a commit of ours gets through
_LONGEST_TURN: Final = 2.0  # seconds to wait for another's


class Overtaken(Exception):
    """Another writer was faster; nothing of ours counts, and the next attempt begins with what it left."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A table: `asked` as in the batches, and how it is written."""

    asked: str
    table: Table
    making: Making
    columns: pa.Schema | None  # of a contract's own table

    def headers(self) -> Headers:
        """Return what every message of the table says of itself."""
        return [
            ("table", self.table.name.encode()),
            ("schema_version", self.table.version.encode()),
            ("network", self.making.network.encode()),
            ("encoding", self.making.encoding.encode()),
        ]


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages go, and how they are made: words for people, but for the last two."""

    sink: str
    server: str
    shared: str  # what writers share
    prefix: str  # the option by which they do not
    apart: str  # how two versions of one table are kept apart
    encoding: Encoding
    key: Key


class MessageSink(ABC):
    """Keeps tables as messages. A sink of one kind of server says how a step is made, and where."""

    def __init__(
        self,
        place: Place,
        log: Windows,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None,
        decoded: bool,
        transfers: str,
        policy: Policy | None,
        metrics: Metrics | None,
        stop: threading.Event | None,
        buffer_bytes: int,
    ) -> None:
        self._tables = [
            Kept(
                asked,
                meant,
                Making(
                    *making_texts(meant, Network.of(network), where, decoded=decoded, transfers=transfers),
                    place.encoding,
                    place.key,
                ),
                columns_of(meant, where or Filter(), decoded=decoded) if is_typed(asked) else None,
            )
            for asked, meant in meant_tables(tables, place.sink, apart=place.apart)
        ]
        self._log = log
        self._shared, self._prefix = f"{place.shared} of {place.server}", place.prefix
        self._guard = Guard(place.server, policy, metrics=metrics, stop=stop, refusal=SinkUnavailable)
        self._buffer = BatchBuffer(place.sink, [one.asked for one in self._tables])
        self._buffer_bytes = buffer_bytes
        self._waits = policy is not None
        self._reached = self._told_of_others = False

    @abstractmethod
    def _ask(self) -> None:
        """Ask the servers anything, to see that they are there."""

    @abstractmethod
    def _place(self, table: str) -> str:
        """Return where a table's messages lie, for people."""

    @abstractmethod
    def _is_alone(self) -> bool:
        """Tell whether nobody else can have committed since we looked."""

    @abstractmethod
    def _attempt(self) -> None:
        """Commit what is buffered and not there; Overtaken where another writer came between."""

    @abstractmethod
    def _let_go(self) -> None:
        """Begin anew with the next attempt: it is not known what came of this one."""

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the servers, for those who watch over them."""
        return (self._guard,)

    def write(self, batch: LedgerBatch) -> None:
        self._buffer.add(batch)
        if self._buffer.nbytes >= self._buffer_bytes:
            self._flush()

    def commit(self) -> None:
        self._flush()

    def coverage(self) -> LedgerSet:
        self._reach()
        if not self._is_alone():
            self._guard.call("coverage", self._refresh)
        first, *others = (self._log.covered(kept.table.name) for kept in self._tables)
        for other in others:
            first &= other
        return first

    def _flush(self) -> None:
        """Commit what is buffered; what fails stays buffered, but for rows that are refused for good."""
        if not self._buffer:
            return
        self._reach()
        try:
            self._guard.call("flush", self._store)
        except LedgersRefused:
            self._buffer.clear()  # they are written again one by one, without the bad one
            raise
        self._buffer.clear()

    def _reach(self) -> None:
        """Connect the first time; without a policy, servers that are not there are told at once."""
        if self._reached:
            return
        if self._waits:
            self._guard.call("open", self._ask)
        else:
            self._ask()
        self._reached = True

    def _store(self) -> None:
        """Commit, again where another writer came between: by then it may have written the same."""
        for turn in range(_TURNS):
            try:
                self._attempt()
                return
            except Overtaken:
                self._let_go()
                self._tell_of_others()
                bound = min(_LONGEST_TURN, 0.02 * 2**turn)
                threading.Event().wait(random.uniform(0, bound))  # noqa: S311  not all at once
            except BaseException:
                self._let_go()
                raise
        raise SinkError(
            f"other writers took over {self._shared} {_TURNS} times before a transaction got through: run"
            f" fewer writers on one {self._prefix}, or let each bring more ledgers at once"
        )

    def _missing(self, kept: Kept) -> LedgerSet:
        return self._buffer.ledgers - self._log.covered(kept.table.name)

    def _refresh(self) -> None:
        """Read what is there; refuse places that were written otherwise."""
        self._log.refresh()
        for kept in self._tables:
            if there := self._log.making(kept.table.name):
                place = self._place(kept.table.name)
                kept.making.check(there, place=place, remedy=f"choose another {self._prefix}")

    def _tell_of_others(self) -> None:
        if not self._told_of_others:
            _log.info("another writer writes to %s, too: taking turns with it", self._shared)
        self._told_of_others = True
