"""Tables that were extracted into Parquet files, read back as what `scan` yields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stellarrow.compute import compile_sql
from stellarrow.errors import ConfigError, LedgerMissing, SourceError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet

if TYPE_CHECKING:
    from stellarrow.compute.computation import Computation

_NAME: Final = re.compile(r"(\d{10})-(\d{10})\.parquet", re.ASCII)
_ENTRY: Final = re.compile(r"(\d{10})-(\d{10})\.json", re.ASCII)
_MANIFEST: Final = "_manifest"  # names the ranges that count where a range has several files
_LEDGER: Final = "ledger_sequence"
# A filter's fields that a column of the files answers alone; the rest takes what the walk sees.
_ANSWERED: Final = {"contract_ids": "contract_id", "event_names": "event_name"}


@dataclass(frozen=True, slots=True)
class ExtractedTable:
    """The Parquet files of one table, by the ledgers their names tell."""

    folder: Path
    schema: pa.Schema
    files: dict[LedgerRange, tuple[Path, ...]]

    @property
    def ledgers(self) -> LedgerSet:
        return LedgerSet(self.files)

    def batches(self, where: Filter, wanted: LedgerSet | None) -> Callable[[], Iterator[pa.RecordBatch]]:
        """Return what makes a pass over the rows of these ledgers, file by file."""
        compute = compile_sql(self.folder.name, self.schema, where, whole=self.schema)
        condition = _condition(where if compute is None else compute.filter, where, self.schema)
        parts = list(self._parts(self._covered(wanted)))
        return lambda: _rows(parts, condition, self.schema, compute)

    def _covered(self, wanted: LedgerSet | None) -> LedgerSet:
        held = self.ledgers
        if wanted is None:
            return held
        is_open = wanted and wanted.ranges[-1].last is None
        asked = wanted & LedgerSet([LedgerRange(0, held.last)]) if is_open else wanted
        if absent := asked - held:
            raise LedgerMissing(
                f"{self.folder} has {held}, but not {absent}: extract them, or ask for what is there"
            )
        return asked

    def _parts(self, wanted: LedgerSet) -> Iterator[tuple[LedgerSet, tuple[Path, ...]]]:
        """Yield files and which of their ledgers to read, so that each ledger is read once."""
        due = wanted
        for ledgers in sorted(self.files, key=lambda one: (one.first, -one.end)):
            part = due & LedgerSet([ledgers])
            if part:
                yield part, self.files[ledgers]
                due -= part


def find_table(place: Path, table: str) -> ExtractedTable | None:
    """Find a table's files below a folder; None where nothing was extracted there."""
    if not place.is_dir():
        return None
    name = table.partition("@")[0]
    candidates = [place] if place.name == name else []
    candidates += [place / name, *sorted(place.glob(f"*/{name}"))]
    found = {folder: files for folder in candidates if (files := _files(folder))}
    if len(found) > 1:
        raise ConfigError(f"{place} holds {name} in {', '.join(map(str, found))}: name one of them")
    for folder, files in found.items():
        return ExtractedTable(folder, _schema(next(iter(files.values()))[0], table), files)
    others = sorted({path.parent.name for path in place.glob("*/*.parquet") if _NAME.fullmatch(path.name)})
    if others:
        raise SourceError(f"{place} was extracted without {name}: it has {', '.join(others)}")
    return None


def _files(folder: Path) -> dict[LedgerRange, tuple[Path, ...]]:
    held: dict[LedgerRange, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet")):
        if ledgers := _ledgers(_NAME, path):
            held.setdefault(ledgers, []).append(path)
    counted = {_ledgers(_ENTRY, path) for path in (folder / _MANIFEST).glob("*.json")}
    partitioned = any(path.parent != folder for paths in held.values() for path in paths)
    return {ledgers: tuple(paths) for ledgers, paths in held.items() if not partitioned or ledgers in counted}


def _ledgers(pattern: re.Pattern[str], path: Path) -> LedgerRange | None:
    match = pattern.fullmatch(path.name)
    return LedgerRange(int(match[1]), int(match[2])) if match else None


def _schema(path: Path, table: str) -> pa.Schema:
    try:
        held = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read ({error}): extract it again") from error
    version = (held.metadata or {}).get(b"schema_version", b"").decode()
    name, _, asked = table.partition("@")
    if asked and version and asked != version:
        raise SourceError(f"{path} holds {name}@{version}, not {table}: ask for {name}, or extract {table}")
    return held


def _condition(chosen: Filter, given: Filter, columns: pa.Schema) -> Any:
    """Return what files can answer of a filter by their statistics; what they cannot is an error."""
    condition = None
    for name in ("asset_codes", "asset_issuers", "event_types", "accounts"):
        if getattr(given, name):
            raise ConfigError(f"{name} cannot be asked of extracted files: ask in SQL, where=\"… in ('…')\"")
    for name, column in _ANSWERED.items():
        if (values := getattr(chosen, name)) and column in columns.names:
            condition = _both(condition, ds.field(column).isin(list(values)))
    if not chosen.include_deleted and "deleted" in columns.names:
        condition = _both(condition, ~ds.field("deleted"))
    return condition


def _both(one: Any, other: Any) -> Any:
    return other if one is None else one & other


def _rows(
    parts: list[tuple[LedgerSet, tuple[Path, ...]]],
    condition: Any,
    columns: pa.Schema,
    compute: Computation | None,
) -> Iterator[pa.RecordBatch]:
    for ledgers, paths in parts:
        within = None
        for part in ledgers:
            one = (ds.field(_LEDGER) >= part.first) & (ds.field(_LEDGER) <= part.end)
            within = one if within is None else within | one
        try:
            held = ds.dataset([str(path) for path in paths], schema=columns, format="parquet")
            for batch in held.to_batches(filter=_both(condition, within), batch_size=1 << 15):
                if batch.num_rows:
                    yield compute(batch) if compute else batch
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{paths[0].parent} cannot be read ({error}): run extract again") from error
