"""SQL expressions over a table's columns: compiled once, evaluated on batches in flight.

sqlglot, which is small and pure Python, reads the SQL in DuckDB's dialect, so that an expression says the
same here and in `stellarrow sql`; what is understood becomes calls of Arrow's kernels, which hold no state
and may be called from any thread. A DuckDB query for each batch would understand more, but takes 1 to 3 ms
for 3,000 rows where the kernels take 0.1 and decoding them 0.7. DataFusion, and Arrow's own decimals of 38
digits, wrap on overflow: amounts are computed with 76 and checked when they become a column of 38. What one
batch cannot answer, such as sums and joins, DuckDB does over `scan` or over what was extracted.

Parts that the core's Filter can answer are pushed into the walk: the rows they drop are never made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.filter import Filter

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation

__all__ = ["check_text", "compile_sql", "explained"]


def check_text(query: str) -> None:
    """Refuse, as ConfigError, what no engine takes as text: bytes that are no UTF-8, half a surrogate."""
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the SQL has {error.object[error.start]!r} at character {error.start + 1}, which is no text: "
            "write it in UTF-8"
        ) from error


def compile_sql(table: str, columns: pa.Schema, where: Filter, *, whole: pa.Schema) -> Computation | None:
    """Compile what a filter says in SQL of a table's columns, None where it says nothing.

    `whole` has the columns on request too, for messages.
    """
    if not (where.where or where.select):
        return None
    from stellarrow.sql.computation import computation  # noqa: PLC0415  an extra

    for text in (where.where, where.select):
        check_text(text)
    with explained():
        return computation(table, columns, whole, where)


@contextmanager
def explained() -> Iterator[None]:
    """Translate what goes wrong while SQL is compiled."""
    try:
        yield
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError("the SQL expression nests too deep: write it shorter, such as with IN") from error
    except (pa.ArrowException, ArithmeticError, ValueError) as error:
        raise ConfigError(
            f"the SQL expression cannot be computed ({error}): write smaller numbers"
        ) from error
