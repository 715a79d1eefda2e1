"""What a contract keeps now: of its changes of storage, the last of each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

_PLACE = ("ledger_sequence", "transaction_index", "change_index")
Moment = tuple[int, int, int]


def last_writes(batches: Iterable[pa.RecordBatch]) -> dict[str, Moment]:
    """Return when each contract's instance was written last, out of the rows of `storage/_other`."""
    found: dict[str, Moment] = {}
    for batch in batches:
        for row in batch.select([*_PLACE, "contract_id", "durability", "item_index"]).to_pylist():
            if row["durability"] == "instance" and row["item_index"] is None:
                found[row["contract_id"]] = _moment(row)
    return found


def current(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], instances: dict[str, Moment]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that hold now, in the order they were written.

    What a contract's instance kept, and does not keep any more since it was written last, holds no longer.
    """
    rows = pa.Table.from_batches(batches, schema).combine_chunks()
    names = [*_PLACE, "contract_id", "ledger_key_hash", "key_xdr", "durability", "deleted"]
    last: dict[tuple[str, str, str], int | None] = {}
    for place, row in enumerate(rows.select(names).to_pylist()):
        gone = row["deleted"] or (
            row["durability"] == "instance" and _moment(row) < instances.get(row["contract_id"], (0, 0, 0))
        )
        last[row["contract_id"], row["ledger_key_hash"], row["key_xdr"]] = None if gone else place
    kept = sorted(place for place in last.values() if place is not None)
    yield from rows.take(pa.array(kept, pa.int64())).to_batches()


def _moment(row: dict[str, int]) -> Moment:
    ledger, transaction, change = (row[name] for name in _PLACE)
    return ledger, transaction, change
