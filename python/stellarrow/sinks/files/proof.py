"""What proves that files are those a range was written as: bytes, rows, and the ledgers rows are of."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.formats.jsonl import lines_of
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import KeptFile, entry_path
from stellarrow.storage.files import Gone

_BLOCK: Final = 1 << 20

Contents = dict[tuple[str, int], bytes]  # of each folder and ledger with rows, a digest of them


def held_files(listing: Listing, ledgers: LedgerRange) -> tuple[KeptFile, ...]:
    """Return what a range's entry says of its files.

    Where there is no entry (an older stellarrow, or a writer that died before it wrote it), a table without
    partitions has the one file all the same; of it only the path is known, and `sha256` is empty.
    """
    shape = listing.shape
    try:
        entry = listing.entry(ledgers)
    except Gone:
        if shape.partition:
            raise
        return (KeptFile(listing.unentered(ledgers), -1, -1, ""),)
    path = f"{listing.store}/{entry_path(shape.folder, ledgers)}"
    if entry.ledgers != ledgers:
        raise damaged(path, f"has the name of another range: it is of ledgers {entry.ledgers}")
    names = [file.path for file in entry.files]
    known = shape.names(ledgers)
    if shape.partition is None and (len(names) != 1 or names[0] not in known):
        raise damaged(path, f"does not name the file {shape.path(ledgers)}")
    for name in names:
        folder, _, file = name.rpartition("/")
        if file not in known or bool(folder) != bool(shape.partition) or names.count(name) > 1:
            raise damaged(path, f"names {name}, which is no file of this range")
    listing.compare(entry.facts)
    return entry.files


def measured(listing: Listing, ledgers: LedgerRange, kept: KeptFile) -> KeptFile:
    """Read a file whole and return what it is; Damaged where that is not what was written."""
    with _opened(listing, ledgers, kept) as (found, rows):
        return replace(found, rows=sum(batch.num_rows for batch in rows))


def proven_rows(listing: Listing, ledgers: LedgerRange, kept: KeptFile) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in ledger order: no row before its digest is compared, nothing left out."""
    with _opened(listing, ledgers, kept) as (_, rows):
        yield from rows


def contents(listing: Listing, ledgers: LedgerRange) -> Contents:
    """Digest a range's rows ledger by ledger, so that two ranges can be compared without holding them."""
    found: Contents = {}
    for kept in held_files(listing, ledgers):
        found |= file_contents(listing, ledgers, kept)
    return found


def file_contents(listing: Listing, ledgers: LedgerRange, kept: KeptFile) -> Contents:
    """Digest the rows of one of a range's files."""
    return row_digests(kept.path.rpartition("/")[0], proven_rows(listing, ledgers, kept))


def row_digests(folder: str, batches: Iterable[pa.RecordBatch]) -> Contents:
    """Digest rows that come in ledger order, ledger by ledger."""
    found: defaultdict[tuple[str, int], bytes] = defaultdict(bytes)
    for rows in batches:
        start = 0
        for end in pc.run_end_encode(rows.column("ledger_sequence")).run_ends.to_pylist():
            part = rows.slice(start, end - start)
            # Sorted, as the order within a ledger is another where an older stellarrow wrote it.
            lines = sorted(lines_of(part).to_pybytes().split(b"\n"))
            ledger = part.column("ledger_sequence")[0].as_py()
            found[folder, ledger] += hashlib.sha256(b"\n".join(lines)).digest()
            start = end
    return dict(found)


