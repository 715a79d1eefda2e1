from __future__ import annotations

from datetime import UTC, datetime

from tables.golden import Known, Row, compare, renamed


def rename(row: Row) -> Row:
    return row | {"closed_at": datetime.fromtimestamp(row["closed_at"], UTC)}


def test_ledgers_are_what_the_chain_says(known: Known) -> None:
    golden = renamed(known.golden("ledgers"), rename)
    compare(known.decode("ledgers"), golden, untold=("meta_version", "size_bytes"))
