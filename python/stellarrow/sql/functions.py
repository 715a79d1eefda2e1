"""The functions of SQL that are known: each by its node of the tree, as what to call with which arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.sql.numbers import Datum, calculate, compare

with needing("SQL", "sql"):
    from sqlglot import expressions as sql

Call: TypeAlias = tuple[Callable[..., Datum], Sequence[Any]]

_UNITS: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


def is_in(held: pa.Array, value: Datum) -> Datum:
    """Tell whether a value is among those held; of NULL it is unknown."""
    return pc.if_else(pc.is_valid(value), pc.is_in(value, value_set=held), pa.scalar(None, pa.bool_()))


def any_of(*conditions: Datum) -> Datum:
    """Tell whether one of several is true."""
    return reduce(pc.or_kleene, conditions)


def all_of(*conditions: Datum) -> Datum:
    """Tell whether all of several are true."""
    return reduce(pc.and_kleene, conditions)


def is_one_of(value: Datum, *others: Datum) -> Datum:
    """Tell whether a value equals one of several."""
    return any_of(*[compare("=", value, other) for other in others])


def between(value: Datum, low: Datum, high: Datum) -> Datum:
    """Tell whether a value is one of two bounds or between them."""
    return pc.and_kleene(compare(">=", value, low), compare("<=", value, high))


def first_true(default: Datum, *branches: Datum) -> Datum:
    """Return the value that follows the first true condition; conditions and values take turns."""
    made = default
    for at in range(len(branches) - 2, -2, -2):
        made = _either(branches[at], branches[at + 1], made)
    return made


def first_equal(default: Datum, value: Datum, *branches: Datum) -> Datum:
    """Return what follows the first that a value equals."""
    conditions = [compare("=", value, one) if at % 2 == 0 else one for at, one in enumerate(branches)]
    return first_true(default, *conditions)


def is_bool(wanted: bool, value: Datum) -> Datum:
    """Tell whether a truth value is this one; unknown is neither."""
    if not pa.types.is_boolean(value.type):
        raise pa.ArrowInvalid(f"{value.type} is neither true nor false")
    return pc.fill_null(pc.equal(value, pa.scalar(wanted)), False)


def _of_one(function: Callable[..., Datum]) -> Callable[[Any], Call]:
    return lambda tree: (function, [tree.this])


def _with_text(function: Callable[..., Datum]) -> Callable[[Any], Call]:
    """Take a function of a text and a constant one."""
    return lambda tree: (partial(function, pattern=_constant(tree, tree.expression)), [tree.this])


def _constant(tree: Any, argument: Any) -> str:
    if not (isinstance(argument, sql.Literal) and argument.is_string):
        raise ConfigError(f"{tree.sql(dialect='duckdb')}: what to look for must be a 'text'")
    return str(argument.this)


def _length(value: Datum) -> Datum:
    return pc.list_value_length(value) if pa.types.is_list(value.type) else pc.utf8_length(value)


def _joined(left: Datum, right: Datum) -> Datum:
    return pc.binary_join_element_wise(pc.cast(left, pa.string()), pc.cast(right, pa.string()), "")


def _unless_equal(value: Datum, other: Datum) -> Datum:
    same = pc.fill_null(compare("=", value, other), False)
    return pc.if_else(same, pa.scalar(None, value.type), value)


def _same(value: Datum, other: Datum) -> Datum:
    """Compare where NULL equals NULL."""
    neither = pc.and_(pc.is_null(value), pc.is_null(other))
    return pc.or_(neither, pc.fill_null(compare("=", value, other), False))


def _different(value: Datum, other: Datum) -> Datum:
    return pc.invert(_same(value, other))


def _if(tree: Any) -> Call:
    if tree.args.get("false") is None:
        raise ConfigError(f"{tree.sql(dialect='duckdb')} says nothing of other rows: name a third value")
    return _either, [tree.this, tree.args["true"], tree.args["false"]]


def _either(condition: Datum, yes: Datum, no: Datum) -> Datum:
    return pc.if_else(pc.fill_null(condition, False), yes, no)


def _absolute(value: Datum) -> Datum:
    below = compare("<", value, pa.scalar(0))
    return pc.if_else(below, calculate("-", pa.scalar(0), value), calculate("+", pa.scalar(0), value))


def _substring(tree: Any) -> Call:
    bounds = [tree.args.get("start"), tree.args.get("length")]
    numbers = [_whole(one) for one in bounds]
    start, length = numbers
    if start is None or start < 1 or (bounds[1] is not None and length is None):
        raise ConfigError(f"{tree.sql(dialect='duckdb')}: start, from 1, and length must be numbers")
    stop = None if length is None else start - 1 + length
    return partial(pc.utf8_slice_codeunits, start=start - 1, stop=stop), [tree.this]


def _whole(tree: Any) -> int | None:
    """Return a constant number as a place in a text; None where it is none, or is beyond any text."""
    is_number = isinstance(tree, sql.Literal) and not tree.is_string and tree.name.isdecimal()
    return int(tree.name) if is_number and len(tree.name) <= 9 else None


def _element(tree: Any) -> Call:
    """Read `list[1]`: sqlglot counts from 0."""
    at = tree.expressions[0]
    place = _whole(at)
    if place is None or len(tree.expressions) != 1:
        raise ConfigError(f"{tree.sql(dialect='duckdb')}: an element's place must be a number from 1")
    return partial(_at, index=place), [tree.this]


def _at(lists: Datum, index: int) -> Datum:
    """Return each list's element, null where it has fewer."""
    if not pa.types.is_list(lists.type):
        raise pa.ArrowInvalid(f"{lists.type} has no elements")
    return pc.list_element(pc.list_slice(lists, index, index + 1, return_fixed_size_list=True), 0)


