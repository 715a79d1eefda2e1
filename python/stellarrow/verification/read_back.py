"""All rows of a table read again: is every file whole, does every ledger follow the one before?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerSet
from stellarrow.verification.stored_tables import StoredTable

_AT_ONCE: Final = 10_000  # ledgers
_HASHES: Final = ["ledger_sequence", "ledger_hash", "previous_ledger_hash"]


@dataclass(slots=True)
class ReadBack:
    """How many rows there are, what is wrong, and what became of the chain where the table tells."""

    rows: int = 0
    faults: list[str] = field(default_factory=list)
    chain: str | None = None


def read_back_of(held: StoredTable) -> ReadBack:
    """Read a table whole."""
    audit = ReadBack()
    is_ledgers = held.table.rpartition("/")[2] == "ledgers"
    damaged = LedgerSet()
    try:
        for one in held.damage():
            audit.faults.append(one.what)
            damaged |= LedgerSet([one.ledgers])
    except SinkError as error:  # nothing is proven, and maybe nothing can be read
        audit.faults.append(str(error))
    sound = held.ledgers - damaged
    _count(held, sound, audit, one_each=is_ledgers)
    if is_ledgers:
        _follow(held, sound, audit)
        if damaged:
            audit.chain = "cannot be read whole" if audit.chain != "broken" else audit.chain
    audit.faults = list(dict.fromkeys(audit.faults))
    return audit


def _count(held: StoredTable, sound: LedgerSet, audit: ReadBack, *, one_each: bool) -> None:
    """Count rows; where each ledger must have one, name those that have not."""
    try:
        for counts in held.row_counts(sound):
            if counts.error:
                audit.faults.append(str(counts.error))
            if counts.rows is None:
                continue
            due = sound & LedgerSet([counts.ledgers])
            audit.rows += sum(rows for ledger, rows in counts.rows.items() if ledger in due)
            if one_each and (wrong := LedgerSet.of(one for one in _each(due) if counts.rows.get(one) != 1)):
                audit.faults.append(f"{wrong} should have one row each, but has not")
    except SinkError as error:
        audit.faults.append(str(error))


def _each(ledgers: LedgerSet) -> Iterator[int]:
    for part in ledgers:
        yield from range(part.first, part.end + 1)


def _follow(held: StoredTable, sound: LedgerSet, audit: ReadBack) -> None:
    """Check that every ledger names the hash of the one before."""
    links, broken = 0, False
    before, hash_before = -1, ""
    try:
        for ledger, own, previous in _headers(held, sound):
            if ledger == before + 1:
                links += 1
                if previous != hash_before:
                    broken = True
                    audit.faults.append(f"ledger {ledger} does not follow {before}: extract both again")
            before, hash_before = ledger, own
    except SinkError:
        audit.chain = "cannot be read whole"  # what is wrong was told already
        return
    audit.chain = "broken" if broken else f"holds, {links:,} links read again"


def _headers(held: StoredTable, sound: LedgerSet) -> Iterator[tuple[int, str, str]]:
    for part in sound.windows(_AT_ONCE):
        for rows in held.read(_HASHES, part):
            yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)
