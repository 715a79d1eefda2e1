"""From a syntax tree to calls of Arrow's kernels. NULL is SQL's: unknown, and what it touches is unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError, nearest
from stellarrow.extras import needing
from stellarrow.net.redaction import shortened
from stellarrow.sql import functions
from stellarrow.sql.numbers import (
    WHOLE_AMOUNT,
    Datum,
    calculate,
    compare,
    convert,
    literal,
    moment,
    remainder,
    whole_amount,
)
from stellarrow.sql.parsing import Condition, shown
from stellarrow.sql.whole_amounts import AMOUNTS

with needing("SQL", "sql"):
    from sqlglot import expressions as sql


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled expression: how to evaluate it, and what it is of no row; a constant is its own sample."""

    evaluate: Callable[[pa.RecordBatch], Datum]
    sample: Datum

    @property
    def type(self) -> pa.DataType:
        return self.sample.type


_COMPARISONS: Final = {
    sql.EQ: "=", sql.NEQ: "<>", sql.LT: "<", sql.LTE: "<=", sql.GT: ">", sql.GTE: ">=",
}  # fmt: skip
_ARITHMETIC: Final = {sql.Add: "+", sql.Sub: "-", sql.Mul: "*", sql.Div: "/"}
_TYPES: Final = {
    "TEXT": pa.string(), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "DOUBLE": pa.float64(),
    "INT": pa.int64(), "BIGINT": pa.int64(), "UINT": pa.int64(), "UBIGINT": pa.decimal128(20, 0),
    "INT128": pa.decimal256(39, 0), "DATE": pa.date32(),
}  # fmt: skip
# What a node may be made of; more, such as a regular expression's flags, would go unheard.
_PARTS: Final = frozenset(
    (
        *("this", "expression", "expressions", "table", "is_string", "low", "high", "ifs", "default", "to"),
        *("true", "false", "start", "length", "unit", "safe", "typed", "offset", "query"),
    )
)
_TIMES: Final = ("TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ", "DATE")


def compiled(
    tree: Condition, columns: pa.Schema, table: str, whole: pa.Schema, *, whole_amounts: bool = False
) -> Value:
    """Compile an expression over a table's columns; `whole` has the columns on request too.

    `whole_amounts` reads amounts of 39 digits from their texts.
    """
    return _Compiler(columns, table, whole, whole_amounts).value(tree)


def field_named(name: str, columns: pa.Schema, table: str, whole: pa.Schema | None = None) -> pa.Field:
    """Find a column, in whatever case it is written."""
    for field in columns:
        if field.name.lower() == name.lower():
            return field
    if whole is not None and name.lower() in whole.names:
        raise ConfigError(
            f"{table} has the column {name!r} only where decoded columns are asked for (--decoded)"
        )
    remedy = nearest(name.lower(), columns.names, f"its columns are {', '.join(columns.names)}", show=repr)
    raise ConfigError(f"{table} has no column {shortened(name)!r}: {remedy}")