def is_there(listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> bool:
    """Read back what was just placed; False where files from elsewhere have its names. Damaged, Gone."""
    if list(held_files(listing, ledgers)) != list(files):
        return False
    for kept in files:
        with _opened(listing, ledgers, kept):
            pass
    return True


def rows_by_ledger(rows: pa.RecordBatch) -> Counter[int]:
    """Count rows by ledger."""
    counts = rows.column("ledger_sequence").value_counts().to_pylist()
    return Counter({one["values"]: one["counts"] for one in counts})


@contextmanager
def proven_file(listing: Listing, ledgers: LedgerRange, kept: KeptFile) -> Iterator[pa.NativeFile]:
    """Open a file for one who reads some of it: what nothing else checks there is compared with its digest.

    That is Parquet's footer (the pages have checksums), and all of a file where the entry knows no footer.
    """
    path = f"{listing.shape.folder}/{kept.path}"
    with readable(listing.store, path), listing.store.read(path) as file:
        if kept.sha256 and kept.footer:
            _compare_size(listing, kept, file.size())
            _compare_footer(listing, kept, file)
            file.seek(0)
        else:
            _prove(listing, ledgers, kept, file)
        yield file


@contextmanager
def _opened(
    listing: Listing, ledgers: LedgerRange, kept: KeptFile
) -> Iterator[tuple[KeptFile, Iterator[pa.RecordBatch]]]:
    path = f"{listing.shape.folder}/{kept.path}"
    with readable(listing.store, path), listing.store.read(path) as file:
        found = _prove(listing, ledgers, kept, file)
        yield found, _rows(listing, ledgers, kept, file)


def _prove(listing: Listing, ledgers: LedgerRange, kept: KeptFile, file: pa.NativeFile) -> KeptFile:
    """Read a file whole, return what it is, and leave it at its beginning; Damaged, or ValueError."""
    size, digest = compare_bytes(listing, kept, file)
    if not kept.sha256:
        _compare_facts(listing, ledgers, file)
        # Its columns are the table's. A reader of compressed text closes what it reads: not this file.
        with listing.store.read(f"{listing.shape.folder}/{kept.path}") as again:
            next(_rows(listing, ledgers, kept, again), None)
    footer = _compare_footer(listing, kept, file)
    file.seek(0)
    return KeptFile(kept.path, size, kept.rows, digest, footer)


def _named(listing: Listing, kept: KeptFile) -> str:
    return f"{listing.store}/{listing.shape.folder}/{kept.path}"


def _compare_size(listing: Listing, kept: KeptFile, size: int) -> None:
    if size != kept.bytes:
        raise damaged(_named(listing, kept), f"has {size} bytes, not the {kept.bytes} it was written with")


def _compare_footer(listing: Listing, kept: KeptFile, file: pa.NativeFile) -> str:
    """Return the digest of a file's footer, which must be the one it was written with."""
    footer = listing.shape.format.footer(file)
    digest = hashlib.sha256(footer).hexdigest() if footer else ""
    if kept.footer not in ("", digest):
        raise damaged(_named(listing, kept), "has another footer than it was written with")
    return digest


def compare_bytes(listing: Listing, kept: KeptFile, file: pa.NativeFile) -> tuple[int, str]:
    """Compare a file's size and digest with its entry, if it has one, and leave it at its beginning."""
    size, digest = _digest(file)
    if kept.sha256:
        _compare_size(listing, kept, size)
        if digest != kept.sha256:
            raise damaged(_named(listing, kept), "has other bytes than it was written with")
    file.seek(0)
    return size, digest


def _digest(file: pa.NativeFile) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while block := file.read(_BLOCK):
        size += len(block)
        digest.update(block)
    return size, digest.hexdigest()


def _compare_facts(listing: Listing, ledgers: LedgerRange, file: pa.NativeFile) -> None:
    """Compare what a file says of itself, where its format can, and leave it at its beginning."""
    if answer := listing.shape.format.facts(file):
        first, last = answer.get("first_ledger"), answer.get("last_ledger")
        if first and last and (first, last) != (str(ledgers.first), str(ledgers.end)):
            raise ValueError(f"it says that it is of ledgers {first} to {last}")
        listing.compare(answer)
    elif listing.shape.format.footer(file):
        raise ValueError("stellarrow did not write it, and no manifest knows it")
    file.seek(0)


def _rows(
    listing: Listing, ledgers: LedgerRange, kept: KeptFile, file: pa.NativeFile
) -> Iterator[pa.RecordBatch]:
    count, reach = 0, ledgers.first
    for rows in listing.shape.format.read(file, listing.shape.schema):
        numbers = rows.column("ledger_sequence")
        if numbers.null_count:
            raise ValueError("it has rows of no ledger")
        if not rows.num_rows:
            continue
        bounds = pc.min_max(numbers).as_py()
        if bounds["min"] < ledgers.first or bounds["max"] > ledgers.end:
            raise ValueError(f"it has ledgers {bounds['min']} to {bounds['max']}")
        in_order = pc.all(pc.greater_equal(numbers[1:], numbers[:-1])).as_py() is not False
        if bounds["min"] < reach or not in_order:
            raise ValueError("its rows are not in the order of their ledgers")
        reach = bounds["max"]
        count += rows.num_rows
        yield rows
    if kept.sha256 and count != kept.rows:
        raise damaged(_named(listing, kept), f"has {count} rows, not {kept.rows}")
