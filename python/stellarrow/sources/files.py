"""Ledgers in files: one path, a folder, a glob, or stdin (`-`), in any framing."""

from __future__ import annotations

import glob
import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stellarrow import registry
from stellarrow.core.framing import sequences, split
from stellarrow.errors import LedgerMissing, SourceError, SourceUnavailable
from stellarrow.lake.layout import MANIFEST, Manifest, ledgers_named, partition_named
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.sources.chunking import pieces
from stellarrow.storage.os_errors import unreadable
from stellarrow.storage.paths import local_path

if TYPE_CHECKING:
    from stellarrow.protocols import Source, SourceKind
    from stellarrow.registry import SourceOptions
    from stellarrow.telemetry.metrics import Metrics  # its library is slow to import

_NO_LEDGERS: Final = frozenset((".json", ".md", ".parquet", ".part", ".tmp"))
_BLOCK: Final = 1 << 20  # bytes a read
_WHOLE: Final = (
    1 << 20
)  # a stored file up to this size is one chunk; zstd makes about ten times as much of it
_PIECE: Final = 8 << 20  # uncompressed bytes a piece of a bigger file


@dataclass(frozen=True, slots=True)
class _Stored:
    """Consecutive ledgers in one file."""

    first: int
    last: int
    path: Path


@dataclass(frozen=True, slots=True)
class _Index:
    """What lies where: files by their first ledger, and how far those up to each reach."""

    stored: list[_Stored]
    reach: list[int]
    ledgers: LedgerSet

    def holding(self, ledgers: LedgerRange) -> Iterator[_Stored]:
        """Yield what holds ledgers of the range, in ledger order."""
        for stored in islice(self.stored, bisect_left(self.reach, ledgers.first), None):
            if stored.first > ledgers.end:
                return
            if stored.last >= ledgers.first:
                yield stored


class FileSource:
    """Read ledgers from files. Ledgers that lie in several files are read once.

    An open range ends with what is there, unless `open_live` opens what goes on with what is still to come.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        metrics: Metrics | None = None,
        open_live: Callable[[], Source] | None = None,
    ) -> None:
        self._location = self.name = (
            str(local_path(location)) if os.fspath(location)[:1] == "~" else os.fspath(location)
        )
        self._metrics = metrics
        self._index: _Index | None = None
        self._open_live = open_live
        self._live: Source | None = None
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> FileSource:
        """Open a path, as the registry does; the folder of a lake is followed as one."""
        path = local_path(url)
        if not _is_lake(path):
            return cls(url, metrics=options.metrics)
        lake: SourceKind = registry.source_entry("file://").load()
        return cls(url, metrics=options.metrics, open_live=lambda: lake.open(str(path), options))

    @property
    def is_lake(self) -> bool:
        """Whether all files are a lake's, in which every ledger from the first to the last belongs."""
        is_followed = self._open_live is not None
        return is_followed and all(ledgers_named(one.path.name) for one in self._indexed().stored)

    def available(self) -> LedgerSet:
        return self._indexed().ledgers

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        held = self.available()
        if self._open_live is None:
            # An open range ends with what is there.
            end = ledgers.end if ledgers.last is not None else max(held.last, ledgers.first)
            yield from self._indexed_chunks(LedgerRange(ledgers.first, end))
            return
        due = ledgers.first
        if held and due <= held.last:
            yield from self._indexed_chunks(LedgerRange(due, min(held.last, ledgers.end)))
            due = held.last + 1
        if due <= ledgers.end and (live := self._followed()):
            yield from live.read(LedgerRange(due, ledgers.last))

    def _indexed_chunks(self, wanted: LedgerRange) -> Iterator[LedgerChunk]:
        """Yield a range of what lay there when it was looked."""
        if absent := LedgerSet([wanted]) - self.available():
            raise LedgerMissing(self._absence(absent))
        due = wanted.first
        for stored in self._indexed().holding(wanted):
            if stored.last >= due:
                last = min(stored.last, wanted.end)
                if self._metrics:
                    self._metrics.received(last - due + 1, _size(stored.path))
                yield from _chunks(stored, LedgerRange(due, last))
                due = last + 1

    def stored_bytes(self, ledgers: LedgerSet) -> int:
        """Return how many bytes the files that hold any of these ledgers have on disk."""
        paths = {stored.path for part in ledgers for stored in self._indexed().holding(part)}
        return sum(path.stat().st_size for path in paths)

    def network(self) -> Network | None:
        """Return the network the manifest beside the files names, if there is one."""
        place = Path(self._location)
        file = next(self._paths(), place)
        for folder in (place, *file.parents[:2]):  # where it was named, the partition, the lake
            manifest = folder / MANIFEST
            if manifest.is_file():
                return Manifest.read(_content(manifest), where=str(manifest)).network
        return None

    def close(self) -> None:
        """End a read that waits for more; files are open only while they are read."""
        with self._closing:
            self._closed = True
            if self._live:
                self._live.close()

    def _followed(self) -> Source | None:
        """Return what reads ledgers that are still to come; None once this is closed."""
        with self._closing:
            if self._live is None and self._open_live and not self._closed:
                self._live = self._open_live()
            return None if self._closed else self._live

    def _indexed(self) -> _Index:
        if self._index is None:
            stored = sorted(
                chain.from_iterable(map(_runs, self._paths())), key=lambda one: (one.first, one.path)
            )
            if not stored and self._open_live is None:
                raise SourceError(
                    f"{self._location} holds no ledger file: name a file, a folder or a glob of some"
                )
            self._index = _Index(
                stored=stored,
                reach=list(accumulate((one.last for one in stored), max)),
                ledgers=LedgerSet(LedgerRange(one.first, one.last) for one in stored),
            )
        return self._index

    def _paths(self) -> Iterator[Path]:
        place = Path(self._location)
        if place.is_dir():
            for folder, folders, names in os.walk(place):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(folder, name) for name in sorted(names) if not _is_aside(name))
        elif glob.has_magic(self._location) and not place.exists():
            found = sorted(glob.glob(self._location, recursive=True))
            yield from (
                Path(name) for name in found if Path(name).is_file() and not _is_aside(Path(name).name)
            )
        elif place.exists():
            yield place
        else:
            raise SourceUnavailable(f"{self._location} does not exist: name a file, a folder or a glob")

    def _absence(self, absent: LedgerSet) -> str:
        begins = self.available().first
        if absent.first < begins:
            return (
                f"{self._location} begins with ledger {begins}, so there is no ledger {absent.first}: start"
                f" there, with {begins}:, or add what is before it"
            )
        more = f" and {absent.count - 1} more are" if absent.count > 1 else " is"
        held = str(self.available())
        held = held if len(held) < 100 else f"{self.available().first} to {self.available().last} with holes"
        where = f"{self._location}, which has {held}"
        return f"ledger {absent.first}{more} missing in {where}: ask for what is there, or add it"


