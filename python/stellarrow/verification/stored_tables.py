"""What a place holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow import registry
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network, RowCounts
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Counted, Forgetting, Readable
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import open_existing
from stellarrow.sinks.files.reading import Damage, HeldFiles, Unreadable, found_tables, name_of
from stellarrow.storage.paths import is_path, local_path

Reader = Callable[[Sequence[str], LedgerRange], Iterator[pa.RecordBatch]]
_COUNTED_AT_ONCE: Final = 10_000  # ledgers


def _none() -> Iterator[Damage]:
    return iter(())


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
    damage: Callable[[], Iterator[Damage]] = field(default=_none, repr=False, compare=False)
    counted: Counted | None = field(default=None, repr=False, compare=False)

    def row_counts(self, ledgers: LedgerSet) -> Generator[RowCounts]:
        """Yield counts of ranges in ledger order: of these ledgers at least, reading every row once."""
        if self.counted:
            yield from self.counted.row_counts(ledgers)
            return
        for part in ledgers.windows(_COUNTED_AT_ONCE):
            found: Counter[int] = Counter()
            for rows in self.read(["ledger_sequence"], part):
                found += counted(rows)
            yield RowCounts(part, found)


def counted(rows: pa.RecordBatch) -> Counter[int]:
    """Count rows by ledger."""
    counts = rows.column("ledger_sequence").value_counts().to_pylist()
    return Counter({one["values"]: one["counts"] for one in counts})


def stored_tables(place: str) -> list[StoredTable]:
    """Return every table a place holds, such as `parquet:FOLDER`, a folder or `postgres://…`, sorted."""
    is_folder = _is_folder(place)
    kind = registry.sink_entry(f"parquet:{place}" if is_folder else place).load()
    if not isinstance(kind, Readable):
        raise ConfigError(f"{redacted_url(place)!r} cannot be read back: its sink has no way to")
    return [
        StoredTable(
            one.name,
            one.version,
            Network.from_passphrase(one.network),
            one.ledgers,
            one.read,
            one.damage if isinstance(one, HeldFiles) else _none,
            one if isinstance(one, Counted) else None,
        )
        for one in kind.held(f"parquet:{place}" if is_folder else place)
    ]


def opened(place: str) -> tuple[list[Listing], list[Unreadable]]:
    """Return the tables of files in a place, and those that cannot be read; a folder needs no format."""
    found = found_tables(open_existing(place))
    return (
        [one for one in found if isinstance(one, Listing)],
        [one for one in found if isinstance(one, Unreadable)],
    )


def unreadable(place: str) -> list[Unreadable]:
    """Return the tables of files that a place holds, and no file tells anything of."""
    is_files = _is_folder(place) or place.partition(":")[0] in registry.FORMATS
    return opened(place)[1] if is_files else []


def departed(place: str) -> dict[str, Listing]:
    """Return the tables of a place, by name, of which files were archived or deleted."""
    if not (_is_folder(place) or place.partition(":")[0] in registry.FORMATS):
        return {}
    found = found_tables(open_existing(place), departed=True)
    return {name_of(one): one for one in found if isinstance(one, Listing) and one.departed().ledgers}


def is_no_folder(place: str) -> bool:
    """Tell whether a place is of a sink that can be read back and keeps no files, such as a database."""
    scheme = place.partition(":")[0]
    if _is_folder(place) or scheme in registry.FORMATS or scheme not in registry.sinks():
        return False
    return isinstance(registry.sink_entry(place).load(), Readable)


def forgetting(place: str) -> Forgetting | None:
    """Return the class of a place's sink where that writes ledgers again that it is made to forget."""
    if not is_no_folder(place):
        return None
    kind = registry.sink_entry(place).load()
    return kind if isinstance(kind, Forgetting) else None


def _is_folder(place: str) -> bool:
    return ":" not in place or is_path(place) or local_path(place).is_dir()
