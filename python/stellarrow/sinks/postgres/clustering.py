"""The order in which many rows go into indexed partitions: by contract and key, as indexes lie.

What comes one after another then goes to the same pages of the indexes by contract, key and holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_LEAST_ROWS: Final = 4_096  # below, as at the live edge, pages are visited about once in any order


def by_contract(rows: Sequence[pa.RecordBatch]) -> Sequence[pa.RecordBatch]:
    """Order rows by contract and key, each key's as they came; rows that are few stay as they are."""
    if sum(part.num_rows for part in rows) < _LEAST_ROWS or "contract_id" not in rows[0].schema.names:
        return rows
    whole = pa.Table.from_batches(rows).combine_chunks()
    contracts = whole.column("contract_id").chunk(0).dictionary_encode()
    place = pc.rank(contracts.dictionary).cast(pa.int64()).take(contracts.indices)
    if "ledger_key_hash" in whole.column_names:
        # Which key comes first does not matter, so their texts need not be compared.
        keys = whole.column("ledger_key_hash").chunk(0).dictionary_encode().indices
        place = pc.add(pc.shift_left(place, 32), keys.cast(pa.int64()).fill_null(0))
    ordered: list[pa.RecordBatch] = whole.take(pc.array_sort_indices(place)).to_batches()
    return ordered
