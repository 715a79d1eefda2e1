"""Which batches of rows count: a list of commits, each of which takes the next number, or is none.

A commit is one INSERT of one block, so it is there whole or not at all. Of those that want a number only the
first gets it: its token is the number, and a server drops what comes with a token that it had before. Who is
too late by more tokens than a server remembers asks for a number that is no longer the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import as_schema, written
from stellarrow.errors import ConfigError, Damaged, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.clickhouse import ddl
from stellarrow.sinks.clickhouse.ddl import quoted
from stellarrow.sinks.clickhouse.server import Absent, Server, text
from stellarrow.sinks.transactional.makings import check_made_alike

_LOST_TOKENS: Final = 20  # of commits that a server noted, and then died before they were there


@dataclass(frozen=True, slots=True)
class Making:
    """What a table's rows are made from: texts that must stay the same."""

    schema_version: str
    network: str
    filter: str
    decoded: str
    transfers: str

    def check(self, table: str, there: Making) -> None:
        """Refuse a table that was written otherwise."""
        check_made_alike(self.__slots__, self, there, place=f"table {table}", remedy="name another database")


@dataclass(frozen=True, slots=True)
class Part:
    """What a commit holds of one table; `columns` where those of a contract's own become more."""

    table: str
    batch: int
    ledgers: LedgerSet
    rows: int
    making: Making
    columns: pa.Schema | None = None

    def value(self) -> str:
        """Return it as a value of an INSERT."""
        firsts = ",".join(str(one.first) for one in self.ledgers)
        lasts = ",".join(str(one.end) for one in self.ledgers)
        told = asdict(self.making)
        if self.columns is not None:
            told |= {"columns": written(self.columns)}
        making = json.dumps(told, separators=(",", ":"))
        return f"({quoted(self.table)}, [{firsts}], [{lasts}], {self.rows}, {quoted(making)})"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Part:
        """Read a row of the list; what is none of ours is Damaged."""
        try:
            made = json.loads(text(row["making"]))
            ledgers = LedgerSet(
                LedgerRange(first, last) for first, last in zip(row["firsts"], row["lasts"], strict=True)
            )
            making = Making(**{fact: made[fact] for fact in Making.__slots__})
            table, told = text(row["table"]), made.get("columns")
            columns = as_schema(table, told) if told else None
            return cls(table, row["batch"], ledgers, row["rows"], making, columns)
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise Damaged(
                f"{ddl.COMMITS} has a row that no stellarrow wrote (seq {row.get('seq')}): remove it, or name"
                " another database"
            ) from error


class Commits:
    """What the list said when it was read last; to be read on from there."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._list = f"`{server.address.database}`.{ddl.COMMITS}"
        self._next = 1
        self._covered: dict[str, LedgerSet] = {}
        self._makings: dict[str, Making] = {}
        self.columns: dict[str, pa.Schema] = {}  # of contracts' own tables

    @property
    def tables(self) -> list[str]:
        """The tables that are there, sorted."""
        return sorted(self._covered)

    def covered(self, table: str) -> LedgerSet:
        """Return the ledgers that are there of a table."""
        return self._covered.get(table, LedgerSet())

    def making(self, table: str) -> Making | None:
        """Return what a table was made from, None where nothing was written to it."""
        return self._makings.get(table)

    def refresh(self) -> set[int]:
        """Read what was committed since, and return the batches."""
        try:
            found = self._server.rows(
                f"SELECT seq, batch, table, firsts, lasts, rows, making FROM {self._list}"
                f" WHERE seq >= {self._next} ORDER BY seq"
            )
        except Absent:
            found = []
        for row in found:
            part = Part.of(row)
            self._covered[part.table] = self.covered(part.table) | part.ledgers
            self._makings[part.table] = part.making
            if part.columns is not None:
                self.columns[part.table] = part.columns
            self._next = max(self._next, row["seq"] + 1)
        return {row["batch"] for row in found}

    def parts(self, table: str) -> list[Part]:
        """Return all that was committed of a table."""
        query = f"SELECT * FROM {self._list} WHERE table = {quoted(table)} ORDER BY seq"
        return [Part.of(row) for row in self._server.rows(query)]

    def enter(self, parts: Sequence[Part]) -> bool:
        """Commit, as the next after all that this list knows of; False where another came first."""
        for number in range(self._next, self._next + _LOST_TOKENS):
            self._insert(number, parts)
            if found := self.refresh():
                return parts[0].batch in found
        raise SinkError(
            f"{self._server.address} takes INSERTs into {ddl.COMMITS}, but shows none: write to one server,"
            " not to replicas in turn"
        )

    def _insert(self, number: int, parts: Sequence[Part]) -> None:
        values = ", ".join(part.value() for part in parts)
        batch = parts[0].batch
        self._server.do(
            f"INSERT INTO {self._list} (seq, batch, table, firsts, lasts, rows, making)"
            f" SETTINGS insert_deduplicate = 1, insert_deduplication_token = '{number}', async_insert = 0,"
            " max_threads = 1"
            f" SELECT {number}, {batch}, c1, c2, c3, c4, c5"
            f" FROM values('c1 String, c2 Array(UInt32), c3 Array(UInt32), c4 UInt64, c5 String', {values})"
            f" WHERE (SELECT count() FROM {self._list} WHERE seq >= {self._next}) = 0"
        )
