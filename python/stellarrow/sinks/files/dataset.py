"""Tables that were extracted into files, read back as what `scan` yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from stellarrow.core.tables import TYPED, is_typed
from stellarrow.core.typed import loose_name, target_of
from stellarrow.errors import ConfigError, LedgerMissing, SourceError, joined
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.sinks.files.delta_beside import is_delta, refuse_database, refuse_delta, refuse_other_sinks
from stellarrow.sinks.files.departed import LIFECYCLE
from stellarrow.sinks.files.departures import Departures
from stellarrow.sinks.files.lacking import reach_of, warning_of
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.location import open_existing, open_files
from stellarrow.sinks.files.pieces import pieces
from stellarrow.sinks.files.reading import Unreadable, found_tables, rows_of
from stellarrow.sql import compile_sql
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation

_LEDGER: Final = "ledger_sequence"
_BATCH: Final = 1 << 15  # rows
# A filter's fields that a column of the files answers alone; the rest takes what the walk sees.
_ANSWERED: Final = {"contract_ids": "contract_id", "event_names": "event_name"}
_UNANSWERED: Final = ("asset_codes", "asset_issuers", "event_types", "accounts")

Pass = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class ExtractedTable:
    """The files of one table."""

    listing: Listing
    beside: tuple[Listing, ...] = ()  # the other tables of the place

    @property
    def schema(self) -> pa.Schema:
        return self.listing.shape.schema

    @property
    def ledgers(self) -> LedgerSet:
        return self.listing.ranges()

    @property
    def departures(self) -> Departures:
        """What was archived or deleted of it."""
        return Departures.look(self.listing)

    def lacking(self, wanted: LedgerSet | None) -> str:
        """Say what is lacking where all is asked for, or all from a ledger on; empty where nothing is."""
        known = self.ledgers | self.listing.departed().ledgers
        table = self.listing.shape.facts["table"]
        return warning_of(table, known, wanted, reach=reach_of(self.beside))

    def read_ledgers(self, text: str) -> LedgerSet:
        """Read which ledgers are asked for, by number or by when they closed."""
        times = CloseTimes.of_rows(
            self.ledgers,
            lambda part: rows_of(self.listing, part, [_LEDGER, "closed_at"]),
            name=str(self.listing),
        )
        try:
            return LedgerSet.parse(text, known=lambda: self.ledgers, times=times)
        except LedgerMissing as error:
            if said := self.departures.said():
                raise LedgerMissing(joined(str(error), said)) from error
            raise

    def batches(self, where: Filter, wanted: LedgerSet | None) -> Pass:
        """Return what makes a pass over the rows of these ledgers, file by file."""
        compute = compile_sql(self.listing.shape.folder, self.schema, where, whole=self.schema)
        for field in _UNANSWERED:
            if getattr(where, field):
                raise ConfigError(f"{field} cannot be asked of extracted files: ask in SQL, as where")
        condition = _condition(where if compute is None else compute.filter, self.schema)
        due = self._covered(wanted)
        return lambda: self._rows(due, condition, compute)

    def _covered(self, wanted: LedgerSet | None) -> LedgerSet:
        held = self.ledgers
        if wanted is None:
            return held
        is_open = wanted and wanted.ranges[-1].last is None
        asked = wanted & LedgerSet([LedgerRange(0, held.last)]) if is_open else wanted
        if absent := asked - held:
            if said := self.departures.said(wanted=absent):
                raise LedgerMissing(f"{self.listing} has {held}; {said}")
            raise LedgerMissing(
                f"{self.listing} has {held}, but not {absent}: extract them, or ask for what is there"
            )
        return asked

    def _rows(self, due: LedgerSet, condition: Any, compute: Computation | None) -> Iterator[pa.RecordBatch]:
        for part in due:
            for rows in self._between(part, condition):
                if rows.num_rows:
                    yield compute(rows) if compute else rows

    def _between(self, ledgers: LedgerRange, condition: Any) -> Iterator[pa.RecordBatch]:
        if self.listing.shape.format.name != "parquet":
            for rows in rows_of(self.listing, ledgers):
                yield rows if condition is None else rows.filter(condition)
            return
        # Arrow's datasets pass over row groups whose statistics rule them out.
        for due, path, file in pieces(self.listing, ledgers):
            within = (ds.field(_LEDGER) >= due.first) & (ds.field(_LEDGER) <= due.end)
            with readable(self.listing.store, path):
                yield from (
                    verifying()
                    .make_fragment(file)
                    .to_batches(schema=self.schema, filter=_both(condition, within), batch_size=_BATCH)
                )


def verifying() -> ds.ParquetFileFormat:
    """Return Parquet as Arrow's datasets read it, each page compared with its checksum."""
    return ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    )


def find_table(place: Path, table: str) -> ExtractedTable | None:
    """Find a table's files below a folder; None where nothing was extracted there."""
    refuse_database(place)
    if not place.is_dir():
        return None
    if place.name == table.partition("@")[0] and _was_extracted(place) and not is_delta(place):
        place = place.parent
    elif not is_extracted(place):
        return None
    return _found(open_files(place), str(place), table)


