"""Arithmetic and comparison that keep amounts exact: 76 digits on the way, 38 in a column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.sql.limits import number

Datum: TypeAlias = Any  # pa.Array | pa.Scalar

_INT64_DIGITS: Final = 19
_COLUMN_DIGITS: Final = 38
WHOLE_AMOUNT: Final = pa.array([], pa.decimal256(39, 0))  # holds every i128
_CHECKED: Final = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked}
_EXACT: Final = {"+": pc.add, "-": pc.subtract, "*": pc.multiply}
_COMPARE: Final[dict[str, Callable[..., Datum]]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def literal(text: str) -> pa.Scalar:
    """Return a number as it is written: an int64 where it fits, else a decimal; never a float."""
    value = number(text)
    if value.as_tuple().exponent == 0 and -(1 << 63) <= value < 1 << 63:
        return pa.scalar(int(value), pa.int64())
    return pa.scalar(Decimal(format(value, "f")))


def compare(operator: str, left: Datum, right: Datum) -> Datum:
    """Compare numbers by value, text by bytes, times with times or text that says one."""
    if pa.types.is_timestamp(left.type) or pa.types.is_timestamp(right.type):
        return _COMPARE[operator](_time(left), _time(right))
    if _is_decimal(left) or _is_decimal(right):
        left, right = _comparable(left, right)
    return _COMPARE[operator](left, right)


def calculate(operator: str, left: Datum, right: Datum) -> Datum:
    """Add, subtract, multiply or divide: overflow is an error, x / 0 null, a quotient a decimal."""
    if pa.types.is_floating(left.type) or pa.types.is_floating(right.type):
        left, right = pc.cast(left, pa.float64()), pc.cast(right, pa.float64())
    elif operator == "/" or _is_decimal(left) or _is_decimal(right):
        left, right = _wide(left), _wide(right)
    else:
        left, right = pc.cast(left, pa.int64()), pc.cast(right, pa.int64())
        return _CHECKED[operator](left, right)
    if operator == "/":
        return pc.divide(left, _unless_zero(right))
    return _EXACT[operator](left, right)


def remainder(left: Datum, right: Datum) -> Datum:
    """Return what division of integers leaves, of the dividend's sign; null by zero."""
    left, right = pc.cast(left, pa.int64()), pc.cast(right, pa.int64())
    divisor = _unless_zero(right)
    return pc.subtract(left, pc.multiply(pc.divide(left, divisor), divisor))


def convert(datum: Datum, target: pa.DataType) -> Datum:
    """Cast; a fraction becomes the nearest integer, what does not fit is an error."""
    if pa.types.is_decimal(datum.type) and pa.types.is_integer(target):
        datum = pc.round(datum, round_mode="half_towards_infinity")
    return pc.cast(datum, target)


def whole_amount(amounts: Datum, texts: Datum) -> Datum:
    """Return amounts with all their digits: those that a column of 38 has null are read from their texts."""
    if amounts.null_count == texts.null_count:  # each that is null has no text either
        return amounts
    return pc.coalesce(amounts, pc.cast(texts, WHOLE_AMOUNT.type))


def narrow(datum: Datum) -> Datum:
    """Make a decimal one of 38 digits, which every reader knows; it is an error where one does not fit."""
    if pa.types.is_decimal256(datum.type):
        return pc.cast(datum, pa.decimal128(_COLUMN_DIGITS, datum.type.scale))
    return datum


def moment(text: str) -> pa.Scalar:
    """Read a time of ISO 8601; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise pa.ArrowInvalid(f"{text!r} is no time such as 2024-02-29 or 2024-02-29T12:00:00") from error
    return pa.scalar(read if read.tzinfo else read.replace(tzinfo=UTC), pa.timestamp("us", "UTC"))


def _unless_zero(divisor: Datum) -> Datum:
    if isinstance(divisor, pa.Scalar) and divisor.as_py():
        return divisor
    zero = 0.0 if pa.types.is_floating(divisor.type) else Decimal(0) if _is_decimal(divisor) else 0
    is_zero = pc.equal(divisor, pa.scalar(zero, divisor.type))
    return pc.if_else(is_zero, pa.scalar(None, divisor.type), divisor)


def _time(datum: Datum) -> Datum:
    if isinstance(datum, pa.Scalar) and pa.types.is_string(datum.type):
        return moment(datum.as_py())
    return datum


def _is_decimal(datum: Datum) -> bool:
    return bool(pa.types.is_decimal(datum.type))


def _comparable(left: Datum, right: Datum) -> tuple[Datum, Datum]:
    """Leave alone what Arrow compares as it is: decimals of one scale, and integers beside whole decimals."""
    scales = {one.type.scale if _is_decimal(one) else 0 for one in (left, right)}
    same_width = not any(pa.types.is_decimal256(one.type) for one in (left, right))
    if any(pa.types.is_floating(one.type) for one in (left, right)) or (len(scales) == 1 and same_width):
        return left, right
    return _wide(left), _wide(right)


def _wide(datum: Datum) -> Datum:
    """Return a number as a decimal with room to calculate; a constant has no more digits than it needs."""
    if pa.types.is_decimal(datum.type):
        return pc.cast(datum, pa.decimal256(datum.type.precision, datum.type.scale))
    if isinstance(datum, pa.Scalar) and pa.types.is_integer(datum.type) and datum.is_valid:
        return pa.scalar(Decimal(datum.as_py()), pa.decimal256(len(str(abs(datum.as_py()))), 0))
    return pc.cast(datum, pa.decimal256(_INT64_DIGITS, 0))
