"""What a place holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stellarrow.errors import ConfigError, SinkUnavailable
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import FORMATS, Place
from stellarrow.sinks.files.reading import listings, rows_of
from stellarrow.sinks.files.store import FileStore

Reader = Callable[[Sequence[str], LedgerRange], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class Holding:
    """A table in a place: its ledgers, and `read`, which yields columns of the rows of a range in order.

    What cannot be read is a SinkError.
    """

    table: str
    version: str
    network: Network | None
    ledgers: LedgerSet
    read: Reader = field(repr=False, compare=False)

    def census(self, ledgers: LedgerRange) -> Counter[int]:
        """Count the rows of each ledger that has any."""
        found: Counter[int] = Counter()
        for rows in self.read(["ledger_sequence"], ledgers):
            found += counted(rows)
        return found


def counted(rows: pa.RecordBatch) -> Counter[int]:
    """Count rows by ledger."""
    counts = rows.column("ledger_sequence").value_counts().to_pylist()
    return Counter({one["values"]: one["counts"] for one in counts})


def holdings(place: str) -> list[Holding]:
    """Return every table a place holds, such as `parquet:FOLDER`, a folder or `postgres://…`, sorted."""
    if place.partition(":")[0] in ("postgres", "postgresql"):
        return _in_database(place)
    return [_holding(one) for one in opened(place)]


def _in_database(url: str) -> list[Holding]:
    from stellarrow.sinks.postgres.reading import kept_tables  # noqa: PLC0415  its client is an extra

    return [
        Holding(one.name, one.version, Network.of(one.network), one.ledgers, one.read)
        for one in kept_tables(url)
    ]


def opened(place: str) -> list[Listing]:
    """Return the tables of files in a place; a folder needs no format before it."""
    return listings(opened_files(place))


def opened_files(place: str) -> FileStore:
    """Open a place of files."""
    kind, colon, _ = place.partition(":")
    if colon and kind not in FORMATS:
        raise ConfigError(
            f"{redacted_url(place)!r} is no place to look into: name parquet:FOLDER or postgres://…"
        )
    files = Place.parse(place if colon else f"{FORMATS[0]}:{place}")
    if "://" not in files.location and not Path(files.location).is_dir():
        raise SinkUnavailable(f"{files.location} does not exist: name the folder that extract wrote to")
    return files.open()


def _holding(listing: Listing) -> Holding:
    facts = listing.shape.facts

    def read(columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        wanted = list(dict.fromkeys(("ledger_sequence", *columns)))
        for rows in rows_of(listing, ledgers, wanted):
            yield rows.select(list(columns))

    return Holding(
        listing.shape.folder,
        facts["schema_version"],
        Network.of(facts["network"]),
        listing.ranges(),
        read,
    )