def find_table_at(location: str, table: str) -> ExtractedTable:
    """Find a table's files where a sink of files wrote, such as `parquet:FOLDER`."""
    return _found(open_existing(location), redacted_url(location), table)


def _found(store: FileStore, place: str, table: str) -> ExtractedTable:
    name, _, version = table.partition("@")
    tables = found_tables(store)
    known = [one for one in tables if isinstance(one, Listing)]
    found = _named(known, name)
    if len(found) > 1:
        raise ConfigError(f"{place} holds {name} in {', '.join(map(str, found))}: name one of them")
    for listing in found:
        held = listing.shape.facts["schema_version"]
        if version and held != version:
            raise SourceError(f"{listing} holds {name}@{held}: ask for that, or extract {table} elsewhere")
        return ExtractedTable(listing, beside(listing, known))
    if said := _departed(store, name):
        raise LedgerMissing(f"{place} has no {name} any more: {said}")
    for one in tables:
        if isinstance(one, Unreadable) and one.folder.rpartition("/")[2] == name:
            raise one.error
    if isinstance(store, LocalFiles):
        refuse_other_sinks(Path(str(store)))
        refuse_delta(str(store), [name])
    raise _without(place, name, known)


def beside(listing: Listing, known: Iterable[Listing]) -> tuple[Listing, ...]:
    """Return the tables that are to have the same ledgers: those in folders beside; none of a typed table."""
    parent = listing.shape.folder.rpartition("/")[0]
    if is_typed(listing.shape.facts["table"]):
        return ()
    others = (one for one in known if one is not listing and one.shape.folder.rpartition("/")[0] == parent)
    return tuple(one for one in others if not is_typed(one.shape.facts["table"]))


def _departed(store: FileStore, name: str) -> str:
    """Say where a table went of which every file was archived or deleted; empty where there is none."""
    left = [one for one in found_tables(store, departed=True) if isinstance(one, Listing)]
    return next((said for one in _named(left, name) if (said := Departures.look(one).said())), "")


def _named(known: Sequence[Listing], name: str) -> list[Listing]:
    """Return the tables of a name; case and underscores do not matter to typed ones."""
    if found := [one for one in known if one.shape.facts["table"] == name]:
        return found
    loose = [one for one in known if loose_name(one.shape.facts["table"]) == loose_name(name)]
    return loose if is_typed(name) and len(loose) == 1 else []


def _without(place: str, name: str, known: Iterable[Listing]) -> SourceError:
    """Say what there is instead; of typed tables those of the same contract, or of which contracts."""
    names = sorted({one.shape.facts["table"] for one in known})
    if not names:
        return SourceError(f"{place} has no {name}: extract something into it first")
    if not is_typed(name):
        others = [one for one in names if not is_typed(one)]
        if whose := _targets(names):
            others.append(f"typed tables of {', '.join(whose)}")
        return SourceError(f"{place} was extracted without {name}: it has {', '.join(others)}")
    below = f"{TYPED}{target_of(name)}/"
    if own := [one.removeprefix(below) for one in names if one.startswith(below)]:
        return SourceError(f"{place} was extracted without {name}: of this contract it has {', '.join(own)}")
    whose = _targets(names)
    held = f"it has typed tables of {', '.join(whose)}" if whose else "it has no typed tables"
    return SourceError(
        f"{place} was extracted without {name}: {held}. Extract {TYPED}{target_of(name)} into it, or read the"
        " ledgers themselves"
    )


def _targets(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(target_of(one) for one in names if is_typed(one)))


def typed_tables(place: Path, target: str) -> list[str] | None:
    """Return the names of a contract's typed tables below a folder; None where nothing was extracted there.

    A SourceError where something was, without them.
    """
    if not is_extracted(place):
        return None
    known = [one for one in found_tables(open_files(place)) if isinstance(one, Listing)]
    names = [one.shape.facts["table"] for one in known]
    if own := [one for one in names if is_typed(one) and target_of(one) == target]:
        return own
    raise _without(str(place), f"{TYPED}{target}", known)


def is_extracted(place: Path) -> bool:
    """Tell whether a folder holds tables, or is one."""
    if not place.is_dir():
        return False
    folders = (place, *place.glob("*/"), *place.glob("*/*/"), *place.glob("typed/*/*/*/"))
    return any(map(_was_extracted, folders)) or any((one / LIFECYCLE).is_dir() for one in folders)


def _was_extracted(folder: Path) -> bool:
    """Tell a table's folder from one of ledgers."""
    return (folder / "_manifest").is_dir() or any(folder.glob("*.parquet"))


def _condition(chosen: Filter, columns: pa.Schema) -> Any:
    """Return what columns alone can answer of a filter."""
    condition = None
    for name, column in _ANSWERED.items():
        if (values := getattr(chosen, name)) and column in columns.names:
            condition = _both(condition, ds.field(column).isin(list(values)))
    if not chosen.include_deleted and "deleted" in columns.names:
        condition = _both(condition, ~ds.field("deleted"))
    return condition


def _both(one: Any, other: Any) -> Any:
    return other if one is None else one & other
