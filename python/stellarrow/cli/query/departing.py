"""What a query does not see, because it was archived or deleted: told on standard error, each table once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from stellarrow.cli.output.said import say
from stellarrow.filter import Filter
from stellarrow.scanning import Scan, scan
from stellarrow.scanning.result import LedgersAbsent
from stellarrow.scanning.sunk import is_files, sunk_tables
from stellarrow.sinks.files.dataset import ExtractedTable, beside
from stellarrow.sinks.files.departures import Departures
from stellarrow.sinks.files.listing import Listing
from stellarrow.verification.stored_tables import departed, stored_tables


def warn(said: str) -> None:
    """Write a warning, if there is something to say."""
    if said:
        say(f"warning: {said}", err=True)


def scanned(source: Any, table: str) -> tuple[Scan, str]:
    """Scan a table; return what left of it in a sentence, instead of the warning."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", LedgersAbsent)
        made = scan(source, table=table)
    said = [str(one.message) for one in told if issubclass(one.category, LedgersAbsent)]
    return made, "; ".join(said)


def scanned_tables(place: str) -> dict[str, tuple[Scan, str]]:
    """Scan every table of a sink, likewise, by name; a sink that is no folder of files is looked at once."""
    found = None if is_files(place) else sunk_tables(place)
    if found is None:
        return {one.table: scanned(place, one.table) for one in stored_tables(place)}
    return {
        one.held.name: (
            Scan(one.held.name, place, one.schema, one.batches(Filter(), None)),
            one.lacking(None),
        )
        for one in found
    }


def left(listing: Listing) -> str:
    """Say what left a table; empty where all is here."""
    return Departures.look(listing).said()


def lacking(listing: Listing, known: Iterable[Listing]) -> str:
    """Say what left a table, and what it lacks though others beside it have it; empty where all is here."""
    extracted = ExtractedTable(listing, beside(listing, known))
    return "; ".join(filter(None, (left(listing), extracted.lacking(None))))


def left_place(place: str, tables: Iterable[str] | None = None) -> str:
    """Say what left of a place's tables, or of these, which may have nothing here any more."""
    wanted = None if tables is None else {*tables}
    found = departed(place).values()
    said = [left(one) for one in found if wanted is None or one.shape.facts["table"] in wanted]
    return "; ".join(filter(None, said))
