"""Which ledgers a table has, how many rows, and what they were made from: one JSON text beside the rows.

A table's log names the text in the same commit as the rows it tells of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import Table, as_schema, columns_of, is_typed, table, written
from stellarrow.errors import Damaged, SchemaMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.registry import SinkOptions
from stellarrow.sinks.lakehouse.columns import stored_columns
from stellarrow.sinks.transactional.makings import check_made_alike, making_texts, meant_tables
from stellarrow.sinks.transactional.stored_columns import StoredColumns

STRIDE: Final = 100_000  # ledgers whose rows are counted together: a few hundred numbers for all of history
_FORMAT: Final = 1
_TYPED_FORMAT: Final = 2  # has columns, too
_FACTS: Final = ("table", "schema_version", "network", "filter", "decoded", "transfers")


@dataclass(frozen=True, slots=True)
class Making:
    """What rows are made from: texts that stay the same in a table."""

    table: str
    schema_version: str
    network: str
    filter: str = ""
    decoded: str = ""
    transfers: str = ""

    def check(self, where: str, there: Making) -> None:
        """Refuse a table that was written otherwise."""
        check_made_alike(_FACTS, self, there, place=where, remedy="choose another place")

    def columns(self, meant: Table | None = None) -> pa.Schema:
        """Return the columns of the rows, as the table itself has them."""
        where = Filter(**json.loads(self.filter or "{}"))
        found = meant or table(f"{self.table}@{self.schema_version}")
        return columns_of(found, where, decoded=bool(self.decoded))


@dataclass(frozen=True, slots=True)
class Kept:
    """A table of a sink: `asked` as in the batches, and what its rows are made from."""

    asked: str
    meant: Table
    making: Making

    @property
    def stored(self) -> StoredColumns:
        """The columns of its rows, and what they are in the place."""
        return stored_columns(self.making.columns(self.meant), is_typed=is_typed(self.meant.name))


def kept_tables(tables: Sequence[str], sink: str, options: SinkOptions) -> list[Kept]:
    """Return what a sink keeps; two versions of one table are refused."""
    decoded, transfers = options.decoded, options.transfers

    def making(meant: Table) -> Making:
        texts = making_texts(meant, options.network, options.where, decoded=decoded, transfers=transfers)
        return Making(meant.name, *texts)

    apart = "name: extract them to two places"
    found = meant_tables(tables, sink, apart=apart)
    return [Kept(asked, meant, making(meant)) for asked, meant in found]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is there of a table; `rows` are counted by stride of ledgers.

    `typed` are the columns of a contract's own table; other tables are known by their names.
    """

    making: Making
    ledgers: LedgerSet = field(default_factory=LedgerSet)
    rows: Mapping[int, int] = field(default_factory=dict)
    typed: pa.Schema | None = None

    @property
    def stored(self) -> StoredColumns:
        """The columns of the rows, and what they are in the place."""
        known = self.making.columns() if self.typed is None else self.typed
        return stored_columns(known, is_typed=self.typed is not None)

    def grown(self, ledgers: LedgerSet, rows: Mapping[int, int], typed: pa.Schema | None = None) -> Coverage:
        """Return what is there with more."""
        counted = Counter(self.rows) + Counter(rows)
        return Coverage(self.making, self.ledgers | ledgers, counted, self.typed if typed is None else typed)

    def shrunk(self, ledgers: LedgerSet, rows: Mapping[int, int]) -> Coverage:
        """Return what is there once ledgers, and the rows of every stride that are left, are known."""
        return Coverage(self.making, self.ledgers - ledgers, dict(rows), self.typed)

    def encode(self) -> bytes:
        """Return the text; no two are alike, so that a log that names one tells whose commit it was."""
        told = {
            "format": _FORMAT if self.typed is None else _TYPED_FORMAT,
            **{fact: getattr(self.making, fact) for fact in _FACTS},
            "ledgers": [[part.first, part.end] for part in self.ledgers],
            "rows": {str(stride): count for stride, count in sorted(self.rows.items())},
            "nonce": token_hex(8),
            **({} if self.typed is None else {"columns": written(self.typed)}),
        }
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, where: str, text: bytes | str) -> Coverage:
        """Read the text; what is none of ours is Damaged."""
        try:
            told: dict[str, Any] = json.loads(text)
            if told["format"] not in (_FORMAT, _TYPED_FORMAT):
                raise SchemaMismatch(f"{where} was written by a newer stellarrow: update this one")
            return cls(
                Making(**{fact: told[fact] for fact in _FACTS}),
                LedgerSet(LedgerRange(first, last) for first, last in told["ledgers"]),
                {int(stride): int(count) for stride, count in told["rows"].items()},
                as_schema(told["table"], told["columns"]) if told["format"] == _TYPED_FORMAT else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(
                f"the coverage of {where} is no text that stellarrow wrote: write all of it to another place"
            ) from error


def stride_of(ledger: int) -> int:
    """Return the first ledger of those that are counted together with a ledger."""
    return ledger - ledger % STRIDE


def by_stride(counts: Iterable[tuple[int, int]]) -> Counter[int]:
    """Add up rows of ledgers."""
    found: Counter[int] = Counter()
    for ledger, rows in counts:
        found[stride_of(ledger)] += rows
    return found
