"""What an aggregate asks for: `sum(amount_raw) as volume, count(*) by asset`, compiled once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.sql import windows
from stellarrow.sql.aliases import in_columns
from stellarrow.sql.compiler import Value, compiled
from stellarrow.sql.parsing import parse_columns, shown, split_groups

with needing("SQL", "sql"):
    from sqlglot import expressions as sql

COUNT, SUM, MIN, MAX, DISTINCT = "count", "sum", "min", "max", "distinct"
_FUNCTIONS: Final = {sql.Count: COUNT, sql.Sum: SUM, sql.Min: MIN, sql.Max: MAX}
_NAMES: Final = "count, sum, min and max"
_TEXT: Final = "_text"  # behind the name of a number: the same as text, also where it has a 39th digit


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are grouped by."""

    name: str
    value: Value

    def array(self, rows: pa.RecordBatch) -> pa.Array:
        return _array(self.value, rows)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One figure of a group: `value` is None of count(*), `condition` says which rows count.

    `of_one_ledger` tells that no value is in two ledgers, so that each ledger's may be counted by themselves.
    """

    name: str
    function: str
    value: Value | None
    condition: Value | None
    of_one_ledger: bool = False

    @property
    def type(self) -> pa.DataType:
        """The type of what is kept while rows come: sums never wrap in it."""
        if self.function in (COUNT, DISTINCT):
            return pa.int64()
        assert self.value is not None  # noqa: S101  for the type checker
        kind = self.value.type
        if self.function == SUM:
            return pa.decimal256(76, kind.scale if pa.types.is_decimal(kind) else 0)
        return kind

    @property
    def has_text(self) -> bool:
        """Whether it may need more digits than a number of a column has."""
        if self.function == SUM and self.value is not None:
            return bool(pa.types.is_decimal(self.value.type))
        return bool(pa.types.is_decimal256(self.type))

    @property
    def fields(self) -> Iterator[pa.Field]:
        """The columns it becomes: exact as text too, where a number may not hold it."""
        kind = self.type
        if pa.types.is_decimal256(kind):
            kind = pa.decimal128(38, kind.scale)
        yield pa.field(self.name, kind, nullable=self.function not in (COUNT, DISTINCT))
        if self.has_text:
            yield pa.field(f"{self.name}{_TEXT}", pa.string())

    def array(self, rows: pa.RecordBatch) -> pa.Array:
        """Return what counts of each row: null where the row does not."""
        made = pa.repeat(pa.scalar(True), rows.num_rows) if self.value is None else _array(self.value, rows)
        if self.condition is not None:
            counts = pc.fill_null(_array(self.condition, rows), False)
            made = pc.if_else(counts, made, pa.scalar(None, made.type))
        return made


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate of a table's rows: what they are grouped by, and what is asked of each group."""

    text: str
    keys: tuple[Key, ...]
    aggregates: tuple[Aggregate, ...]

    def schema(self, window: str = "") -> pa.Schema:
        """Return the columns of the answer."""
        keys = [pa.field(one.name, one.value.type) for one in self.keys]
        figures = [field for one in self.aggregates for field in one.fields]
        return pa.schema([*([windows.FIELD] if window else []), *keys, *figures])


def aggregation(table: str, columns: pa.Schema, whole: pa.Schema, text: str) -> Aggregation:
    """Compile an aggregate of a table; ConfigError where it cannot be meant."""
    figures, groups = split_groups(text)
    keys = tuple(
        _key(tree, columns, table, whole) for tree in (parse_columns(groups, option="by") if groups else ())
    )
    aggregates = tuple(
        _aggregate(tree, columns, table, whole) for tree in parse_columns(figures, option="aggregate")
    )
    made = Aggregation(text, keys, aggregates)
    _refuse_doubles(made.schema("1m").names if windows.CLOSED_AT in columns.names else made.schema().names)
    return made


def _refuse_doubles(names: Sequence[str]) -> None:
    folded = [name.lower() for name in names]
    for name in folded:
        if folded.count(name) > 1:
            raise ConfigError(f"two columns of the answer are called {name!r}: name one otherwise, with AS")


