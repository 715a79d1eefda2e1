"""A lake in a store: how it is divided, which ledgers are its oldest and newest, its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from stellarrow.core.framing import sequences
from stellarrow.errors import SourceError
from stellarrow.lake.layout import (
    MANIFEST,
    SUFFIXES,
    Layout,
    Manifest,
    detect,
    ledgers_named,
    partition_named,
)
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet, Network
from stellarrow.net.resilience import Guard
from stellarrow.storage.errors import Forbidden
from stellarrow.storage.store import Store

Result = TypeVar("Result")

CHAIN_BEGINS: Final = 3  # no chain has its first ledger after this one
_STRIDE: Final = 500  # files between two looks for the oldest; a page shows more than that


class Lake:
    """What a store holds, as SEP-54 names it; every call to the store goes through the guard."""

    def __init__(self, store: Store, guard: Guard) -> None:
        self.store = store
        self._guard = guard
        self._manifest: Manifest | None = None
        self._layout: Layout | None = None
        self._to_be_made = False
        self._ending: str | None = None
        self._may_list = True

    @property
    def lists(self) -> bool:
        """Whether the store tells which files there are, and tells us."""
        return self.store.lists and self._may_list

    def manifest(self) -> Manifest | None:
        """Return what the lake says of itself, None where it says nothing."""
        if self._manifest is None:
            content = self._call("manifest", lambda: self.store.get(MANIFEST))
            if content is not None:
                self._manifest = Manifest.read(content, where=f"{self.store.where}/{MANIFEST}")
        return self._manifest

    def layout(self) -> Layout:
        """Return how the lake is divided: as its manifest says, else as its names show."""
        if self._layout is None:
            manifest = self.manifest()
            answer = manifest.layout if manifest else None
            shown = self._shown_unless_forbidden(answer) or answer
            if shown is None:
                raise SourceError(
                    f"{self.store.where} is no lake: it has no {MANIFEST}, and no files as SEP-54 names them:"
                    " name the folder that holds FFFFFFFF--0-63999/ and the like"
                )
            if answer and str(answer) != str(shown):
                raise SourceError(
                    f"{self.store.where}/{MANIFEST} says {answer}, but the files are named as for {shown}:"
                    " fix the manifest"
                )
            self._layout = shown
        return self._layout

    def begin(self, layout: Layout) -> None:
        """Take a layout for a lake that is still to be made: until it is, nothing is there."""
        self._layout, self._to_be_made = layout, True

    def begun(self) -> None:
        """Read what the lake says of itself: it has been made, by whoever came first."""
        if self._to_be_made:
            self._layout, self._to_be_made = None, False

    def _shown_unless_forbidden(self, told: Layout | None) -> Layout | None:
        """Return the layout that names show; who may not list goes by the manifest, if there is one."""
        try:
            return self.shown()
        except Forbidden:
            if told is None:
                raise
            self._may_list = False
            return None

    def shown(self) -> Layout | None:
        """Return the layout that the names of the files show, None where they show none."""
        return detect(key for key, _ in self._page()) if self.lists else None

    def network(self) -> Network | None:
        """Return the network the manifest names, or the newest file."""
        if manifest := self.manifest():
            return manifest.network
        tip = self.tip() if self.lists else None
        if tip is None:
            return None
        answer = self._call("metadata", lambda: self.store.metadata(self.layout().key(tip)))
        passphrase = answer.get("network-passphrase")
        return Network.from_passphrase(passphrase) if passphrase else None

    def file(self, ledger: int) -> bytes | None:
        """Return the file that holds a ledger, None where there is none."""
        layout = self.layout()
        key = layout.key(ledger).removesuffix(layout.suffix)
        ending = self._ending or layout.suffix
        for suffix in (ending, *(other for other in SUFFIXES if other != ending)):
            found = self._call("get", lambda: self.store.get(key + suffix))  # noqa: B023  called at once
            if found is not None:
                self._ending = suffix  # old lakes changed it midway: its neighbours have the same
                return found
        return None

    def next_file(self, ledger: int) -> bytes | None:
        """Return a file that is still to come, None while there is none; it costs one request."""
        if not self.lists:
            return self.file(ledger)  # nothing told its ending
        return self._call("get", lambda: self.store.get(self.layout().key(ledger)))

    def tip(self) -> int | None:
        """Return the newest ledger: the newest file is listed first."""
        after = ""
        while page := self._page(after=after):
            for key, _ in page:
                if held := _held(key):
                    return held.end
            after = page[-1][0]
        return None

    def oldest(self) -> int | None:
        """Return the oldest ledger, with a few looks however many files there are."""
        layout, tip = self.layout(), self.tip()
        if tip is None:
            return None
        within = LedgerRange(0, tip)
        if layout.partitioned:
            partitions = filter(None, map(partition_named, self._call("list", self.store.folders)))
            within = min(partitions, key=lambda one: one.first, default=within)
        file = self._oldest_file(within.first, min(within.end, tip))
        return self.first_in(file, (self.file(file.first) or b"") if file.first == 0 else b"")

    def begins_after(self, ledger: int) -> int | None:
        """Return the oldest ledger where that lies after one that is not there; None where it does not."""
        if self.lists:
            oldest = self.oldest()
        else:
            oldest = next((one for one in range(ledger, CHAIN_BEGINS + 1) if self.file(one)), None)
        return oldest if oldest is not None and oldest > ledger else None

    def searched(self) -> LedgerRange | None:
        """Return the oldest and newest ledger of a lake that begins with its chain, where nothing lists them.

        Doubling and halving find the newest, as long as no file is missing where they look.
        """
        begins = next((one for one in range(CHAIN_BEGINS + 1) if self.file(one)), None)
        if begins is None:
            return None
        file = self.layout().file(begins)
        begins = max(begins, self.first_in(file, self.file(begins) or b""))
        low, step = file.first, file.count
        while low + step <= LAST_POSSIBLE and self.file(low + step):
            low, step = low + step, step * 2
        while step >= file.count:
            if low + step <= LAST_POSSIBLE and self.file(low + step):
                low += step
            step //= 2
        return LedgerRange(begins, self.layout().file(low).end)

    def first_in(self, file: LedgerRange, data: bytes) -> int:
        """Return the first ledger of a file: the first file of all begins where the chain does."""
        if file.count == 1 or file.first:
            return file.first
        return next(iter(sequences(data, place=self.layout().key(file.first))), file.first)

    def _oldest_file(self, low: int, high: int) -> LedgerRange:
        """Search between a ledger nothing is older than, and one that is there."""
        layout = self.layout()
        folder = layout.folder(high)
        step = _STRIDE * layout.ledgers_per_file
        while low < high:
            look = min(low + step, high)
            older = self._page(folder, after=layout.key(look))
            held = [span for key, _ in older if (span := _held(key))]
            if not held:
                low, step = look, step * 4
            elif look - low <= _STRIDE * layout.ledgers_per_file:
                return held[-1]
            else:
                high, step = held[0].first, _STRIDE * layout.ledgers_per_file
        return layout.file(high)

    def files(self, ledgers: LedgerRange) -> Iterator[tuple[str, int]]:
        """Yield the key and size of every file that holds ledgers of a range, the newest first."""
        layout = self.layout()
        partition = layout.partition(ledgers.end).first
        lowest = layout.partition(ledgers.first).first
        while partition >= lowest:
            yield from self._files_of(layout.folder(partition), ledgers)
            if not layout.partitioned:
                return
            partition -= layout.partition_length

    def _files_of(self, folder: str, ledgers: LedgerRange) -> Iterator[tuple[str, int]]:
        layout = self.layout()
        newer = layout.file(ledgers.end).end + 1
        after = layout.key(newer) if newer <= LAST_POSSIBLE and layout.folder(newer) == folder else ""
        while page := self._page(folder, after=after):
            for key, size in page:
                held = _held(key)
                if held and held.end < ledgers.first:
                    return
                if held and held.first <= ledgers.end:
                    yield key, size
            after = page[-1][0]

    def held(self, ledgers: LedgerRange) -> LedgerSet:
        """Return which ledgers of a range are there by the names of files."""
        spans = (_held(key) for key, _ in self.files(ledgers))
        return LedgerSet(span for span in spans if span) & LedgerSet([ledgers])

    def _page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        if not self.lists:
            raise SourceError(
                f"{self.store.where} cannot tell what it holds: say which ledgers, as in --ledgers A:B"
            )
        return self._call("list", lambda: self.store.page(prefix, after=after))

    def _call(self, operation: str, work: Callable[[], Result]) -> Result:
        return self._guard.call(f"lake {operation}", work)


def _held(key: str) -> LedgerRange | None:
    return ledgers_named(key.rpartition("/")[2])
