"""What conditions of a query say of ledgers and of rows, so that less is read and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from stellarrow.filter import Filter
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sql.pushable import field_for

_LEDGER: Final = "ledger_sequence"
# Of stored tables a column answers these fields alone; Spark asks all conditions again anyway.
_OF_STORED: Final = ("contract_ids", "event_names")
_ALL: Final = LedgerSet([LedgerRange(0, LAST_POSSIBLE)])

Comparison = Literal["=", "<", "<=", ">", ">=", "is not null"]


@dataclass(frozen=True, slots=True)
class Term:
    """A condition on a column that must be true; `=` holds where the column has one of the values."""

    column: str
    comparison: Comparison
    values: Sequence[Any] = ()


def ledgers_of(term: Term) -> LedgerSet | None:
    """Return the ledgers of which alone a condition can be true; None where it says nothing of ledgers.

    They answer the condition exactly: nobody need ask it again.
    """
    if term.column != _LEDGER:
        return None
    if term.comparison == "is not null":
        return _ALL
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in term.values):
        return None
    pairs = [_bounds(term.comparison, value) for value in term.values]
    clipped = [(max(0, first), min(LAST_POSSIBLE, last)) for first, last in pairs]
    return LedgerSet(LedgerRange(first, last) for first, last in clipped if first <= last)


def _bounds(comparison: Comparison, value: int) -> tuple[int, int]:
    first = value + (comparison == ">") if comparison in ("=", ">", ">=") else 0
    last = value - (comparison == "<") if comparison in ("=", "<", "<=") else LAST_POSSIBLE
    return first, last


def narrowed(where: Filter, terms: Sequence[Term], columns: Sequence[str], *, stored: bool) -> Filter:
    """Return the filter with what conditions add to it; it may keep more rows than they do, never fewer."""
    found: dict[str, Any] = {}
    for term in terms:
        if term.comparison != "=" or term.column not in columns:
            continue
        if term.column == "deleted" and list(term.values) == [False]:
            found["include_deleted"] = False
        field = field_for(term.column, term.values)
        if field and not getattr(where, field) and (not stored or field in _OF_STORED):
            found.setdefault(field, tuple(term.values))
    return replace(where, **found)
