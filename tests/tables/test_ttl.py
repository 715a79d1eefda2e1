from __future__ import annotations

from tables.golden import Known, Row, change_type, compare, renamed


def rename(row: Row) -> Row:
    return row | {"change_type": change_type(row)}


def test_ttls_are_what_the_chain_says(known: Known) -> None:
    compare(known.decode("ttl"), renamed(known.golden("ttl"), rename), untold=("closed_at", "change_index"))
