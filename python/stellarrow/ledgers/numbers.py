"""Whole numbers and moments of any library, as Python's own."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime
from typing import Any


def whole(value: Any) -> int | None:
    """Return a whole number, such as numpy's, as an int; None where it is none, and True is none either."""
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def moment(value: Any) -> str | None:
    """Write a date or a datetime, numpy's and pandas' too, as `ledgers.dates` reads it; None of others.

    One without a zone is in UTC.
    """
    if isinstance(value, datetime):
        written = (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        return written if "-" in written else None  # pandas calls NaT a datetime
    if isinstance(value, date):
        return value.isoformat()
    # numpy.datetime64 writes a month as 2023-11 and nanoseconds as 2023-11-10T12:00:00.000000000; a year of
    # its, 2023, would be a ledger.
    is_one = type(value).__module__ == "numpy" and type(value).__name__ == "datetime64"
    return str(value) if is_one and "-" in str(value) else None
