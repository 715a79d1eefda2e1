"""What contracts keep now, as a table by a name: `typed:CONTRACT/state/CASE`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import is_typed
from stellarrow.scanning.result import Scan
from stellarrow.scanning.state import current, last_writes

_STATE: Final = "/state/"
_STORAGE: Final = "/storage/"


def is_state(table: str) -> bool:
    """Tell whether a name is that of what holds now, rather than of what changed."""
    return is_typed(table) and _STATE in table


def scan_state(table: str, changes_of: Callable[[str], Scan]) -> Scan:
    """Scan what holds after all changes that `changes_of` gives of tables of storage."""
    target, _, case = table.partition(_STATE)
    changes = changes_of(f"{target}{_STORAGE}{case}")

    def now() -> Iterator[pa.RecordBatch]:
        yield from current(changes.schema, changes, last_writes(changes_of(f"{target}{_STORAGE}_other")))

    return Scan(table, changes.place, changes.schema, now)
