"""Amounts whose 39th digit only their texts have: columns of numbers have 38, and are null beyond."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

AMOUNTS: Final = {"amount_raw": "amount_text", "balance": "balance_text"}


def whole(name: str) -> str:
    """Return SQL of an amount with all its digits; a hugeint holds every i128."""
    return f"coalesce({name}::hugeint, {AMOUNTS[name]}::hugeint)"


def with_whole_amounts(select: str, decimals: Iterable[str], columns: Iterable[str]) -> str:
    """Return a query of the same rows and columns, its amounts whole; `decimals` are columns of decimals."""
    known = {*columns}
    amounts = [name for name in decimals if AMOUNTS.get(name) in known]
    replaced = ", ".join(f'{whole(name)} as "{name}"' for name in amounts)
    return f"select * replace ({replaced}) from ({select})" if replaced else select