def _is_lake(place: Path) -> bool:
    """Tell whether a folder says that it is a lake, by its manifest or its partitions."""
    if not place.is_dir():
        return False
    return (place / MANIFEST).is_file() or any(partition_named(one.name) for one in place.glob("*--*/"))


def _is_aside(name: str) -> bool:
    return name.startswith(".") or Path(name).suffix in _NO_LEDGERS


def _runs(path: Path) -> Iterator[_Stored]:
    """Tell which ledgers a file holds: by its name where that is a lake's, else by looking."""
    if held := ledgers_named(path.name):
        # The first file of a lake begins where the chain does, later than its name says.
        begins = next(_sequences(path), held.first) if held.first == 0 and held.count > 1 else held.first
        yield _Stored(begins, held.end, path)
        return
    first = last = None
    for ledger in _sequences(path):
        if first is None or last is None:
            first = ledger
        elif ledger <= last:
            raise SourceError(
                f"{path} holds ledger {ledger} after ledger {last}: put its ledgers in order, each once"
                " (stellarrow.core.decode takes them as they are)"
            )
        elif ledger != last + 1:
            yield _Stored(first, last, path)
            first = ledger
        last = ledger
    if first is not None and last is not None:
        yield _Stored(first, last, path)


def _sequences(path: Path) -> Iterator[int]:
    if _size(path) <= _WHOLE:
        yield from sequences(_content(path), place=str(path))
        return
    for piece, framing in split(_blocks(path), piece_bytes=_PIECE, place=str(path)):
        yield from sequences(piece, framing, place=str(path))


def _chunks(stored: _Stored, wanted: LedgerRange) -> Iterator[LedgerChunk]:
    """Yield a small file as it lies, a big one in pieces."""
    path = stored.path
    if _size(path) <= _WHOLE:
        yield LedgerChunk(_content(path), "auto", wanted.first, wanted.end, str(path))
        return
    yield from pieces(_blocks(path), wanted, where=str(path))


def _size(path: Path) -> int:
    with _translate_os_errors(path):
        size = path.stat().st_size
    if size == 0:
        raise SourceError(f"{path} is empty: fetch it again, or remove it")
    return size


def _content(path: Path) -> bytes:
    with _translate_os_errors(path):
        return path.read_bytes()


def _blocks(path: Path) -> Iterator[bytes]:
    with _translate_os_errors(path), path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            yield block


@contextmanager
def _translate_os_errors(path: Path) -> Iterator[None]:
    """Translate what the file system refuses."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{path} vanished while it was read: restore it and run the same again") from error
    except OSError as error:
        raise unreadable(path, error) from error
