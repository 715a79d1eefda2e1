"""Tables that were extracted into a sink that is no folder of files, read back as what `scan` yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow import registry
from stellarrow.core.tables import is_typed
from stellarrow.core.typed import loose_name
from stellarrow.errors import ConfigError, LedgerMissing, SourceError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.protocols import HeldTable, Readable, Typed
from stellarrow.sinks.files.departures import Departures
from stellarrow.sinks.files.lacking import warning_of
from stellarrow.sql import compile_sql
from stellarrow.storage.paths import local_path

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation

# A filter's fields that a column answers alone; the rest takes what the walk sees.
_ANSWERED = {"contract_ids": "contract_id", "event_names": "event_name"}
_UNANSWERED = ("asset_codes", "asset_issuers", "event_types", "accounts")


@dataclass(frozen=True, slots=True)
class SunkTable:
    """A table of a sink."""

    place: str
    held: HeldTable
    schema: pa.Schema
    beside: tuple[HeldTable, ...] = ()  # the other tables of the place
    again: Callable[[], LedgerSet] | None = None  # what it covers by now

    @property
    def ledgers(self) -> LedgerSet:
        """The ledgers that it covers."""
        return self.held.ledgers

    @property
    def departures(self) -> Departures:
        """Nothing: no lifecycle archives or deletes what is in it."""
        return Departures()

    def lacking(self, wanted: LedgerSet | None) -> str:
        """Say what is lacking where all is asked for, or all from a ledger on; empty where nothing is."""
        reach = max((one.ledgers.last for one in self.beside if one.ledgers), default=0)
        said = warning_of(self.held.name, self.held.ledgers, wanted, reach=reach)
        if not said or self.again is None:
            return said
        # Who writes may have been between two tables just now: what others had then it has by now.
        return warning_of(self.held.name, self.again(), wanted, reach=reach)

    def read_ledgers(self, text: str) -> LedgerSet:
        """Read which ledgers are asked for, by number or by when they closed."""
        times = CloseTimes.of_rows(
            self.held.ledgers,
            lambda part: self.held.read(["ledger_sequence", "closed_at"], part),
            name=f"{self.held.name} in {self.place}",
        )
        return LedgerSet.parse(text, known=lambda: self.held.ledgers, times=times)

    def wanted_ledgers(self, asked: LedgerSet | str | None) -> LedgerSet:
        """Return which ledgers are meant, all of which are there."""
        return self._covered(self.read_ledgers(asked) if isinstance(asked, str) else asked)

    def batches(self, where: Filter, wanted: LedgerSet | None) -> Callable[[], Iterator[pa.RecordBatch]]:
        """Return what makes a pass over the rows of these ledgers, in their order."""
        compute = compile_sql(self.held.name, self.schema, where, whole=self.schema)
        for field in _UNANSWERED:
            if getattr(where, field):
                raise ConfigError(f"{field} cannot be asked of what was extracted: ask in SQL, as where")
        chosen = where if compute is None else compute.filter
        due = self._covered(wanted)
        return lambda: self._rows(due, chosen, compute)

    def _covered(self, wanted: LedgerSet | None) -> LedgerSet:
        held = self.held.ledgers
        if wanted is None:
            return held
        is_open = wanted and wanted.ranges[-1].last is None
        asked = wanted & LedgerSet([LedgerRange(0, held.last)]) if is_open else wanted
        if absent := asked - held:
            raise LedgerMissing(
                f"{self.held.name} in {self.place} has {held}, but not {absent}: extract them, or ask for"
                " what is there"
            )
        return asked

    def _rows(self, due: LedgerSet, chosen: Filter, compute: Computation | None) -> Iterator[pa.RecordBatch]:
        for part in due:
            for rows in self.held.read(self.schema.names, part):
                kept = _chosen(rows.cast(self.schema), chosen)
                if kept.num_rows:
                    yield compute(kept) if compute else kept


def is_files(location: str) -> bool:
    """Tell whether a location is of a sink of files with its format before it, such as `parquet:FOLDER`."""
    scheme, colon, _ = location.partition(":")
    return bool(colon) and scheme in registry.FORMATS and not local_path(location).exists()


def is_no_file(location: str) -> bool:
    """Tell whether a location is of a sink that keeps no plain files: a database, or `delta:FOLDER`."""
    scheme, colon, _ = location.partition(":")
    known = scheme in registry.sinks() and scheme not in registry.FORMATS
    return bool(colon) and known and not local_path(location).exists()


def sunk_tables(place: str) -> list[SunkTable] | None:
    """Return all tables of a sink; None where the place is none that rows can be scanned in."""
    found = _Found.look(place)
    return None if found is None else [found.table(one) for one in found.held]


def find_sunk(place: str, table: str) -> SunkTable | None:
    """Find a table in a sink; None where the place is none that rows can be scanned in."""
    if (found := _Found.look(place)) is None:
        return None
    shown = redacted_url(place)
    name, _, version = table.partition("@")
    if (one := _named(found.held, name)) is not None:
        if version and one.version != version:
            raise SourceError(f"{shown} holds {name}@{one.version}: ask for that")
        return found.table(one)
    others = ", ".join(one.name for one in found.held)
    raise SourceError(
        f"{shown} has no {name}: {f'it has {others}' if others else 'extract something into it first'}"
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The tables of a sink, looked at once."""

    kind: Readable
    place: str
    held: Sequence[HeldTable]

    @classmethod
    def look(cls, place: str) -> _Found | None:
        scheme = place.partition(":")[0]
        if scheme in registry.sources() or scheme not in registry.sinks():
            return None
        kind = registry.sink_entry(place).load()
        if not isinstance(kind, Readable):
            return None
        held = kind.held(place)
        return None if held and not isinstance(held[0], Typed) else cls(kind, place, held)

    def table(self, one: HeldTable) -> SunkTable:
        assert isinstance(one, Typed)  # noqa: S101  for the type checker: all tables of a sink are of a kind
        again = partial(_covered, self.kind, self.place, one.name)
        return SunkTable(redacted_url(self.place), one, one.schema, _beside(one, self.held), again)


def _named(held: Sequence[HeldTable], name: str) -> HeldTable | None:
    """Return the table of a name; case and underscores do not matter to typed ones."""
    if found := next((one for one in held if one.name == name), None):
        return found
    alike = [one for one in held if is_typed(name) and loose_name(one.name) == loose_name(name)]
    return alike[0] if len(alike) == 1 else None


def _beside(table: HeldTable, held: Sequence[HeldTable]) -> tuple[HeldTable, ...]:
    """Return the tables that are to have the same ledgers; typed ones are of a contract's alone."""
    if is_typed(table.name):
        return ()
    others = (one for one in held if one.name != table.name and one.network == table.network)
    return tuple(one for one in others if not is_typed(one.name))


def _covered(kind: Readable, place: str, name: str) -> LedgerSet:
    return next((one.ledgers for one in kind.held(place) if one.name == name), LedgerSet())


def _chosen(rows: pa.RecordBatch, where: Filter) -> pa.RecordBatch:
    """Leave out rows by what columns alone can answer of a filter."""
    for name, column in _ANSWERED.items():
        if (values := getattr(where, name)) and column in rows.schema.names:
            rows = rows.filter(pc.is_in(rows.column(column), pa.array(list(values), pa.string())))
    if not where.include_deleted and "deleted" in rows.schema.names:
        rows = rows.filter(pc.invert(rows.column("deleted")))
    return rows
