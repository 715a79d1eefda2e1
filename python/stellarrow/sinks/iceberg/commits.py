"""Commits of the library as ours must be: never rebased, and as quick after thousands as at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stellarrow.extras import needing

with needing("Iceberg", "iceberg"):
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

_RETRIES: Final = "commit.retry.num-retries"
_EXPIRED_AT_ONCE: Final = 10  # snapshots
# Every commit brings a manifest, and writes the list of all again: hundreds of them are merged into few.
FEW_MANIFESTS: Final = {
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "50",
    "commit.manifest.target-size-bytes": str(512 << 10),
}


def unretried(table: Table) -> Table:
    """Let the library never rebase a commit: that doubles rows, as it does not read coverage again.

    It is said in memory alone, so it must be said again of what a commit made.
    """
    properties = {**table.metadata.properties, **FEW_MANIFESTS, _RETRIES: "0"}
    table.metadata = table.metadata.model_copy(update={"properties": properties})
    return table


def expired(table: Table, kept: int) -> list[int]:
    """Return the snapshots that are to go, as every commit writes them all again; those with a name stay."""
    snapshots = sorted(table.metadata.snapshots, key=lambda one: one.timestamp_ms)
    if len(snapshots) < kept + _EXPIRED_AT_ONCE:
        return []
    named = _named(table.metadata)
    return [one.snapshot_id for one in snapshots[:-kept] if one.snapshot_id not in named]


def guarded(table: Table, needed: Sequence[int] = ()) -> Table:
    """Let the next commit be as ours must, whoever made the table and whatever its properties say.

    Of all snapshots in memory, which the library copies for every step, those stay that have a name, or are
    needed.
    """
    held = unretried(table).metadata
    few = [one for one in held.snapshots if one.snapshot_id in _named(held).union(needed)]
    table.metadata = held.model_copy(update={"snapshots": few, "snapshot_log": []})
    return table


def _named(held: TableMetadata) -> set[int | None]:
    return {ref.snapshot_id for ref in held.refs.values()} | {held.current_snapshot_id}


class Commit(Transaction):  # type: ignore[misc]  # the library is not here when types are checked
    """A transaction that makes metadata anew when it was changed, and not for every look at it."""

    _made: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with what is changed so far."""
        base, updates = self._table.metadata, self._updates
        if not updates:
            return base
        if self._made is None or self._made[0] is not base or self._made[1] is not updates:
            self._made = (base, updates, super().table_metadata)
        return self._made[2]
