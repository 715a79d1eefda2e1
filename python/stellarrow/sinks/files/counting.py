"""Rows of each ledger, counted in one pass over the files of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import between
from stellarrow.errors import Damaged
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.files.layout import named_range
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.pieces import Piece, by_range
from stellarrow.sinks.files.proof import compare_bytes, held_files, rows_by_ledger
from stellarrow.storage.files import Gone
from stellarrow.storage.irregular import Irregular

_LEDGER: Final = "ledger_sequence"


def row_counts(listing: Listing, ledgers: LedgerSet) -> Iterator[RowCounts]:
    """Yield the counts of every range that has any of the ledgers, and what is wrong with its files."""
    for part, files in by_range(listing, ledgers):
        yield _counted(listing, part, files)


def _counted(listing: Listing, part: LedgerRange, files: Iterator[Piece]) -> RowCounts:
    found: Counter[int] = Counter()
    shape, error = listing.shape, None
    try:
        for due, path, file in files:
            error = error or _difference(listing, path, file)
            with readable(listing.store, path):
                for rows in shape.format.read(file, shape.schema, [_LEDGER]):
                    found += rows_by_ledger(between(rows, due))
    except (Damaged, Gone, Irregular) as refusal:
        return RowCounts(part, None, error or refusal, LedgerSet([part]))
    return RowCounts(part, found, error, LedgerSet([part] if error else []))


def _difference(listing: Listing, path: str, file: pa.NativeFile) -> Damaged | None:
    """Compare a file's bytes with its entry: rows of text that are cut, or changed, may still count."""
    held = named_range(path, *listing.shape.format.suffixes)
    try:
        for kept in held_files(listing, held) if held else ():
            if f"{listing.shape.folder}/{kept.path}" == path:
                compare_bytes(listing, kept, file)
    except Gone:  # a file of a writer that died before it entered it, or merged just now
        pass
    except Damaged as error:
        file.seek(0)
        return error
    return None