def _truncated(tree: Any) -> Call:
    unit = str(tree.unit.name).lower()
    if unit not in _UNITS:
        raise ConfigError(f"{tree.sql(dialect='duckdb')}: a time is cut to one of {', '.join(_UNITS)}")
    return partial(pc.floor_temporal, unit=unit), [tree.this]


KNOWN: Final[dict[type[Any], Callable[[Any], Call]]] = {
    sql.Lower: _of_one(pc.utf8_lower),
    sql.Upper: _of_one(pc.utf8_upper),
    sql.Length: _of_one(_length),
    sql.ArraySize: _of_one(_length),
    sql.Abs: _of_one(_absolute),
    sql.Like: _with_text(pc.match_like),
    sql.ILike: _with_text(partial(pc.match_like, ignore_case=True)),
    sql.StartsWith: _with_text(pc.starts_with),
    sql.EndsWith: _with_text(pc.ends_with),
    sql.Contains: _with_text(pc.match_substring),
    sql.RegexpLike: _with_text(pc.match_substring_regex),
    sql.Substring: _substring,
    sql.DPipe: lambda tree: (_joined, [tree.this, tree.expression]),
    sql.Nullif: lambda tree: (_unless_equal, [tree.this, tree.expression]),
    sql.NullSafeEQ: lambda tree: (_same, [tree.this, tree.expression]),
    sql.NullSafeNEQ: lambda tree: (_different, [tree.this, tree.expression]),
    sql.If: _if,
    sql.Bracket: _element,
    sql.TimestampTrunc: _truncated,
    sql.DateTrunc: _truncated,
    sql.Year: _of_one(pc.year),
    sql.Month: _of_one(pc.month),
    sql.Day: _of_one(pc.day),
    sql.Hour: _of_one(pc.hour),
}
NAMES: Final = frozenset(
    (
        *(
            "abs",
            "coalesce",
            "contains",
            "date_trunc",
            "day",
            "ends_with",
            "hour",
            "if",
            "len",
            "length",
            "lower",
        ),
        *("month", "nullif", "regexp_matches", "starts_with", "substr", "upper", "year"),
    )
)
