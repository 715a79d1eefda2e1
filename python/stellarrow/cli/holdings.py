"""What a place holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellarrow.errors import ConfigError, SinkError, SinkUnavailable
from stellarrow.ledgers import LedgerRange, LedgerSet, Network

_NAME: Final = re.compile(r"(\d{10})-(\d{10})\.parquet", re.ASCII)
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
    """Return every table a place holds, such as `parquet:FOLDER` or a folder, sorted by name."""
    kind, colon, rest = place.partition(":")
    folder = Path(rest if colon else place)
    if colon and kind != "parquet":
        raise ConfigError(f"{place!r} cannot be looked into yet: name parquet:FOLDER")
    if not folder.is_dir():
        raise SinkUnavailable(f"{folder} does not exist: name the folder that extract wrote to")
    found = sorted({path.parent for path in folder.rglob("*.parquet") if _NAME.fullmatch(path.name)})
    return [_table(folder, table) for table in found]


def _table(place: Path, folder: Path) -> Holding:
    paths = {}
    for path in sorted(folder.glob("*.parquet")):
        if match := _NAME.fullmatch(path.name):
            paths[path] = LedgerRange(int(match[1]), int(match[2]))
    facts = next(filter(None, map(_facts, paths)), {})
    network = facts.get(b"stellarrow.network", b"").decode()

    def read(columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        for path, held in paths.items():
            if held.first <= ledgers.end and held.end >= ledgers.first:
                try:
                    rows = pq.read_table(path, columns=list(columns), partitioning=None)
                except (pa.ArrowException, OSError) as error:
                    raise SinkError(
                        f"{path} is damaged ({error}): delete it, then run the same extract again"
                    ) from error
                numbers = rows.column("ledger_sequence")
                wanted = pc.and_(
                    pc.greater_equal(numbers, ledgers.first), pc.less_equal(numbers, ledgers.end)
                )
                yield from rows.filter(wanted).to_batches()

    return Holding(
        str(folder.relative_to(place)),
        facts.get(b"stellarrow.schema_version", b"").decode(),
        Network.of(network) if network else None,
        LedgerSet(paths.values()),
        read,
    )


def _facts(path: Path) -> dict[bytes, bytes]:
    """Return what a file says of itself, nothing where it cannot be read."""
    try:
        return pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError):
        return {}
