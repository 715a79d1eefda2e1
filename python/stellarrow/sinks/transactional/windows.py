"""Which ledgers a table has: a record for each thousand ledgers, in messages beside those of the rows.

A record is written in the transaction of the rows it tells of, and replaces the one before it of its key. It
also tells between which offsets these rows lie, so that a range can be read without reading all.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import Damaged, SchemaMismatch
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.transactional.makings import check_made_alike

WINDOW: Final = 1_000  # ledgers that one record tells of
_FORMAT: Final = 1

Offsets = Mapping[int, tuple[int, int]]  # of a partition, the first and the one after the last


@dataclass(frozen=True, slots=True)
class Making:
    """What rows are made from, and how messages are: texts that must stay the same in a topic."""

    schema_version: str
    network: str
    filter: str
    decoded: str
    transfers: str
    encoding: str
    key: str

    def check(self, there: Making, *, place: str, remedy: str) -> None:
        """Refuse a place that was written otherwise."""
        check_made_alike(self.__slots__, self, there, place=place, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Window:
    """What is there of the ledgers of one record."""

    table: str
    first: int
    making: Making
    ledgers: LedgerSet
    rows: int
    offsets: Offsets

    def grown(self, ledgers: LedgerSet, rows: int, offsets: Offsets) -> Window:
        """Return what there is with more ledgers."""
        spans = dict(self.offsets)
        for partition, (first, end) in offsets.items():
            before = spans.get(partition, (first, end))
            spans[partition] = (min(first, before[0]), max(end, before[1]))
        return Window(self.table, self.first, self.making, self.ledgers | ledgers, self.rows + rows, spans)

    def encode(self, **where: Any) -> bytes:
        """Return the record; `where` says in the place's own way where the rows lie."""
        told = {
            "format": _FORMAT,
            "table": self.table,
            **{fact: getattr(self.making, fact) for fact in Making.__slots__},
            "ledgers": [[part.first, part.end] for part in self.ledgers],
            "rows": self.rows,
            **where,
        }
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(
        cls, key: str, value: bytes, where: Callable[[Any], Offsets], *, place: str, remedy: str
    ) -> Window:
        """Read a record, whose key ends in its first ledger; what is none of ours is Damaged."""
        try:
            told: dict[str, Any] = json.loads(value)
            if told["format"] != _FORMAT:
                raise newer(place, remedy)
            return cls(
                told["table"],
                int(re.split(r"[./]", key)[-1]),
                Making(**{fact: told[fact] for fact in Making.__slots__}),
                LedgerSet(LedgerRange(first, last) for first, last in told["ledgers"]),
                told["rows"],
                where(told),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(
                f"{place} holds a record that no stellarrow wrote ({key[:60]!r}): delete it, or {remedy}"
            ) from error


def newer(place: str, remedy: str) -> SchemaMismatch:
    """Return the refusal of a record in a format that is not known yet."""
    return SchemaMismatch(f"{place} was written by a newer stellarrow: update this one, or {remedy}")


class Windows(ABC):
    """What the records said when they were read last; to be read on from there."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[int, Window]] = {}
        self._covered: dict[str, LedgerSet] = {}
        self.columns: dict[str, pa.Schema] = {}  # of contracts' own tables, where a place keeps them

    @property
    def tables(self) -> list[str]:
        """The tables that are there, sorted."""
        return sorted(self._windows)

    @abstractmethod
    def refresh(self) -> None:
        """Read what was committed since."""

    def forget(self) -> None:
        """Know nothing any more; the next refresh reads all."""
        self._windows, self._covered, self.columns = {}, {}, {}

    def apply(self, window: Window) -> None:
        """Take over a record that was committed."""
        self._windows.setdefault(window.table, {})[window.first] = window
        self._covered[window.table] = self.covered(window.table) | window.ledgers

    def covered(self, table: str) -> LedgerSet:
        """Return the ledgers that are there of a table."""
        return self._covered.get(table, LedgerSet())

    def making(self, table: str) -> Making | None:
        """Return how a table's topic was written, None where it was not yet."""
        return next((one.making for one in self._windows.get(table, {}).values()), None)

    def windows(self, table: str, ledgers: LedgerRange) -> Iterator[Window]:
        """Yield the records that tell of some of these ledgers, in their order."""
        held = self._windows.get(table, {})
        wanted = LedgerSet([ledgers])
        for first in sorted(
            first for first in held if first <= ledgers.end and ledgers.first < first + WINDOW
        ):
            if held[first].ledgers & wanted:
                yield held[first]

    def grown(
        self,
        table: str,
        making: Making,
        ledgers: LedgerSet,
        rows: Mapping[int, int],
        offsets: Mapping[int, Offsets],
    ) -> Iterator[Window]:
        """Yield the records that a transaction writes: rows and offsets are by the window they lie in."""
        for first in sorted({start for part in ledgers for start in _starts(part)}):
            there = self._windows.get(table, {}).get(first) or Window(
                table, first, making, LedgerSet(), 0, {}
            )
            part = ledgers & LedgerSet([LedgerRange(first, first + WINDOW - 1)])
            yield there.grown(part, rows.get(first, 0), offsets.get(first, {}))


def window_of(ledger: int) -> int:
    """Return the first ledger of the record that tells of a ledger."""
    return ledger - ledger % WINDOW


def _starts(part: LedgerRange) -> range:
    return range(window_of(part.first), part.end + 1, WINDOW)
