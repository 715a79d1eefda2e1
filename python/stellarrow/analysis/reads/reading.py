"""Hot rows and stored tables read as one: each ledger once, in one order, as of one ledger.

A Snapshot is a table at a moment. Ledgers that are in memory are taken from there, the others from files.
What is asked of it is a Question; where an answer goes on is a place in the order of rows, which stays the
same whether ledgers lie in memory or in files by then.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stellarrow.analysis.reads.conditions import Compiled, Conditions, compiled
from stellarrow.analysis.reads.hot import Hot, Picture
from stellarrow.analysis.reads.order import key_of, turned
from stellarrow.analysis.reads.refusals import NotFound, Refused
from stellarrow.analysis.reads.stored import Stored
from stellarrow.analysis.reads.stored_table import StoredTable
from stellarrow.core.tables import is_typed, schema
from stellarrow.errors import nearest
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import shortened
from stellarrow.sinks.files.departures import Absence
from stellarrow.sinks.files.lacking import absent, lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Rows of a table: of which ledgers, under which conditions, in which order; no columns mean all.

    `asked` is how people wrote the ledgers: a time that counts from now means others a moment later.
    """

    table: str
    ledgers: LedgerRange = field(default_factory=lambda: LedgerRange(0))
    conditions: Conditions = field(default_factory=Conditions)
    columns: tuple[str, ...] = ()
    descending: bool = False
    asked: str = ""

    @property
    def shape(self) -> str:
        """What a place in the answer is made for: the same of the same rows in the same order."""
        asked = [self.table, self.asked, self.conditions.to_dict(), self.descending]
        return hashlib.blake2b(json.dumps(asked).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table at a moment; `as_of` is the last ledger it has, 0 where it has none."""

    name: str
    schema: pa.Schema
    hot: Picture
    stored: StoredTable | None
    is_followed: bool = False  # whether its newest ledgers come from a source, and its tail is to come

    @property
    def coverage(self) -> LedgerSet:
        hot = self.hot.coverage
        if not self.stored:
            return hot
        return hot | self.stored.coverage if hot else self.stored.coverage

    @property
    def as_of(self) -> int:
        coverage = self.coverage
        return coverage.last if coverage else 0

    @property
    def gone(self) -> LedgerSet:
        """The ledgers that were archived or deleted, and are nowhere here."""
        if not self.stored or not (gone := self.stored.departures.gone):
            return LedgerSet()
        return gone - self.hot.coverage

    @property
    def known(self) -> LedgerSet:
        """The ledgers that are here, or that were."""
        gone = self.gone
        return self.coverage | gone if gone else self.coverage

    @property
    def last_known(self) -> int:
        """The last ledger that is here, or that was; 0 where there was none."""
        known = self.known
        return known.last if known else 0

    def last_until(self, ledger: int) -> int:
        """Return the last ledger up to one that is here, or that was; 0 where there was none."""
        for part in reversed(self.known.ranges):
            if part.first <= ledger:
                return min(part.end, ledger)
        return 0

    def absences(self, ledgers: LedgerSet) -> tuple[Absence, ...]:
        """Return which of the ledgers left, and where they are, in order."""
        gone = self.gone
        return tuple(self.stored.departures.absences(gone & ledgers)) if self.stored and gone else ()

    def missing(self, asked: LedgerRange) -> LedgerSet:
        """Return which of the ledgers asked for are not here, and are not known to have left."""
        reach = self.stored.reach if self.stored else 0
        return lacking(self.known, asked, reach=reach, has_tail=not self.is_followed)

    def gaps(self, asked: LedgerRange, passed: LedgerRange | None = None) -> tuple[Absence, ...]:
        """Return what an answer lacks of the ledgers asked for, or of those it passed of them, in order."""
        within = LedgerSet([passed or asked])
        missing = absent(self.name, self.missing(asked) & within)
        gone = self.absences(within)
        return (
            tuple(sorted((*gone, *missing), key=lambda one: one.first))
            if gone and missing
            else gone or missing
        )

    def columns(self, asked: Sequence[str]) -> list[str]:
        """Return the columns asked for, all where none are; Refused where one is not there."""
        for one in asked:
            if one not in self.schema.names:
                remedy = nearest(one, self.schema.names, f"choose among {', '.join(self.schema.names)}")
                raise Refused(f"{self.name} has no column {shortened(one)!r}: {remedy}", field="columns")
        if len(set(asked)) < len(asked):
            raise Refused("a column is named twice: name it once", field="columns")
        return list(asked) or self.schema.names

    def answer_schema(self, asked: Sequence[str]) -> pa.Schema:
        """Return the schema of the columns asked for."""
        if not asked:
            return self.schema
        return pa.schema([self.schema.field(one) for one in self.columns(asked)], self.schema.metadata)

    def read(
        self, question: Question, ledgers: LedgerRange, *, is_page: bool = False, for_text: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ledgers that a question asks for, in order, the column of the ledger with them.

        What is wrong with the question is told before the first. Of a page only some of them are read.
        `for_text`, texts may be dictionaries, of which the same text is written.
        """
        conditions = compiled(self.name, self.schema, question.conditions)
        wanted = self.columns(question.columns)
        kept = wanted if "ledger_sequence" in wanted else ["ledger_sequence", *wanted]
        for_text = for_text and not conditions.computed and self._is_stored_alike()
        return self._rows(question, ledgers, conditions, kept, is_page=is_page, for_text=for_text)

    def _is_stored_alike(self) -> bool:
        """Tell whether files have the table's own types."""
        return bool(self.stored and self.stored.schema.types == self.schema.types)

    def _rows(
        self,
        question: Question,
        ledgers: LedgerRange,
        conditions: Compiled,
        columns: list[str],
        *,
        is_page: bool,
        for_text: bool,
    ) -> Iterator[pa.RecordBatch]:
        due = LedgerSet([ledgers]) & LedgerSet([question.ledgers])
        hot = self.hot.coverage
        parts = [(part, True) for part in due & hot] if hot else []
        if self.stored:
            needed = self.schema.names if conditions.computed else [*columns, *key_of(self.name)]
            cold = self.stored.coverage - hot if hot else self.stored.coverage
            parts += [(part, False) for part in due & cold]
        for part, is_hot in sorted(parts, reverse=question.descending):
            if is_hot:
                found = self._warm(part, conditions, descending=question.descending)
            elif self.stored:
                found = self.stored.within(
                    part,
                    needed,
                    conditions,
                    descending=question.descending,
                    is_page=is_page,
                    for_text=for_text,
                )
            for rows in found:
                if rows.num_rows and (meant := conditions.compute(rows)).num_rows:
                    chosen = meant if meant.schema.names == columns else meant.select(columns)
                    yield chosen if for_text else self._alike(chosen)

    def _warm(
        self, ledgers: LedgerRange, conditions: Compiled, *, descending: bool
    ) -> Iterator[pa.RecordBatch]:
        for rows in self.hot.within(ledgers, descending=descending):
            kept = rows if conditions.expression is None else rows.filter(conditions.expression)
            if descending:
                yield from turned(kept)
            else:
                yield kept

    def _alike(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Give rows of files the table's own types, where they were written with signed numbers."""
        own = pa.schema([self.schema.field(name) for name in rows.schema.names], self.schema.metadata)
        return rows if rows.schema.equals(own, check_metadata=True) else rows.cast(own)


class Tables:
    """Every table that is answered. `version` is another one whenever there is more, or less, than before."""

    def __init__(
        self, names: Sequence[str], *, hot: Hot, stored: Stored | None, network: Network | None
    ) -> None:
        self.names = tuple(names)
        self.hot = hot
        self.stored = stored
        self.network = network
        self.version = 0
        self.is_closed = False
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        follows = {name for name in names if name in hot.tables}
        held = stored.tables if stored else {}
        # What is decoded on request is in files alone: one answer has the same columns of every ledger.
        self._schemas = {
            name: schema(name) if name in follows or name not in held else held[name].schema for name in names
        }

    def snapshot(self, name: str) -> Snapshot:
        """Return a table as it is now; NotFound where there is none of that name."""
        if name not in self._schemas:
            if is_typed(name):
                raise NotFound(
                    f"typed tables such as {shortened(name)} are not served here: read them with"
                    " stellarrow sql or sa.scan",
                    field="table",
                )
            remedy = nearest(name, self.names, f"there are {', '.join(self.names)}")
            raise NotFound(f"there is no table {shortened(name)!r} here: {remedy}", field="table")
        # In this order: what moves from memory into files meanwhile is there twice, and not nowhere.
        hot = self.hot.picture(name)
        stored = self.stored.tables.get(name) if self.stored else None
        return Snapshot(name, self._schemas[name], hot, stored, name in self.hot.tables)

    def add(self, name: str, ledgers: LedgerRange, rows: pa.RecordBatch) -> None:
        """Take whole ledgers of a table into memory, and tell who waits."""
        self.add_all(ledgers, {name: rows})

    def add_all(self, ledgers: LedgerRange, rows: Mapping[str, pa.RecordBatch]) -> None:
        """Take whole ledgers of several tables into memory at once, and tell who waits."""
        if self.hot.add_all(ledgers, rows):
            self.changed()

    def make_room(self) -> None:
        """Let go of what writers no longer need, if memory is full."""
        if self.hot.make_room():
            self.changed()

    def look(self) -> None:
        """Look what is stored now, and tell who waits where it is more, or less."""
        if self.stored and self.stored.look():
            self.changed()

    def close(self) -> None:
        """Tell who waits that no more comes."""
        self.is_closed = True
        self.changed()

    def changed(self) -> None:
        """Note that there is more, or less, than before."""
        with self._lock:
            self.version += 1
            listeners = tuple(self._listeners)
        for tell in listeners:
            tell()

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell`, on any thread, whenever there is more; return what ends that, once or again."""
        with self._lock:
            self._listeners.append(tell)

        def end() -> None:
            with self._lock:
                self._listeners = [one for one in self._listeners if one is not tell]

        return end
