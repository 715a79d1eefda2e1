"""What DuckDB reads of each table that was extracted: only files that count, with the table's own types.

Parquet comes through Arrow, which compares every page with its checksum; DuckDB by itself does not. Footers
and files of text are compared with their digests before a query that names their table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import is_typed
from stellarrow.errors import ConfigError, SinkError, StellarrowError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.scanning import Scan
from stellarrow.sinks.files.again import again
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.delta_beside import is_delta, place_of
from stellarrow.sinks.files.formats.added import ADDED
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.proof import held_files, proven_file
from stellarrow.sinks.files.quarantine import is_quarantined
from stellarrow.sinks.files.reading import Unreadable, found_tables
from stellarrow.storage.local_files import LocalFiles

_UNKNOWN_CODECS: Final = ("lz4", "brotli")  # to DuckDB, of text
_TYPES: Final = {
    pa.uint32(): "uinteger",
    pa.uint64(): "ubigint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.float64(): "double",
}


def prove(listing: Listing) -> None:
    """Compare what no checksum of a page covers with its digest; Damaged at the first that is another.

    Arrow could ask for it as it opens a file, but an error that Python raises there stops it for good.
    """
    again(partial(_prove, listing))


def _prove(listing: Listing) -> None:
    for held, _, _ in listing.trusted():
        for kept in held_files(listing, held):
            with proven_file(listing, held, kept):
                pass


@dataclass(slots=True)
class View:
    """A table to DuckDB: a query, what that names besides files, and the files' listing if they are ours.

    Where the table cannot be read, only `error`.
    """

    schema: str  # the path between, empty right below the data
    table: str
    query: str = ""
    datasets: dict[str, Any] = field(default_factory=dict)
    listing: Listing | None = None
    files: list[str] = field(default_factory=list)
    error: StellarrowError | None = None

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def is_stale(self) -> bool:
        """Whether a file went since: where a file system has no locks, nothing keeps one from merging it."""
        return not all(Path(one).exists() for one in self.files)


def views(data: Path, kept: ExitStack) -> list[View]:
    """Return a view of every table below a folder, and of every other folder of Parquet files.

    What they name stays, whatever is merged, until `kept` is closed.
    """
    store = LocalFiles(data)
    known = found_tables(store)
    for one in known:
        if isinstance(one, Listing):
            kept.enter_context(store.reading(one.entries_folder))
    made = [_view(data, one, number) for number, one in enumerate(known)]
    ours = {data / (one.folder if isinstance(one, Unreadable) else one.shape.folder) for one in known}
    others: dict[Path, list[str]] = {}
    for file in store.list("", deep=True):
        path = data / file.path
        if path.suffix == ".parquet" and not is_quarantined(file.path) and not ours & {*path.parents}:
            others.setdefault(path.parent, []).append(str(path))
    for folder, paths in sorted(others.items()):
        if delta := next((one for one in (folder, *folder.parents) if is_delta(one)), None):
            if not any(view.table == delta.name and view.error for view in made):
                # Its files may be of rows that were replaced: its log tells which.
                told = f"{delta} is a Delta table: ask with --data delta:{place_of(delta)}"
                made.append(View(*_named(data, delta), error=ConfigError(told)))
        elif folder != data:
            made.append(View(*_named(data, folder), query=f"select * from read_parquet({_list(paths)})"))
    return made


def _named(data: Path, folder: Path) -> tuple[str, str]:
    return "_".join(folder.relative_to(data).parts[:-1]), folder.name


def _view(data: Path, found: Listing | Unreadable, number: int) -> View:
    if isinstance(found, Unreadable):
        return View(*_named(data, data / found.folder), error=found.error)
    view = View(*_named(data, data / found.shape.folder), listing=found)
    try:
        _describe(view, found, number)
    except SinkError as error:
        view.error = error
    return view


def _describe(view: View, listing: Listing, number: int) -> None:
    whole: list[str] = []
    cut: list[tuple[LedgerRange | None, list[str]]] = []
    for held, part, paths in again(partial(_there, listing)):
        if held == part:
            whole += paths
        elif paths:
            cut.append((part, paths))
    queries = []
    if _is_read_by_us(listing) and (whole or cut):
        whole, cut = [*whole, *(path for _, paths in cut for path in paths)], []  # it reads each ledger once
    for at, (due, paths) in enumerate([(None, whole), *cut] if whole else cut):
        read = _read(view, listing, [f"{listing.store}/{path}" for path in paths], f"files_{number}_{at}")
        queries.append(f"select * from {read}{_within(due)}")
    view.query = " union all ".join(queries) if queries else _empty(listing)


def _there(listing: Listing) -> list[tuple[LedgerRange, LedgerRange, list[str]]]:
    """Return each range that counts, the part to read, and its files, all of which are there."""
    found = [*listing.trusted()]
    there = {file.path for file in listing.store.list(listing.shape.folder, deep=True)}
    for _, _, paths in found:
        if absent := next((path for path in paths if path not in there), None):
            raise damaged(f"{listing.store}/{absent}", "is gone, or no file that may be opened")
    return found


def _within(part: LedgerRange | None) -> str:
    return f" where ledger_sequence between {part.first} and {part.end}" if part else ""


def _read(view: View, listing: Listing, paths: Sequence[str], name: str) -> str:
    view.files += paths
    if listing.shape.format.name == "parquet":
        import pyarrow.dataset as ds  # noqa: PLC0415  slow to load
        from pyarrow.fs import LocalFileSystem  # noqa: PLC0415  slow to load

        from stellarrow.sinks.files.dataset import verifying  # noqa: PLC0415  slow to load

        view.datasets[name] = ds.dataset(
            list(paths),
            schema=listing.shape.schema,
            format=verifying(),
            filesystem=LocalFileSystem(),
        )
        return name
    if _is_read_by_us(listing):
        view.datasets[name] = _rows_of(listing)
        return name
    columns = ", ".join(f"{_text(one.name)}: {_text(_type(one.type))}" for one in listing.shape.schema)
    text = f"columns = {{{columns}}}, hive_partitioning = false"
    if listing.shape.format.name == "jsonl":
        return f"read_json({_list(paths)}, format = 'newline_delimited', {text})"
    # In quotes an empty text, without them null. Files older than a column end their rows before it.
    text += ", allow_quoted_nulls = false, auto_detect = false"
    if ADDED.intersection(listing.shape.schema.names):
        text += ", null_padding = true, parallel = false"
    return f"read_csv({_list(paths)}, header = true, delim = ',', quote = '\"', escape = '\"', {text})"


def _is_read_by_us(listing: Listing) -> bool:
    """Tell whether text is read without DuckDB: files of a contract's table may have different columns."""
    shape = listing.shape
    is_packed = shape.format.codec in _UNKNOWN_CODECS
    return shape.format.name != "parquet" and (is_typed(shape.facts["table"]) or is_packed)


def _rows_of(listing: Listing) -> Scan:
    """Return the rows of a table kept as text."""
    from stellarrow.sinks.files.dataset import ExtractedTable  # noqa: PLC0415  slow to load

    rows = ExtractedTable(listing).batches(Filter(), None)
    return Scan(listing.shape.facts["table"], str(listing.store), listing.shape.schema, rows)


def _empty(listing: Listing) -> str:
    columns = ", ".join(f'null::{_type(one.type)} as "{one.name}"' for one in listing.shape.schema)
    return f"select {columns} where false"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return "timestamptz" if pa.types.is_timestamp(kind) else _TYPES.get(kind, "varchar")


def _list(paths: Sequence[str]) -> str:
    return f"[{', '.join(_text(_literal(path)) for path in paths)}]"


def _literal(path: str) -> str:
    """Keep DuckDB from taking a name for a pattern."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in path)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
