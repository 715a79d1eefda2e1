"""Ledgers in a data lake (SEP-54): a bucket of S3, Google Cloud or Azure, an HTTP address, or a folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final
from urllib.parse import unquote

from stellarrow.errors import ConfigError, LedgerMissing, SourceError, Stopped
from stellarrow.lake.reader import CHAIN_BEGINS, Lake
from stellarrow.ledgers import LAST_POSSIBLE, LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.resilience import Guard, Policy
from stellarrow.registry import SourceOptions
from stellarrow.sources.chunking import pieces
from stellarrow.sources.lake.prefetch import Tuning, fetched
from stellarrow.storage.local import LocalStore
from stellarrow.storage.opening import open_store
from stellarrow.storage.store import StoreOptions
from stellarrow.telemetry.metrics import Metrics

_ENDPOINT: Final = "?endpoint="
_CLOUDS: Final = ("s3", "gs", "az")
_WHOLE: Final = 1 << 20  # a file of several ledgers up to this size, in zstd, is one chunk
_AT_ONCE: Final = 8  # files in a row that were there already: it lags behind, so fetch ahead again
_MOST_FETCHERS: Final = 1_024  # each is a thread
_GRACE_POLLS: Final = 10  # how often to look for a file that newer ones are there without
_IN_TURN: Final = 16  # files that several writers may bring in another order than that of ledgers
_SLEEPY: Final = 60  # polls without anything new after which polling slows down
_SLOWEST: Final = 5.0  # times the poll
_SAMPLE: Final = 5_000  # files whose sizes are added up; those of more are estimated


@dataclass(frozen=True, slots=True)
class LakeOptions:
    """How a lake is read; who does not know better leaves `fetchers` to find its own number.

    `poll` is how often, in seconds, to look for the next ledger; `budget_mb` bounds what is fetched ahead.
    `credentials` are for lakes at web addresses; `instance_credentials` as in StoreOptions.
    """

    endpoint: str | None = None
    fetchers: int | None = None
    budget_mb: int = 32
    poll: float = 1.0
    credentials: ClientCredentials = NO_CREDENTIALS
    instance_credentials: bool | None = None

    def __post_init__(self) -> None:
        for name, value in (("fetchers", self.fetchers), ("budget_mb", self.budget_mb), ("poll", self.poll)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name} is {value}: it must be more than 0")
        if (self.fetchers or 0) > _MOST_FETCHERS:
            raise ConfigError(f"fetchers is {self.fetchers}: it must be {_MOST_FETCHERS} at most")


class LakeSource:
    """Read a lake, fetching ahead. An open range goes on with the ledgers that are still to come."""

    def __init__(
        self,
        location: str | os.PathLike[str],
        options: LakeOptions | None = None,
        *,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._options = options or LakeOptions()
        policy = policy or Policy()
        self._metrics = metrics or Metrics()
        self._stop = threading.Event()
        store = open_store(
            os.fspath(location),
            StoreOptions(
                endpoint=self._options.endpoint,
                timeout=policy.timeout,
                credentials=self._options.credentials,
                instance_credentials=self._options.instance_credentials,
            ),
        )
        self._guard = Guard(store.where, policy, metrics=self._metrics, stop=self._stop)
        self._lake = Lake(store, self._guard)
        self._remote = not isinstance(store, LocalStore)
        self._tuning = Tuning(policy.concurrency, fixed=self._options.fetchers)

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> LakeSource:
        """Open a lake, as the registry does; behind it, `?endpoint=URL` may say where its store is."""
        place, mark, endpoint = url.partition(_ENDPOINT)
        if not mark or url.partition("://")[0] not in _CLOUDS:
            place, endpoint = url, options.endpoint or ""
        chosen = LakeOptions(
            endpoint=unquote(endpoint) or None,
            fetchers=options.fetchers,
            credentials=options.access.source,
            instance_credentials=options.access.instance_credentials,
        )
        return cls(place, chosen, policy=options.policy, metrics=options.metrics)

    @property
    def name(self) -> str:
        return self._lake.store.where

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the store, for those who watch over it."""
        return (self._guard,)

    @property
    def fetchers(self) -> int:
        """How many requests it has under way at once."""
        return self._tuning.now

    def available(self) -> LedgerSet:
        """Return the oldest to the newest ledger; a hole between them shows when its turn comes."""
        oldest, tip = self._lake.oldest(), self._lake.tip()
        return LedgerSet([] if oldest is None or tip is None else [LedgerRange(oldest, tip)])

    def bounds(self) -> LedgerSet:
        """Return what is available; where nothing lists it, what looking for the newest file finds."""
        if self._lake.lists:
            return self.available()
        found = self._lake.searched()
        return LedgerSet([found]) if found else self.available()

    def network(self) -> Network | None:
        return self._lake.network()

    def held(self, ledgers: LedgerSet) -> LedgerSet | None:
        """List which of these ledgers have files; None below an address that lists nothing."""
        if not self._lake.lists:
            return None
        return LedgerSet(part for wanted in ledgers for part in self._lake.held(wanted)) & ledgers

    def stored_bytes(self, ledgers: LedgerSet) -> int:
        """Return how many bytes the files of these ledgers have; beyond some thousands it is an estimate."""
        total = 0
        for part in ledgers:
            sizes = [size for _, size in islice(self._lake.files(part), _SAMPLE)]
            files = -(-part.count // self._lake.layout().ledgers_per_file)
            total += sum(sizes) * files // len(sizes) if len(sizes) == _SAMPLE else sum(sizes)
        return total

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Fetch the file of a chunk once more."""
        file = self._lake.layout().file(chunk.first)
        where = f"{self._lake.store.where}/{self._lake.layout().key(file.first)}"
        data = self._lake.file(chunk.first)
        if data is None:
            raise LedgerMissing(f"{where} vanished while it was read: restore it")
        if chunk.last > file.end:
            raise SourceError(f"{where} holds ledgers up to {file.end} alone, not up to {chunk.last}")
        return replace(chunk, data=data, framing="auto", where=where)

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        due = ledgers.first
        try:
            while due <= ledgers.end and not self._stop.is_set():
                for chunk in self._ahead(LedgerRange(due, ledgers.last)):
                    yield chunk
                    due = chunk.last + 1
                if due > ledgers.end or self._stop.is_set():
                    return
                self._check_end(due, ledgers)
                for chunk in self._followed(LedgerRange(due, ledgers.last)):
                    yield chunk
                    due = chunk.last + 1
        except Stopped:
            return

    def close(self) -> None:
        self._stop.set()

    def _ahead(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        """Yield what is there, up to the first file that is not."""
        return self._fetched(ledgers, self._lake.file, self._tuning)

    def _fetched(
        self, ledgers: LedgerRange, fetch: Callable[[int], bytes | None], tuning: Tuning
    ) -> Iterator[LedgerChunk]:
        files = fetched(
            self._lake.layout().files(ledgers),
            lambda file: fetch(file.first),
            tuning=tuning,
            budget=self._options.budget_mb << 20,
            stop=self._stop,
        )
        with closing(files):
            for file, data in files:
                if data is None:
                    return
                yield from self._chunks(file, data, ledgers)

    def _followed(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        """Yield file after file as they appear, until several were there at once."""
        due, at_once, polls = ledgers.first, 0, 0
        while at_once < _AT_ONCE and due <= ledgers.end:
            one = LedgerRange(due, min(ledgers.end, self._lake.layout().file(due).end))
            begun = due
            # One file, but fetched aside: close() need not wait for a server that is silent.
            for chunk in self._fetched(one, self._lake.next_file, Tuning(1)):
                yield chunk
                due = chunk.last + 1
            if due > begun:
                at_once, polls = 0 if polls else at_once + 1, 0
                continue
            polls += 1
            if self._stop.wait(self._options.poll * min(_SLOWEST, max(1.0, polls / _SLEEPY))):
                return
            if polls % _SLEEPY == _GRACE_POLLS and self._is_hole(due):
                raise self._hole(due, ledgers)

    def _check_end(self, due: int, ledgers: LedgerRange) -> None:
        """Tell a ledger that is missing from one that is still to come."""
        if ledgers.last is None:
            if due == ledgers.first and (begins := self._began_before(due)) is not None:
                raise self._begins_later(begins, due, ledgers)
            return
        if self._is_hole(due):
            raise self._hole(due, ledgers)
        if self._lake.file(due) is not None:
            return  # it has just come
        raise LedgerMissing(
            f"ledger {due} is not in {self._lake.store.where}{self._extent()}{self._doubt()}: ask for"
            f" less, or follow the chain with {ledgers.first}:"
        )

    def _began_before(self, due: int) -> int | None:
        """Return where a lake begins that has gone on since without a ledger: its writers are past it."""
        if self._lake.lists and (self._lake.tip() or 0) <= due:
            return None  # it is still to come
        begins = self._lake.begins_after(due)
        if begins is None or self._lake.file(due) is not None:
            return None
        later = begins + _IN_TURN * self._lake.layout().ledgers_per_file
        return begins if later <= LAST_POSSIBLE and self._lake.file(later) is not None else None

    def _is_hole(self, due: int) -> bool:
        """Tell whether newer files are there, and this one still is not."""
        layout = self._lake.layout()
        if self._lake.lists:
            tip = self._lake.tip()
            newer = tip is not None and tip > layout.file(due).end
        else:
            following = (layout.file(due).end + 1 + ahead * layout.ledgers_per_file for ahead in range(3))
            newer = any(self._lake.file(ledger) for ledger in following)
        return newer and self._lake.file(due) is None

    def _hole(self, due: int, ledgers: LedgerRange) -> LedgerMissing:
        if (begins := self._lake.begins_after(due)) is not None:
            return self._begins_later(begins, due, ledgers)
        return LedgerMissing(
            f"ledger {due} is missing in {self._lake.store.where}, which has ledgers after it:"
            f" {self._lake.layout().key(due)} is not there{self._doubt()}, restore it"
        )

    def _begins_later(self, begins: int, due: int, ledgers: LedgerRange) -> LedgerMissing:
        rest = f"{begins}:{ledgers.last}" if ledgers.last and ledgers.last >= begins else f"{begins}:"
        return LedgerMissing(
            f"{self._lake.store.where} begins with ledger {begins}, so there is no ledger {due}: start there,"
            f" with {rest}{self._doubt()}"
        )

    def _doubt(self) -> str:
        return f" ({doubt})" if (doubt := self._lake.store.doubt) else ""

    def _extent(self) -> str:
        if not self._lake.lists:
            return ""
        tip = self._lake.tip()
        return ", which is empty" if tip is None else f", whose newest is {tip}"

    def _chunks(self, file: LedgerRange, data: bytes, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        where = f"{self._lake.store.where}/{self._lake.layout().key(file.first)}"
        wanted = LedgerRange(max(file.first, ledgers.first), min(file.end, ledgers.end))
        self._metrics.received(wanted.count, len(data))
        if not (data := data or self._lake.file(file.first) or b""):
            raise SourceError(f"{where} is empty: put the file back")
        if wanted.first < CHAIN_BEGINS and (begins := self._lake.first_in(file, data)) > wanted.first:
            raise self._begins_later(begins, wanted.first, ledgers)
        if len(data) <= _WHOLE or file.count == 1:
            yield LedgerChunk(data, "auto", wanted.first, wanted.end, where, self._remote)
        else:
            yield from pieces([data], wanted, where=where, fetched=self._remote)
