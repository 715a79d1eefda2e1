"""What a place holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stellarrow import registry
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Readable
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import open_existing
from stellarrow.sinks.files.reading import listings

Reader = Callable[[Sequence[str], LedgerRange], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table in a place: its ledgers, and `read`, which yields columns of the rows of a range in order.

    What cannot be read is a SinkError.
    """

    table: str
    version: str
    network: Network | None
    ledgers: LedgerSet
    read: Reader = field(repr=False, compare=False)

    def row_counts(self, ledgers: LedgerRange) -> Counter[int]:
        """Count the rows of each ledger that has any."""
        found: Counter[int] = Counter()
        for rows in self.read(["ledger_sequence"], ledgers):
            found += counted(rows)
        return found


def counted(rows: pa.RecordBatch) -> Counter[int]:
    """Count rows by ledger."""
    counts = rows.column("ledger_sequence").value_counts().to_pylist()
    return Counter({one["values"]: one["counts"] for one in counts})


def stored_tables(place: str) -> list[StoredTable]:
    """Return every table a place holds, such as `parquet:FOLDER`, a folder or `postgres://…`, sorted."""
    is_folder = ":" not in place or Path(place).is_dir()
    kind = registry.sink_entry(f"parquet:{place}" if is_folder else place).load()
    if not isinstance(kind, Readable):
        raise ConfigError(f"{redacted_url(place)!r} cannot be read back: its sink has no way to")
    return [
        StoredTable(one.name, one.version, Network.of(one.network), one.ledgers, one.read)
        for one in kind.held(f"parquet:{place}" if is_folder else place)
    ]


def opened(place: str) -> list[Listing]:
    """Return the tables of files in a place; a folder needs no format before it."""
    return listings(open_existing(place))
