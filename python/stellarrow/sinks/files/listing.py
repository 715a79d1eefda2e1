"""What a table's folder holds, told from names alone, and what in it no longer counts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import as_schema
from stellarrow.core.typed_columns import holds
from stellarrow.errors import SchemaMismatch, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.again import again
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.departed import ARCHIVED, DELETED, Departed, Record, record_path, records_folder
from stellarrow.sinks.files.layout import MANIFEST, named_range, superseded, trusted
from stellarrow.sinks.files.manifest import LARGEST, SUFFIX, Entry, entry_path
from stellarrow.sinks.files.range_writer import Shape
from stellarrow.storage.files import FileStore, Found, Gone

_ENDINGS: Final = ("parquet", "jsonl", "csv")
_LATER: Final = ("format", "codec", "partition")  # facts that the first files did not tell
# What a fact that is empty, or that is not told at all, is called where somebody asks for it.
_UNSAID: Final = {
    "unsigned": "unsigned",
    "partition": "ledgers",
    "transfers": "derive",
    "decoded": "no",
}


class Listing:
    """The ranges of one table. One counts once its file, or in a partitioned table its entry, is there."""

    def __init__(self, store: FileStore, shape: Shape) -> None:
        self.store = store
        self.shape = shape

    def __str__(self) -> str:
        return f"{self.store}/{self.shape.folder}"

    @property
    def entries_folder(self) -> str:
        """The folder of the table's entries; readers of the table lock it, writers the one above."""
        return f"{self.shape.folder}/{MANIFEST}"

    def parts(self, *, after: int = 0) -> list[LedgerRange]:
        """Return the ranges that are there, from this ledger on at least, as they were written."""
        whole = self.shape.partition is None
        folder = self.shape.folder if whole else self.entries_folder
        suffixes = self.shape.format.suffixes if whole else (SUFFIX,)
        there = self.store.list(folder, after=f"{after - 1:010d}-9" if after else "")
        # What has another name is not ours: nobody reads it, and check tells of it.
        named = (named_range(file.path, *suffixes) for file in there)
        return [*dict.fromkeys(ledgers for ledgers in named if ledgers)]

    def entered(self) -> list[LedgerRange]:
        """Return the ranges that have an entry in the manifest, by the entries' names."""
        files = self.store.list(self.entries_folder)
        return [entered for file in files if (entered := named_range(file.path, SUFFIX))]

    def trusted(self) -> Iterator[tuple[LedgerRange, LedgerRange, list[str]]]:
        """Yield each range that counts, the part of it to read, and its files."""
        for held, part in trusted(self.parts()):
            yield held, part, self.files(held)

    def files(self, ledgers: LedgerRange) -> list[str]:
        """Return the paths of a range's files."""
        whole = self.shape.partition is None and len(self.shape.format.suffixes) == 1
        paths = [self.shape.path(ledgers)] if whole else self._named(ledgers)
        return [f"{self.shape.folder}/{path}" for path in paths]

    def _named(self, ledgers: LedgerRange) -> list[str]:
        try:
            return [file.path for file in self.entry(ledgers).files]
        except Gone:
            if self.shape.partition:
                raise
            return [self.unentered(ledgers)]

    def unentered(self, ledgers: LedgerRange) -> str:
        """Return the path of a range's one file where no entry tells it."""
        names = self.shape.names(ledgers)
        if len(names) == 1:
            return names[0]
        there = {file.path.rpartition("/")[2] for file in self.store.list(self.shape.folder)}
        return next((name for name in names if name in there), names[0])

    def doubled(self) -> dict[str, LedgerRange]:
        """Return the files of ranges that are there under another name, which their entry has: by path."""
        if len(self.shape.format.suffixes) == 1:
            return {}
        held: dict[tuple[str, LedgerRange], list[str]] = {}
        for file in self.store.list(self.shape.folder, deep=True):
            folder = file.path.rpartition("/")[0]
            if ledgers := named_range(file.path, *self.shape.format.suffixes):
                held.setdefault((folder, ledgers), []).append(file.path)
        found: dict[str, LedgerRange] = {}
        for (_, ledgers), paths in held.items():
            if len(paths) > 1:
                with suppress(Gone):  # merged, or archived, just now
                    found |= dict.fromkeys({*paths} - {*self.files(ledgers)}, ledgers)
        return found

    def ranges(self, *, after: int = 0) -> LedgerSet:
        return LedgerSet(self.parts(after=after))

    def counts(self, ledgers: LedgerRange) -> bool:
        """Tell whether a range is there, and no wider one has taken its place."""
        parts = self.parts()
        return ledgers in parts and ledgers not in superseded(parts)

    def departed(self) -> Departed:
        """Return the ranges that were archived or deleted."""
        return Departed.of(self.store.list(records_folder(self.shape.folder)))

    def has_departed(self, ledgers: LedgerRange) -> bool:
        """Tell whether a range was archived or deleted, and what is left of it here is about to go."""
        return not LedgerSet([ledgers]) - self.departed().ledgers  # one record may be of many ranges

    def record(self, ledgers: LedgerRange, state: str) -> Record:
        """Read where the files of a range went."""
        return read_record(self.store, record_path(self.shape.folder, ledgers, state))

    def entry(self, ledgers: LedgerRange) -> Entry:
        path = entry_path(self.shape.folder, ledgers)
        return read_entry(self.store, path)

    def check(self) -> set[LedgerRange]:
        """Refuse a folder of something else than what is to be written; return the ranges entered there."""
        return again(self._check)

    def _check(self) -> set[LedgerRange]:
        entered = self.entered()
        for ledgers in {*entered[:1], *entered[-1:]}:
            self.compare(self.entry(ledgers).facts)
        if not entered:
            self._check_format()
            self._check_record()
            self._check_older()
        return set(entered)

    def _check_older(self) -> None:
        """Compare files of an older stellarrow, which had no manifest, and no partitions either."""
        parts = [] if self.shape.partition else self.parts()
        for ledgers in {*parts[:1], *parts[-1:]}:
            if facts := self._facts(ledgers):
                self.compare(facts)

    def _check_record(self) -> None:
        """Refuse a table of something else of which all files have left."""
        departed = self.departed()
        for state, ranges in ((ARCHIVED, departed.archived), (DELETED, departed.deleted)):
            if ranges:
                self.compare(self.record(max(ranges), state).entry.facts)
                return

    def _facts(self, ledgers: LedgerRange) -> Mapping[str, str]:
        path = f"{self.shape.folder}/{self.unentered(ledgers)}"
        with readable(self.store, path), self.store.read(path) as file:
            return self.shape.format.facts(file)

    def _check_format(self) -> None:
        for file in self.store.list(self.shape.folder):
            ending = file.path.rpartition("/")[2].partition(".")[2].partition(".")[0]
            ours = not named_range(file.path) or file.path.endswith(self.shape.format.suffix)
            if not ours and ending in _ENDINGS and not file.path.endswith(".crc"):
                raise SchemaMismatch(
                    f"{self.store}/{file.path} is of another format than {self.shape.format.suffix}: ask for"
                    " the same again, or choose another folder"
                )

    def compare(self, held: Mapping[str, str]) -> None:
        """Refuse facts that are not the table's."""
        for fact, value in {"unsigned": "", **self.shape.facts}.items():
            there = held.get(fact, value if fact in _LATER else "")
            if fact == "columns" and there != value and self._has(there):
                continue
            if there != value:
                unsaid = _UNSAID.get(fact, "none")
                raise SchemaMismatch(
                    f"{self} was written with {fact.replace('_', ' ')} {there or unsaid!r}, not"
                    f" {value or unsaid!r}: ask for the same again, or choose another folder"
                )

    def _has(self, columns: str) -> bool:
        """Tell whether the table has all columns of a file, by their schema as text; SchemaMismatch."""
        if not columns:
            return False
        table = self.shape.facts["table"]
        if not holds(as_schema(table, self.shape.facts["columns"]), as_schema(table, columns)):
            raise SchemaMismatch(
                f"{self} has columns by now that this run does not know: run it again, and it learns them"
            )
        return True

    def orphans(self) -> list[Found]:
        """Return the files of a partitioned table whose range has no entry."""
        before = self.parts()
        files = self.store.list(self.shape.folder, deep=True)
        departed = self.departed()
        # Entries before and after: what is merged meanwhile has lost its entry, what is new has got one.
        # The rest of what departed is the lifecycle's to remove.
        there = {*before, *self.parts(), *departed.archived, *departed.deleted}
        found = []
        for file in files:
            folder = file.path.removeprefix(f"{self.shape.folder}/").rpartition("/")[0]
            ledgers = named_range(file.path, *self.shape.format.suffixes)
            if "=" in folder and "/" not in folder and ledgers and ledgers not in there:
                found.append(file)
        return found


def read_entry(store: FileStore, path: str) -> Entry:
    with readable(store, path), store.read(path) as file:
        return Entry.decode(file.read(LARGEST + 1), f"{store}/{path}")


def read_record(store: FileStore, path: str) -> Record:
    with readable(store, path), store.read(path) as file:
        return Record.decode(file.read(LARGEST + 1), f"{store}/{path}")


@contextmanager
def readable(store: FileStore, path: str) -> Iterator[None]:
    """Translate what a reader says of a damaged file, and tell it from what the system refuses."""
    try:
        yield
    except (MemoryError, pa.ArrowCancelled):
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # Arrow's own, of bytes, have no number
            reason = os.strerror(error.errno)
            raise SinkError(
                f"{store}/{path} cannot be read ({reason}): nothing is proven damaged; run it again later"
            ) from error
        raise damaged(f"{store}/{path}", f"is damaged ({error})") from error
