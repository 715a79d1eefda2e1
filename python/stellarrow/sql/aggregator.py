"""Rows in, figures of their groups out: exact, and within a bound of memory.

Each lot of rows is grouped by Arrow's kernels, and what that gives is merged with what was there. Numbers are
summed as decimals of 76 digits: a value has at most 57 of them, so that 10^19 rows cannot make a sum wrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.sql import windows
from stellarrow.sql.aggregation import COUNT, DISTINCT, SUM, Aggregate, Aggregation
from stellarrow.sql.groups import Groups, Limits

_LOT: Final = 1 << 15  # rows that are grouped at once
_SUMMED_DIGITS: Final = 57
_COLUMN_DIGITS: Final = 38
_ALL: Final = "all"  # a key of its own, where rows are grouped by nothing
_VALUE: Final = "value"
_LEDGER: Final = "ledger_sequence"
_MERGE: Final = {COUNT: "sum", SUM: "sum", "min": "min", "max": "max"}


class Aggregator:
    """Figures of the rows that were added; one thread adds at a time."""

    def __init__(
        self, asked: Aggregation, window: str = "", *, limits: Limits | None = None, in_order: bool = False
    ) -> None:
        """Begin; `in_order` promises that rows come in the order of ledgers, so that less has to be kept."""
        self._asked = asked
        distinct = [at for at, one in enumerate(asked.aggregates) if one.function == DISTINCT]
        self._settled = {at for at in distinct if in_order and asked.aggregates[at].of_one_ledger}
        self._window = window
        limits = limits or Limits()
        self._keys = [*([windows.START] if window else []), *(f"key{at}" for at in range(len(asked.keys)))]
        self._keys = self._keys or [_ALL]
        plain = [(f"figure{at}", one) for at, one in enumerate(asked.aggregates) if one.function != DISTINCT]
        self._plain = dict(plain)
        self._groups = Groups(
            self._keys, [(name, _MERGE[one.function]) for name, one in plain], limits, asked.text
        )
        self._distinct = {
            at: Groups(self._keys, [(_VALUE, "sum")], limits, asked.text)
            if at in self._settled
            else Groups([*self._keys, _VALUE], [], limits, asked.text)
            for at in distinct
        }
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Take rows; ConfigError where that makes too many groups, or they have values it cannot take."""
        if rows.num_rows:
            self._waiting.append(rows)
            self._rows += rows.num_rows
        if self._rows >= _LOT:
            self._take()

    def answer(self) -> pa.Table:
        """Return a row a group, in the order of windows and keys."""
        self._take(whole=True)
        return self._made(self._groups.merged(), {at: one.merged() for at, one in self._distinct.items()})

    def take_before(self, moment: datetime) -> pa.Table:
        """Return, and forget, the windows that begin before a moment: nothing of them is still to come."""
        self._take()
        ended = self._groups.take_before(moment)
        return self._made(ended, {at: one.take_before(moment) for at, one in self._distinct.items()})

    def _take(self, *, whole: bool = False) -> None:
        """Group what waits; without the last ledger where each is counted by itself and may go on."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if not waiting:
            return
        rows = pa.concat_batches(waiting) if len(waiting) > 1 else waiting[0]
        if self._settled and not whole:
            ledgers = rows.column(_LEDGER)
            at = pc.index(ledgers, ledgers[-1]).as_py()
            self._waiting = [rows.slice(at)]
            rows = rows.slice(0, at)
        size = max(rows.num_rows, 1) if self._settled else _LOT
        for at in range(0, rows.num_rows, size):
            self._group(rows.slice(at, size))

    def _group(self, rows: pa.RecordBatch) -> None:
        try:
            keys = self._key_arrays(rows)
            made = {name: _summable(one, one.array(rows)) for name, one in self._plain.items()}
            values = {at: self._asked.aggregates[at].array(rows) for at in self._distinct}
        except (pa.ArrowException, ArithmeticError, ValueError) as error:
            ledgers = rows.column(_LEDGER)
            raise ConfigError(
                f"ledgers {ledgers[0]} to {ledgers[-1]} have values that the aggregate cannot take"
                f" ({error}): leave their rows out, with a filter"
            ) from error
        functions = [(name, one.function) for name, one in self._plain.items()]
        self._groups.add(pa.table({**keys, **made}), functions)
        for at, held in values.items():
            table = pa.table({**keys, _VALUE: held}).filter(pc.is_valid(held))
            if at in self._settled:
                self._distinct[at].add(_distinct_values(table, self._keys), [(_VALUE, "count")])
            else:
                self._distinct[at].add(table, [])

    def _key_arrays(self, rows: pa.RecordBatch) -> dict[str, pa.Array]:
        if self._keys == [_ALL]:
            return {_ALL: pa.repeat(pa.scalar(0, pa.int8()), rows.num_rows)}
        arrays = [one.array(rows) for one in self._asked.keys]
        if self._window:
            arrays.insert(0, windows.window_of(rows.column(windows.CLOSED_AT), self._window))
        return dict(zip(self._keys, arrays, strict=True))

    def _made(self, groups: pa.Table | None, distinct: dict[int, pa.Table | None]) -> pa.Table:
        schema = self._asked.schema(self._window)
        if groups is None:
            return self._of_nothing(schema)
        groups = groups.sort_by([(name, "ascending") for name in self._keys])
        for at, values in distinct.items():
            counts = values if values is None or at in self._settled else _counts(values, self._keys)
            groups = _counted(groups, counts, self._keys, f"figure{at}")
        columns = [groups[name] for name in self._keys if name != _ALL]
        for at, one in enumerate(self._asked.aggregates):
            columns += _columns(one, groups[f"figure{at}"])
        made = [_as(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.table(made, schema)

    def _of_nothing(self, schema: pa.Schema) -> pa.Table:
        """Return what SQL says of no rows: none, or one where they are grouped by nothing."""
        if self._keys != [_ALL]:
            return schema.empty_table()
        row = {field.name: None if field.nullable else 0 for field in schema}
        return pa.Table.from_pylist([row], schema)


def _summable(one: Aggregate, values: pa.Array) -> pa.Array:
    """Return what is summed as decimals of so few digits that no sum wraps; ArrowInvalid for more."""
    if one.function != SUM:
        return values
    kind = values.type
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    if pa.types.is_integer(kind):
        values = pc.cast(values, pa.decimal256(20, 0))
    elif kind.precision > _SUMMED_DIGITS:
        values = pc.cast(values, pa.decimal256(_SUMMED_DIGITS, scale))
    return pc.cast(values, pa.decimal256(76, scale))


def _distinct_values(rows: pa.Table, keys: list[str]) -> pa.Table:
    return rows.group_by([*keys, _VALUE], use_threads=False).aggregate([])


def _counts(values: pa.Table, keys: list[str]) -> pa.Table:
    """Count the distinct values of each group."""
    counted = values.group_by(keys, use_threads=False).aggregate([(_VALUE, "count")])
    return counted.rename_columns([*keys, _VALUE])


def _counted(groups: pa.Table, counts: pa.Table | None, keys: list[str], name: str) -> pa.Table:
    """Add to groups, which are in order, how many distinct values each has."""
    none = pa.repeat(pa.scalar(0, pa.int64()), len(groups))
    if counts is None or not len(counts):
        return groups.append_column(name, none)
    # A join finds no keys that are null; a group of its own merges them.
    both = pa.concat_tables([groups.select(keys).append_column(_VALUE, none), counts])
    summed = both.group_by(keys, use_threads=False).aggregate([(_VALUE, "sum")])
    return groups.append_column(name, summed.sort_by([(key, "ascending") for key in keys])[f"{_VALUE}_sum"])


def _columns(one: Aggregate, figures: pa.ChunkedArray) -> Iterator[pa.ChunkedArray]:
    """Yield the columns a figure becomes: a number, null beyond 38 digits, and the exact text."""
    if not pa.types.is_decimal256(figures.type):
        yield pc.fill_null(figures, 0) if one.function == COUNT else figures
        return
    scale = figures.type.scale
    # Made of digits: arithmetic of Python's decimals rounds.
    least, most = (pa.scalar(Decimal((sign, (9,) * _COLUMN_DIGITS, -scale)), figures.type) for sign in (1, 0))
    fits = pc.and_(pc.less_equal(figures, most), pc.greater_equal(figures, least))
    yield pc.cast(
        pc.if_else(fits, figures, pa.scalar(None, figures.type)), pa.decimal128(_COLUMN_DIGITS, scale)
    )
    if one.has_text:
        yield pa.chunked_array([[_text(value) for value in figures.to_pylist()]], pa.string())


def _text(value: Decimal | None) -> str | None:
    """Return a number in digits, never with an exponent, as Arrow writes small ones."""
    return None if value is None else format(value, "f")


def _as(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == wanted else pc.cast(column, wanted)