@dataclass(frozen=True, slots=True)
class _Compiler:
    columns: pa.Schema
    table: str
    whole: pa.Schema
    whole_amounts: bool

    def value(self, tree: Any) -> Value:
        """Compile a node of the tree by what it is."""
        if {name for name, held in tree.args.items() if held} - _PARTS:
            raise ConfigError(_not_understood(tree))
        if isinstance(tree, sql.Paren):
            return self.value(tree.this)
        if isinstance(tree, sql.Column):
            return self._column(tree)
        if (operator := _COMPARISONS.get(type(tree))) is not None:
            return self._apply(tree, partial(compare, operator), tree.this, tree.expression)
        if (operator := _ARITHMETIC.get(type(tree))) is not None:
            return self._apply(tree, partial(calculate, operator), tree.this, tree.expression)
        if (special := _SPECIAL.get(type(tree))) is not None:
            return special(self, tree)
        if (known := functions.KNOWN.get(type(tree))) is not None:
            function, arguments = known(tree)
            return self._apply(tree, function, *arguments)
        raise ConfigError(_not_understood(tree))

    def _apply(self, tree: Any, function: Callable[..., Datum], *arguments: Any) -> Value:
        """Compile each argument once, then call a function of them."""
        return self._call(tree, function, *[self.value(argument) for argument in arguments])

    def _call(self, tree: Any, function: Callable[..., Datum], *values: Value) -> Value:
        """Call a function of values; of constants alone, now and not for each batch."""
        samples = [value.sample for value in values]
        try:
            sample = function(*samples)
        except (pa.ArrowException, ArithmeticError, ValueError) as error:
            types = " and ".join(_said(one.type) for one in samples)
            reason = f": {error}".removesuffix(".") if isinstance(error, pa.ArrowInvalid) else f" of {types}"
            raise ConfigError(f"{shown(tree)} cannot be computed{reason}") from error
        if all(isinstance(one, pa.Scalar) for one in samples):
            return Value(lambda _: sample, sample)
        evaluates = [value.evaluate for value in values]
        return Value(lambda batch: function(*[evaluate(batch) for evaluate in evaluates]), sample)

    def _column(self, tree: Any) -> Value:
        if tree.table and tree.table != self.table:
            raise ConfigError(f"{shown(tree)} is of another table than {self.table}: name the column alone")
        if tree.this.quoted and tree.name not in self.whole.names:
            raise ConfigError(f"{self.table} has no column {shown(tree)}: text stands in 'single quotes'")
        field = field_named(tree.name, self.columns, self.table, self.whole)
        index = self.columns.get_field_index(field.name)
        text = self.columns.get_field_index(AMOUNTS.get(field.name, "")) if self.whole_amounts else -1
        if text >= 0 and pa.types.is_decimal128(field.type):
            return Value(lambda batch: whole_amount(batch.column(index), batch.column(text)), WHOLE_AMOUNT)
        return Value(lambda batch: batch.column(index), pa.array([], field.type))

    def literal(self, tree: Any) -> Value:
        constant = pa.scalar(str(tree.this)) if tree.is_string else literal(str(tree.this))
        return Value(lambda _: constant, constant)

    def boolean(self, tree: Any) -> Value:
        constant = pa.scalar(bool(tree.this))
        return Value(lambda _: constant, constant)

    def negative(self, tree: Any) -> Value:
        return self._apply(tree, lambda one: calculate("-", pa.scalar(0), one), tree.this)

    def connected(self, tree: Any) -> Value:
        function = functions.all_of if isinstance(tree, sql.And) else functions.any_of
        return self._apply(tree, function, *_operands(tree))

    def inverted(self, tree: Any) -> Value:
        return self._apply(tree, pc.invert, tree.this)

    def remainder(self, tree: Any) -> Value:
        return self._apply(tree, remainder, tree.this, tree.expression)

    def tested(self, tree: Any) -> Value:
        """IS NULL, IS TRUE, IS FALSE; with NOT around them where it says so."""
        wanted = tree.expression
        if isinstance(wanted, sql.Null):
            return self._apply(tree, pc.is_null, tree.this)
        if isinstance(wanted, sql.Boolean):
            match = partial(functions.is_bool, bool(wanted.this))
            return self._apply(tree, match, tree.this)
        raise ConfigError(_not_understood(tree))

    def listed(self, tree: Any) -> Value:
        """IN a list of constants."""
        if not tree.expressions:
            raise ConfigError(f"{shown(tree)}: IN takes a list of values in parentheses")
        value = self.value(tree.this)
        held = _held(tree.expressions, value.type)
        if held is not None:
            return self._call(tree, partial(functions.is_in, held), value)
        return self._call(tree, functions.is_one_of, value, *map(self.value, tree.expressions))

    def between(self, tree: Any) -> Value:
        return self._apply(tree, functions.between, tree.this, tree.args["low"], tree.args["high"])

    def chosen(self, tree: Any) -> Value:
        """CASE WHEN … THEN … ELSE … END, with or without a value to compare."""
        if tree.args.get("default") is None:
            raise ConfigError(f"{shown(tree)} says nothing of other rows: add ELSE")
        branches = [part for branch in tree.args["ifs"] for part in (branch.this, branch.args["true"])]
        if tree.this is None:
            return self._apply(tree, functions.first_true, tree.args["default"], *branches)
        return self._apply(tree, functions.first_equal, tree.args["default"], tree.this, *branches)

    def coalesced(self, tree: Any) -> Value:
        """COALESCE; what follows a column of amounts without nulls is not computed."""
        first, *others = (self.value(one) for one in (tree.this, *tree.expressions))
        made = self._call(tree, pc.coalesce, first, *others)
        scale = made.type.scale if pa.types.is_decimal256(made.type) else None
        if not isinstance(first.sample, pa.Array) or first.type != pa.decimal128(38, scale or 0):
            return made

        def evaluate(batch: pa.RecordBatch) -> Datum:
            known = first.evaluate(batch)
            return made.evaluate(batch) if known.null_count else known

        return Value(evaluate, made.sample) if scale is not None else made

    def cast(self, tree: Any) -> Value:
        name = tree.to.this.name
        if name in _TIMES and isinstance(tree.this, sql.Literal):
            return self._apply(tree, lambda text: moment(text.as_py()), tree.this)
        if name == "DECIMAL":
            target = _decimal(tree)
        elif name in _TYPES:
            target = _TYPES[name]
        else:
            known = ", ".join(sorted(one.lower() for one in (*_TYPES, "DECIMAL(38, 0)")))
            raise ConfigError(f"{shown(tree)}: a value is cast to one of {known}")
        return self._apply(tree, lambda value: convert(value, target), tree.this)


