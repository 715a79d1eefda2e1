"""When the last ledger of a table closed, which a table without a row of it learns from those beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.verification.stored_tables import StoredTable

_LOOK_BACK: Final = (1, 64, 4_096)  # ledgers from the last in which a row is looked for, then in all


def last_closed(table: StoredTable, beside: Sequence[StoredTable]) -> datetime | None:
    """Return when a table's last ledger closed, or the last before it that a table there has a row of.

    None where no table has one, or what would tell is damaged.
    """
    if not table.ledgers:
        return None
    last = table.ledgers.ranges[-1]
    known = [one for one in beside if one.network == table.network and last.end in one.ledgers]
    # The table of ledgers has a row of each; the table itself is next.
    known.sort(key=lambda one: (one.table.rpartition("/")[2] != "ledgers", one is not table))
    for part in _parts(last):
        for one in known:
            if found := _latest(one, part):
                return found
    return None


def _parts(last: LedgerRange) -> Iterator[LedgerRange]:
    """Yield the end of a range, longer each time, then all of it."""
    for ledgers in _LOOK_BACK:
        if ledgers < last.count:
            yield LedgerRange(last.end - ledgers + 1, last.end)
    yield last


def _latest(table: StoredTable, ledgers: LedgerRange) -> datetime | None:
    found: datetime | None = None
    with suppress(SinkError):  # --verify tells what is damaged
        for rows in table.read(["ledger_sequence", "closed_at"], ledgers):
            if rows.num_rows:
                found = rows.column("closed_at")[-1].as_py()
    return found
