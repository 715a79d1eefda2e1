"""What scan returns: rows that are read when they are asked for."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import pyarrow as pa

from stellarrow.core import arguments
from stellarrow.core.stream import stream
from stellarrow.errors import StellarrowError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

Given = ParamSpec("Given")
_SHOWN: Final = 10  # rows of a table in HTML
_LONGEST: Final = 60  # characters of a value there


class LedgersAbsent(UserWarning):
    """An answer has no rows of ledgers that are not here, of a stored table or of a source of ledgers."""


class LedgersUnextracted(LedgersAbsent):
    """Ledgers of a stored table were never extracted, or nobody knows where they went."""


class LedgersDeparted(LedgersAbsent):
    """Ledgers of a stored table were archived or deleted: an answer has no rows of them."""


# polars.from_arrow makes one column of structs of a stream, unless that is of a class of pyarrow's: then it
# takes the batches that are iterated over. The base has no methods, and nothing else asks for it.
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Scan(pa.lib._Weakrefable):  # type: ignore[misc]  # noqa: SLF001  pyarrow has no types
    """Rows of a table, read anew by everyone who asks: nothing is read before, or kept after.

    `table` is the name it was asked by, `place` where the ledgers or files are, `schema` the columns.
    Whatever takes Arrow takes it as it is: `pl.DataFrame(scan)`, `duckdb.sql("from scan")`, `pa.table(scan)`.
    Its own methods raise stellarrow's errors when reading goes wrong. DuckDB and polars raise theirs, with
    the message alone; then `error` is what it was.
    """

    table: str
    place: str
    schema: pa.Schema
    _batches: Callable[[], Iterator[pa.RecordBatch]]
    _errors: list[StellarrowError] = field(default_factory=list)
    _asked: Callable[[], Scan] | None = None  # the call that makes it, for who sends it to another process

    def __reduce__(self) -> tuple[Callable[[], Scan], tuple[()]]:
        """Send the call that made it: where it arrives, that is made again, and the place is read anew."""
        if self._asked is None:
            raise TypeError(
                f"this scan of {self.table} cannot be sent to another process, as what it reads is open in"
                " this one: send the arguments (a place as text), and call scan or typed there"
            )
        return self._asked, ()

    def __copy__(self) -> Scan:
        return replace(self, _errors=[])

    def __deepcopy__(self, memo: object) -> Scan:
        return replace(self, _errors=[])

    @property
    def error(self) -> StellarrowError | None:
        """What ended the latest pass over the rows, None where nothing was wrong with it."""
        return self._errors[-1] if self._errors else None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches, in the order of scan; a StellarrowError where reading fails."""
        self._errors.clear()
        try:
            yield from self._batches()
        except StellarrowError as error:
            self._errors.append(error)
            raise

    def to_reader(self) -> pa.RecordBatchReader:
        """Return a reader that passes over the rows once, batch by batch."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def to_table(self) -> pa.Table:
        """Read all rows into memory, as a pyarrow Table; a StellarrowError where reading fails."""
        return pa.Table.from_batches(iter(self), self.schema)

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """Read all rows into a pandas DataFrame; `options` are those of pyarrow.Table.to_pandas.

        Amounts are Decimals, whole numbers with nulls among them objects, so that none is rounded;
        `types_mapper=pandas.ArrowDtype` keeps Arrow's own types. Takes the extra `dataframes`. A
        StellarrowError where reading fails.
        """
        from stellarrow.scanning import frames  # noqa: PLC0415  few need it

        return frames.to_pandas(self.to_table(), **options)

    def to_polars(self) -> pl.DataFrame:
        """Read all rows into a polars DataFrame; takes the extra `dataframes`.

        A StellarrowError where reading fails.
        """
        from stellarrow.scanning import frames  # noqa: PLC0415  few need it

        return frames.to_polars(self.to_table())

    def to_duckdb(self, connection: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """Return a DuckDB relation that reads the rows whenever it is asked, in a connection or the default.

        Takes the extra `sql`. Where reading fails DuckDB raises its own error; `error` then says what it was.
        """
        from stellarrow.scanning import frames  # noqa: PLC0415  few need it

        return frames.to_duckdb(self, connection)

    def head(self, rows: int = 5) -> pa.Table:
        """Read the first rows, at most so many, as a pyarrow Table, and no more ledgers than that takes."""
        left = arguments.number("rows", rows, least=0)
        taken: list[pa.RecordBatch] = []
        with closing(iter(self)) as batches:  # type: ignore[type-var]  # it is a generator
            while left and (batch := next(batches, None)) is not None:
                taken.append(batch.slice(0, left))
                left -= taken[-1].num_rows
        return pa.Table.from_batches(taken, self.schema)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand over a pass over the rows, cast to another schema where that is asked for (PyCapsule)."""
        return stream(self.schema, iter(self), requested_schema)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Read all rows into an array of objects, one a row: `pandas.DataFrame(scan)` makes columns of them.

        `to_pandas` does it many times faster, and keeps types. Takes the extra `dataframes`.
        """
        from stellarrow.scanning import frames  # noqa: PLC0415  few need it

        if dtype not in (None, object):
            raise TypeError(f"rows are objects, not {dtype}: use to_table, and numpy on its columns")
        if copy is False:
            raise ValueError("rows are read anew for every array: they cannot be shared with one")
        return frames.row_objects(self.to_table())

    def __repr__(self) -> str:
        return f"<Scan of {self.table} in {self.place}: {', '.join(self.schema.names)}>"

    def _repr_html_(self) -> str:
        """Return the first rows as a table in HTML, for notebooks; what is wrong is said instead."""
        about = f"<p><code>{html.escape(self.table)}</code> in <code>{html.escape(self.place)}</code></p>"
        try:
            rows = self.head(_SHOWN + 1)
        except StellarrowError as error:
            return f"{about}<p>{html.escape(str(error))}</p>"
        heads = "".join(
            f'<th title="{html.escape(str(column.type))}">{html.escape(column.name)}</th>'
            for column in self.schema
        )
        lines = "".join(
            f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>"
            for row in rows.slice(0, _SHOWN).to_pylist()
        )
        more = f"<p>the first {_SHOWN} rows</p>" if len(rows) > _SHOWN else ""
        return f"{about}<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>{more}"


def sendable(call: Callable[Given, Scan]) -> Callable[Given, Scan]:
    """Let scans be sent to another process by the arguments of the call, unless those are open here."""

    @wraps(call)
    def made(*given: Given.args, **named: Given.kwargs) -> Scan:
        scan = call(*given, **named)
        source = given[0] if given else named["source"]
        is_open_here = source == "-" or type(source).__module__.startswith("stellarrow.")
        return scan if is_open_here else replace(scan, _asked=partial(made, *given, **named))

    return made


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value.hex() if isinstance(value, bytes) else str(value)
    return html.escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
