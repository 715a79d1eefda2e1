"""A ledger's rows of a table as messages: an Arrow IPC stream, or JSON, all in one or a row each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import LedgersRefused
from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.files.formats.jsonl import JsonLines, lines_of

Encoding = Literal["arrow", "json"]
Key = Literal["ledger", "contract"]

_LEDGER: Final = "ledger_sequence"
_CONTRACT: Final = "contract_id"
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # of an IPC stream
_OVERHEAD: Final = 2_048  # bytes of a message, or of a batch of them, that are not its value
_TOLD: Final = (b"schema_version", b"schema_type")  # of the schema's metadata, in every message

Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent; `rows` is how many rows it holds."""

    ledger: int
    rows: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes the messages of one table; `limit` is what the place takes at most, `remedy` raises it."""

    place: str
    encoding: Encoding
    key: Key
    headers: Headers  # that all have in common
    limit: int
    remedy: str
    a_row_each: bool = True  # where rows are JSON

    def messages(self, rows: pa.RecordBatch, ledgers: LedgerSet) -> Iterator[Outgoing]:
        """Yield the messages of these ledgers, in their order; a ledger without rows has none."""
        schema = _bare(rows.schema)
        made = pa.RecordBatch.from_arrays(rows.columns, schema=schema)
        opening = schema.serialize().to_pybytes() if self.encoding == "arrow" else b""
        for ledger, part in _runs(made, _LEDGER):
            if ledger in ledgers:
                yield from self._of_ledger(int(ledger), part, opening)

    def _of_ledger(self, ledger: int, rows: pa.RecordBatch, opening: bytes) -> Iterator[Outgoing]:
        groups: list[tuple[Any, pa.RecordBatch]] = [(None, rows)]
        if self.key == "contract" and _CONTRACT in rows.schema.names:
            order = pc.sort_indices(rows.column(_CONTRACT))  # stable: rows stay in order
            groups = list(_runs(rows.take(order), _CONTRACT))
        for named, part in groups:
            key = str(ledger if self.key == "ledger" or _CONTRACT not in rows.schema.names else named or "")
            values = self._values(ledger, part, opening)
            for number, (count, value) in enumerate(values, 1):
                headers: Headers = [
                    ("ledger", b"%d" % ledger),
                    ("rows", b"%d" % count),
                    ("part", b"%d/%d" % (number, len(values))),
                ]
                yield Outgoing(ledger, count, key.encode(), value, [*self.headers, *headers])

    def _values(self, ledger: int, rows: pa.RecordBatch, opening: bytes) -> list[tuple[int, bytes]]:
        """Return what messages hold, each with how many rows: several where one would be too large."""
        if self.encoding == "json" and self.a_row_each:
            lines = lines_of(rows).to_pybytes().split(b"\n")[:-1]
            for line in lines:
                self._check(ledger, len(line))
            return [(1, line) for line in lines]
        if self.encoding == "json":
            value = lines_of(rows).to_pybytes().removesuffix(b"\n")
        else:
            value = b"".join((opening, rows.serialize(), _END))
        if len(value) <= self.limit - _OVERHEAD:
            return [(rows.num_rows, value)]
        if rows.num_rows == 1:
            self._check(ledger, len(value))
        half = rows.num_rows // 2
        return [
            *self._values(ledger, rows.slice(0, half), opening),
            *self._values(ledger, rows.slice(half), opening),
        ]

    def _check(self, ledger: int, size: int) -> None:
        if size > self.limit - _OVERHEAD:
            raise LedgersRefused(
                f"a row of ledger {ledger} takes {size:,} bytes, and {self.place} takes messages of"
                f" {self.limit:,}: raise {self.remedy}"
            )


def rows_in(value: bytes, encoding: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a message with the columns of a schema; columns that came later are null."""
    if encoding == "json":
        yield from JsonLines().read(pa.BufferReader(value + b"\n"), schema)
        return
    with pa.ipc.open_stream(value) as stream:
        for rows in stream:
            held = set(rows.schema.names)
            columns = [
                rows.column(one.name) if one.name in held else pa.nulls(rows.num_rows, one.type)
                for one in schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _bare(schema: pa.Schema) -> pa.Schema:
    """Leave the descriptions out: every message would have them."""
    told = {name: value for name, value in (schema.metadata or {}).items() if name in _TOLD}
    return pa.schema([field.remove_metadata() for field in schema], metadata=told)


def _runs(rows: pa.RecordBatch, column: str) -> Iterator[tuple[Any, pa.RecordBatch]]:
    """Yield the rows that follow each other with the same value of a column."""
    runs = pc.run_end_encode(rows.column(column))
    begin = 0
    for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield value, rows.slice(begin, end - begin)
        begin = end