_SPECIAL: Final[dict[type[Any], Callable[[_Compiler, Any], Value]]] = {
    sql.Literal: _Compiler.literal,
    sql.Boolean: _Compiler.boolean,
    sql.Neg: _Compiler.negative,
    sql.And: _Compiler.connected,
    sql.Or: _Compiler.connected,
    sql.Not: _Compiler.inverted,
    sql.Mod: _Compiler.remainder,
    sql.Is: _Compiler.tested,
    sql.In: _Compiler.listed,
    sql.Between: _Compiler.between,
    sql.Case: _Compiler.chosen,
    sql.Cast: _Compiler.cast,
    sql.Coalesce: _Compiler.coalesced,
}


def _held(trees: Sequence[Any], kind: pa.DataType) -> pa.Array | None:
    """Return constants as values of a column's type; None where one is none, or is compared otherwise."""
    is_text = pa.types.is_string(kind)
    if not (is_text or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        return None
    if not all(isinstance(one, sql.Literal) and (one.is_string if is_text else one.is_int) for one in trees):
        return None
    try:
        return pa.array([str(one.this) if is_text else int(one.this) for one in trees], kind)
    except (
        pa.ArrowException,
        OverflowError,
        ValueError,
    ):  # a number of thousands of digits is no int, either
        return None


def _operands(tree: Any) -> list[Any]:
    """Return what a chain of one operator, AND or OR, connects."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if type(node) is type(tree):
            waiting += (node.expression, node.this)
        else:
            found.append(node)
    return found


def _decimal(tree: Any) -> pa.DataType:
    """Return the type of DECIMAL(digits, scale)."""
    answer = [one.name for one in tree.to.expressions] or ["18", "3"]
    if all(one.isdecimal() and len(one) <= 2 for one in answer) and len(answer) <= 2:
        digits, scale = int(answer[0]), int(answer[1]) if len(answer) > 1 else 0
        if 1 <= digits <= 38 and scale <= digits:
            return pa.decimal128(digits, scale)
    raise ConfigError(f"{shown(tree)}: a decimal has 1 to 38 digits, and no more than these behind the point")


def _said(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "true or false"
    return "a number" if pa.types.is_integer(kind) or pa.types.is_decimal(kind) else str(kind)


def _not_understood(tree: Any) -> str:
    text = shown(tree)
    if isinstance(tree, sql.Null):
        return "nothing equals NULL: write IS NULL or IS NOT NULL"
    if isinstance(tree, sql.AggFunc | sql.Window | sql.Subquery | sql.Select):
        return f"{text} needs more than one row: ask stellarrow sql, or DuckDB over scan"
    known = sorted(functions.NAMES)
    name = text.split("(")[0].lower()
    if name in known:
        return f"{text} is not understood: {name}() takes fewer arguments here"
    remedy = nearest(name, known, f"the functions are {', '.join(known)}", show="{}()".format)
    return f"{text} is not understood: {remedy}"