def _key(tree: Any, columns: pa.Schema, table: str, whole: pa.Schema) -> Key:
    inner = in_columns(tree.unalias(), columns).unalias()
    value = compiled(inner, columns, table, whole)
    if pa.types.is_decimal256(value.type):
        raise ConfigError(
            f"by: {shown(tree)} may have more digits than a column: group by its text, such as amount_text"
        )
    if pa.types.is_list(value.type):
        raise ConfigError(f"by: {shown(tree)} is a list: group by one of its elements")
    name = tree.alias_or_name if isinstance(tree, sql.Alias | sql.Column) else ""
    if not name and isinstance(inner, sql.TimestampTrunc | sql.DateTrunc):
        name = str(inner.args["unit"].name).lower()
    if not name:
        raise ConfigError(f"by: {shown(tree)} has no name: write {shown(tree)} AS name")
    return Key(name, value)


def _aggregate(tree: Any, columns: pa.Schema, table: str, whole: pa.Schema) -> Aggregate:
    inner = tree.this if isinstance(tree, sql.Alias) else tree
    condition = None
    if isinstance(inner, sql.Filter):
        written = in_columns(inner.expression.this, columns)
        condition = compiled(written.unalias(), columns, table, whole)
        if condition.type != pa.bool_():
            raise ConfigError(f"{shown(tree)}: what FILTER (WHERE …) says must be true or false")
        inner = inner.this
    function = _FUNCTIONS.get(type(inner))
    if function is None:
        hint = ": a mean is not exact, so ask for sum and count" if isinstance(inner, sql.Avg) else ""
        raise ConfigError(f"{shown(tree)} is no aggregate that is known, which are {_NAMES}{hint}")
    argument = inner.this
    if argument is None or inner.args.get("expressions"):
        raise ConfigError(f"{shown(tree)}: {function} takes one value; count(*) counts rows")
    if isinstance(argument, sql.Distinct):
        function, argument = _distinct(tree, function, argument)
    name = tree.alias or _default_name(tree, function, argument)
    if isinstance(argument, sql.Star):
        return Aggregate(name, function, None, condition)
    value = compiled(in_columns(argument, columns).unalias(), columns, table, whole)
    _check_type(tree, function, value.type)
    of_one_ledger = function == DISTINCT and _is_column(argument, "transaction_hash")
    return Aggregate(name, function, value, condition, of_one_ledger)


def _distinct(tree: Any, function: str, argument: Any) -> tuple[str, Any]:
    if function != COUNT or len(argument.expressions) != 1:
        raise ConfigError(f"{shown(tree)}: DISTINCT stands in count(DISTINCT one value) alone")
    return DISTINCT, argument.expressions[0]


def _is_column(tree: Any, name: str) -> bool:
    return isinstance(tree, sql.Column) and tree.name.lower() == name


def _default_name(tree: Any, function: str, argument: Any) -> str:
    if isinstance(argument, sql.Star):
        return COUNT
    if isinstance(argument, sql.Column):
        return f"{function}_{argument.name.lower()}"
    raise ConfigError(f"{shown(tree)} has no name: write {shown(tree)} AS name")


def _check_type(tree: Any, function: str, kind: pa.DataType) -> None:
    if function == SUM and not (pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        floats = " cast it to a decimal, which is exact" if pa.types.is_floating(kind) else " sum a number"
        raise ConfigError(f"{shown(tree)}: it is {kind}:{floats}")
    if function in (MIN, MAX, DISTINCT) and pa.types.is_list(kind):
        raise ConfigError(f"{shown(tree)}: it is a list: ask for one of its elements")


def _array(value: Value, rows: pa.RecordBatch) -> pa.Array:
    """Evaluate for each row, in the type that was compiled."""
    made = value.evaluate(rows)
    if isinstance(made, pa.Scalar):
        made = pa.repeat(made, rows.num_rows)
    return made if made.type == value.type else pc.cast(made, value.type)
