"""Rows out of files that anybody may have merged or sorted: in ledger order, within little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellarrow.errors import Damaged, StellarrowError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.dictionaries import REPEATED
from stellarrow.sinks.files.runs import in_ledger_order
from stellarrow.sinks.lakehouse.data_file import bounds

_LEDGER: Final = "ledger_sequence"
_AT_ONCE: Final = 400_000  # rows
_WHOLE: Final = 1 << 18  # bytes of a file that is read at once: each of its columns is a call otherwise


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a table: where it lies, between which ledgers its rows are, and how many."""

    path: str
    first: int
    last: int
    rows: int
    sha256: str = ""  # where its entry tells


@dataclass(frozen=True, slots=True)
class _Piece:
    """A row group: an open file with its columns, and between which ledgers the rows are."""

    path: str
    file: pq.ParquetFile
    names: frozenset[str]
    group: int
    first: int
    last: int
    rows: int


Opener = Callable[[str], pa.NativeFile]
Spanned = TypeVar("Spanned", HeldFile, _Piece)


def in_order(
    files: Sequence[HeldFile], open_file: Opener, schema: pa.Schema, columns: Sequence[str], due: LedgerRange
) -> Iterator[pa.RecordBatch]:
    """Yield columns of the rows of a range, in ledger order; what a file lacks is null."""
    names = list(dict.fromkeys([*columns, _LEDGER]))
    wanted = pa.schema([schema.field(name) for name in names])
    near = sorted(
        (one for one in files if one.rows and one.first <= due.end and due.first <= one.last),
        key=lambda one: (one.first, one.last),
    )
    for cluster in _clusters(near):
        with ExitStack() as opened:
            pieces = [piece for one in cluster for piece in _pieces(one, open_file, names, opened)]
            pieces = [one for one in pieces if one.first <= due.end and due.first <= one.last]
            pieces.sort(key=lambda one: (one.first, one.last))
            for group in _clusters(pieces):
                for part in _parts(group, due):
                    yield from _rows(group, part, wanted, columns)


def _clusters(ordered: Sequence[Spanned]) -> Iterator[list[Spanned]]:
    """Tell apart those that share no ledger."""
    group: list[Spanned] = []
    reach = -1
    for one in ordered:
        if group and one.first > reach:
            yield group
            group = []
        group.append(one)
        reach = max(reach, one.last)
    if group:
        yield group


def _pieces(held: HeldFile, open_file: Opener, names: Sequence[str], opened: ExitStack) -> Iterator[_Piece]:
    with damage_told(held.path):
        native = opened.enter_context(open_file(held.path))
        if native.size() <= _WHOLE:
            native = opened.enter_context(pa.BufferReader(native.read_buffer()))
        footer = pq.read_metadata(native)
        kept = footer.schema.to_arrow_schema()
        texts = [
            one.name
            for one in kept
            if one.name in REPEATED and one.name in names and pa.types.is_string(one.type)
        ]
        file = pq.ParquetFile(native, metadata=footer, read_dictionary=texts, page_checksum_verification=True)
        for group in range(footer.num_row_groups):
            if rows := footer.row_group(group).num_rows:
                first, last = bounds(footer, group) or (held.first, held.last)
                yield _Piece(held.path, file, frozenset(kept.names), group, first, last, rows)


def _parts(pieces: Sequence[_Piece], due: LedgerRange) -> Iterator[LedgerRange]:
    """Cut what pieces span so that a part has few enough rows."""
    first = max(due.first, pieces[0].first)
    last = min(due.end, max(one.last for one in pieces))
    passes = -(-sum(one.rows for one in pieces) // _AT_ONCE)
    step = max(1, -(-(last - first + 1) // passes))
    for at in range(first, last + 1, step):
        yield LedgerRange(at, min(last, at + step - 1))


def _rows(
    pieces: Sequence[_Piece], part: LedgerRange, wanted: pa.Schema, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    found = []
    near = [one for one in pieces if one.first <= part.end and part.first <= one.last]
    for piece in near:
        names = [name for name in wanted.names if name in piece.names]
        with damage_told(piece.path):
            rows = piece.file.read_row_group(piece.group, names, use_threads=False)
        if piece.first < part.first or part.end < piece.last:
            ledgers = rows.column(_LEDGER)
            rows = rows.filter(
                pc.and_(pc.greater_equal(ledgers, part.first), pc.less_equal(ledgers, part.end))
            )
        found.append(_completed(rows, wanted))
    whole = pa.concat_tables(found, promote_options="permissive").unify_dictionaries().combine_chunks()
    for run in whole.to_batches():
        for rows in in_ledger_order(run, wanted):
            yield rows.select(list(columns))


def _completed(rows: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Give rows the columns that their file lacks, and the types that another program wrote otherwise."""
    columns = []
    for field in wanted:
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows.column(field.name)
        is_kept = column.type == field.type or pa.types.is_dictionary(column.type)
        columns.append(column if is_kept else column.cast(field.type))
    return pa.table(columns, names=wanted.names)


@contextmanager
def damage_told(path: str) -> Iterator[None]:
    """Make Damaged of what Parquet says of bytes that are none of its."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, StellarrowError):
            raise
        reason = str(error).partition("\n")[0]
        raise Damaged(f"{path} cannot be read ({reason}): run stellarrow check") from error
