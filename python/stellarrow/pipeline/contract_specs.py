"""What ledgers tell of contracts before their typed tables can be read: a pass over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import is_typed
from stellarrow.core.typed import Knowledge, Specs, TypedTables
from stellarrow.core.typed_columns import united
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline import made_before
from stellarrow.pipeline.loop import is_open, wanted_ledgers
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.pipeline.spec_following import FollowedTables, SpecFollower
from stellarrow.protocols import Growing, Source


@dataclass(frozen=True, slots=True)
class Learned:
    """Typed tables of ledgers, and what they were made from; `until` is the last ledger learned from."""

    tables: TypedTables
    network: Network
    known: Knowledge
    until: int

    def followed(self, names: Sequence[str], options: DecodeOptions) -> FollowedTables:
        """Return what decodes tables of ledgers that are still to come, in the columns there are now."""
        self.known.seed({name: self.tables.schema(name) for name in self.tables.names})
        follower = SpecFollower(self.known, self.network, cache=SpecCache())
        return FollowedTables(follower, names, options, learned=self.until)


Ledgers: TypeAlias = LedgerSet | LedgerRange | str | None
Place: TypeAlias = str | os.PathLike[str]


def learned(
    source: Place | Source,
    names: Iterable[str],
    *,
    specs: Specs | None = None,
    ledgers: Ledgers = None,
    network: str | Network | None = None,
    also: Callable[[Knowledge], None] | None = None,
    sinks: Iterable[object] = (),
    follows: bool = False,
) -> Learned:
    """Compile the typed tables of these names from what the ledgers tell, and what the caller says.

    What `also` adds comes after the ledgers. Columns that the sinks have already stay, whatever these
    ledgers tell. A contract whose interface is not known is warned of (SpecUnknown). Ledgers that have no
    end are refused, unless `follows`: what they tell is learned as they come.
    """
    from stellarrow.registry import find_network  # noqa: PLC0415  loads sources and sinks

    names = [*filter(is_typed, names)]
    known = Knowledge(names, specs)
    with opened(source) as place:
        network = find_network(place, network)
        due = _ending(wanted_ledgers(place, ledgers), place)
        is_said = known.is_complete and all("/events/" in name for name in names)
        if is_open(due) and not (is_said or follows):
            raise _endless()
        if not (is_said or is_open(due)):
            _learn(known, place, network, due)
    _cached(known)
    if also:
        also(known)
    held = kept_columns(sinks := [*sinks])
    known.seed(held)
    tables = known.tables()
    if held:
        with opened(source) as place:
            made_before.refuse(known, tables.names, sinks, wanted_ledgers(place, ledgers))
    if is_open(due) and (unknown := tables.unknown):
        raise _endless(unknown)
    tables.warn()
    return Learned(tables, network, known, 0 if is_open(due) else due.last if due else 0)


def kept_columns(sinks: Iterable[object]) -> dict[str, pa.Schema]:
    """Return the columns of the typed tables that sinks have already, of those that are named as text."""
    from stellarrow.registry import sink_entry  # noqa: PLC0415  loads sources and sinks

    found: dict[str, list[pa.Schema]] = {}
    for place in sinks:
        kind = sink_entry(place).load() if isinstance(place, str) else None
        if isinstance(kind, Growing) and isinstance(place, str):
            for name, columns in kind.typed_columns(place).items():
                found.setdefault(name, []).append(columns)
    return {name: united(columns) for name, columns in found.items()}


def _cached(known: Knowledge) -> None:
    """Know code that was found earlier on this machine: it is compared with its hash."""
    cache = SpecCache()
    for hash in known.missing():
        if code := cache.get(hash):
            known.add_code(hash, code)


def _endless(unknown: Iterable[str] = ()) -> ConfigError:
    """Return the error of ledgers that have no end, of contracts of which nothing is known before them."""
    whose = f" of {', '.join(unknown)}" if unknown else ""
    return ConfigError(
        f"typed tables{whose} are made of what the ledgers tell, and these have no end that is known: give"
        " ledgers A:B, or the contract's interface (--spec C…=FILE.wasm, --specs PLACE, in Python specs)"
    )


def _learn(known: Knowledge, source: Source, network: Network, due: LedgerSet) -> None:
    for part in due:
        with closing(source.read(part)) as chunks:  # type: ignore[type-var]  # they are generators
            for chunk in chunks:
                wanted = LedgerRange(chunk.first, chunk.last)
                known.learn(chunk.data, network, chunk.framing, wanted, verify_chain=False)


@contextmanager
def opened(source: Place | Source) -> Iterator[Source]:
    """Open a source that is named, and close it at the end."""
    if not isinstance(source, str | os.PathLike):
        yield source
        return
    from stellarrow.registry import open_source  # noqa: PLC0415  loads sources and sinks

    if os.fspath(source) == "-":
        raise ConfigError(
            "typed tables take two passes, and stdin has one: save it to a file, or say all with specs"
        )
    with closing(open_source(os.fspath(source))) as place:
        yield place


def _ending(wanted: LedgerSet, source: Source) -> LedgerSet:
    """The same; where the source cannot tell, the range stays open."""
    try:
        return ending(wanted, source)
    except ConfigError:
        return wanted


def ending(wanted: LedgerSet, source: Source) -> LedgerSet:
    """End an open range with what the source has now, where it can tell."""
    if not is_open(wanted):
        return wanted
    held = source.available()
    return wanted if not held or is_open(held) else wanted & LedgerSet([LedgerRange(0, held.last)])
