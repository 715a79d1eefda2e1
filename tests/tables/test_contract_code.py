from __future__ import annotations

from tables.golden import Known, Row, change_type, compare, renamed


def rename(row: Row) -> Row:
    return row | {"change_type": change_type(row)}


def test_contract_code_is_what_the_chain_says(known: Known) -> None:
    golden = renamed(known.golden("contract_code"), rename)
    compare(known.decode("contract_code"), golden, untold=("closed_at", "change_index"))
