"""Look a lake over: what is missing, misplaced, damaged, or of another chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from stellarrow.core.decode import Decoder
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    DecodeError,
    NetworkMismatch,
    SourceError,
    StellarrowError,
    Unavailable,
)
from stellarrow.lake.layout import MANIFEST, SUFFIXES, ledgers_named
from stellarrow.lake.reader import CHAIN_BEGINS, Lake
from stellarrow.ledgers import LAST_POSSIBLE, LedgerChunk, LedgerRange, LedgerRun, Network
from stellarrow.net.resilience import Guard
from stellarrow.pipeline.hash_chain import unlinked
from stellarrow.pipeline.parallel import ordered
from stellarrow.storage.store import Store

_READERS: Final = 16  # at once: they wait for the store more than they work
_BUDGET: Final = 64 << 20  # stored bytes in flight
_KINDS: Final[dict[type[StellarrowError], str]] = {
    DecodeError: "damaged",
    ChainBroken: "chain",
    NetworkMismatch: "network",
    SourceError: "content",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: its kind, where, and what it is in words.

    Kinds: manifest, stranger, misplaced, double, missing, empty, damaged, content, network, chain, differs,
    against.
    """

    kind: str
    place: str
    told: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One file as it was found; `run` is what its ledgers say, None where they were not read."""

    key: str
    ledgers: LedgerRange | None
    stored: int
    faults: tuple[Fault, ...] = ()
    run: LedgerRun | None = None


class LakeCheck:
    """Checks a lake by its names alone, or with every ledger in it; what is wrong is told, not raised."""

    def __init__(self, store: Store, guard: Guard, *, network: Network | None = None) -> None:
        self._store = store
        self._guard = guard
        self._network = network
        lake = Lake(store, guard)
        try:
            self._layout = lake.layout()
        except Unavailable:
            raise
        except SourceError as error:
            shown = lake.shown()
            if shown is None:
                raise
            self._layout = shown
            self.manifest: tuple[Fault, ...] = (Fault("manifest", MANIFEST, str(error)),)
        else:
            self.manifest = tuple(self._manifest_faults(lake))
            self._network = network or lake.network()

    def _manifest_faults(self, lake: Lake) -> Iterator[Fault]:
        answer = lake.manifest()
        if answer is None:
            yield Fault("manifest", MANIFEST, "there is none, so readers must be told the network: write one")
        elif self._network and answer.network.passphrase != self._network.passphrase:
            yield Fault("manifest", MANIFEST, f"it names {answer.network}, not {self._network}: fix it")

    def names(self, wanted: LedgerRange | None = None) -> Iterator[Checked]:
        """Yield every file, the newest first, with what its name and size show."""
        newer: LedgerRange | None = None
        for key, size in self._entries(wanted):
            ledgers = ledgers_named(key.rpartition("/")[2])
            if ledgers is None:
                text = "its name is none of a lake (SEP-54): move it elsewhere"
                yield Checked(key, None, size, (Fault("stranger", key, text),))
                continue
            found = tuple(self._misnamed(key, ledgers, size, newer))
            yield Checked(key, ledgers, size, found)
            if not any(fault.kind == "misplaced" for fault in found):
                newer = ledgers

    def ledgers(self, files: Iterable[Checked]) -> Iterator[Checked]:
        """Yield the files again, with what their bytes show; each must link to the one before it."""
        if self._network is None:
            raise ConfigError("the lake does not tell its network: give --network, a name or a passphrase")
        decode = Decoder(["ledgers"], network=self._network, verify_hashes=True)
        looked = ordered(
            files,
            lambda file: self._inspected(file, decode),
            workers=_READERS,
            budget=_BUDGET,
            cost=lambda file: file.stored,
        )
        newer: LedgerRun | None = None
        with closing(looked):
            for file in looked:
                yield replace(file, faults=(*file.faults, *_unlinked(file, newer)))
                newer = file.run

    def _entries(self, wanted: LedgerRange | None) -> Iterator[tuple[str, int]]:
        after = ""
        if wanted and (newer := self._layout.file(wanted.end).end + 1) <= LAST_POSSIBLE:
            after = self._layout.key(newer)
        while page := self._guard.call("lake list", lambda: self._store.page(after=after)):  # noqa: B023  called at once
            for key, size in page:
                held = ledgers_named(key.rpartition("/")[2])
                if wanted and held and held.end < wanted.first:
                    return
                if key != MANIFEST and not (wanted and held and held.first > wanted.end):
                    yield key, size
            after = page[-1][0]

    def _misnamed(
        self, key: str, ledgers: LedgerRange, size: int, newer: LedgerRange | None
    ) -> Iterator[Fault]:
        right = self._layout.key(ledgers.first)
        if key not in [right.removesuffix(self._layout.suffix) + suffix for suffix in SUFFIXES]:
            yield Fault("misplaced", key, f"by the layout it should be {right}: rename it")
            return
        if size == 0:
            yield Fault("empty", key, "it has no bytes: remove it, and write it again")
        if newer and ledgers.end >= newer.first:
            yield Fault("double", key, f"another file holds ledger {ledgers.end} too: remove one")
        elif newer and ledgers.end + 1 < newer.first:
            lost = LedgerRange(ledgers.end + 1, newer.first - 1)
            yield Fault(
                "missing", str(lost), f"{lost.count:,} of the ledgers are not there: write them again"
            )

    def _inspected(self, file: Checked, decode: Decoder) -> Checked:
        if file.ledgers is None or not file.stored:
            return file
        data = self._guard.call("lake get", lambda: self._store.get(file.key))
        if data is None:
            return replace(file, faults=(*file.faults, Fault("missing", file.key, "it vanished meanwhile")))
        first = file.ledgers.first
        for start in range(first, max(first, CHAIN_BEGINS) + 1 if first == 0 else first + 1):
            # The first file of all begins where the chain does, later than its name says.
            fault, run = _read(LedgerChunk(data, "auto", start, file.ledgers.end, file.key), decode)
            if run or fault is None or fault.kind != "content":
                break
        return replace(file, faults=(*file.faults, *([fault] if fault else [])), run=run)


def _read(chunk: LedgerChunk, decode: Decoder) -> tuple[Fault | None, LedgerRun | None]:
    try:
        return None, decode(chunk).run
    except tuple(_KINDS) as error:
        answer = str(error).removeprefix(f"{chunk.where}: ")
        return Fault(_KINDS[type(error)], chunk.where, answer), None


def _unlinked(file: Checked, newer: LedgerRun | None) -> Iterator[Fault]:
    run = file.run
    if run and newer and run.last + 1 == newer.first:
        wrong = unlinked(newer.first, newer.previous_hash, run.last, run.last_hash)
        if wrong:
            yield Fault("chain", file.key, f"{wrong}: one is not of this chain")
