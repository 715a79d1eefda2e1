"""The newest states, balances and assets that are kept beside the rows."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

import stellarrow as sa
from sinks.clickhouse.test_faults import Database
from stellarrow.core.synthetic import synthetic

_SHOWN = (
    "ledger_key_hash",
    "ledger_sequence",
    "transaction_index",
    "change_index",
    "balance_text",
    "val_xdr",
)


@pytest.fixture
def large(database: Database) -> Database:
    database.ledgers = tuple(islice(synthetic(20, first=100, ledger_bytes=20_000), 40))
    return database


def newest(database: Database, ledgers: sa.LedgerSet) -> dict[str, dict[str, Any]]:
    """Fold the rows of ledgers: the newest of each key, without those that were removed."""
    rows = [
        row
        for part in ledgers
        for row in database.batch(part.first, part.end).tables["contract_data"].to_pylist()
    ]
    return {row["ledger_key_hash"]: row for row in rows}


def test_current_states_are_the_fold_of_all_rows_in_whatever_order_ledgers_come(large: Database) -> None:
    for ledgers in (range(120, 130), range(100, 110), range(110, 120), range(105, 125)):
        large.bring(ledgers=ledgers, step=10)
    due = newest(large, large.covered())
    assert str(large.covered()) == "100:129"
    found = large.reader.ask(f"SELECT * FROM {large.name}.current_states")
    assert sorted([[row[name] for name in _SHOWN] for row in found]) == sorted(
        [[row[name] for name in _SHOWN] for row in due.values() if not row["deleted"]]
    )


def test_the_rich_list_has_each_holder_once_with_the_newest_balance(large: Database) -> None:
    large.bring(step=20)
    states = [row for row in newest(large, large.covered()).values() if not row["deleted"]]
    due = {
        (row["contract_id"], row["balance_holder"]): row["balance"] for row in states if row["balance_holder"]
    }
    assert due
    found = large.reader.ask(f"SELECT * FROM {large.name}.rich_list")
    assert {(row["contract_id"], row["balance_holder"]): row["balance"] for row in found} == due
    assert len(found) == len(due)
    assets = {row["contract_id"]: row["asset_code"] for row in states if row["asset_type"]}
    assert {row["contract_id"]: row["asset_code"] for row in found if row["contract_id"] in assets} == {
        contract: code for contract, code in assets.items() if contract in {one for one, _ in due}
    }
    summary = large.reader.ask(f"SELECT * FROM {large.name}.asset_summary")
    supply: dict[str, Decimal] = {}
    for (contract, _), balance in due.items():
        supply[contract] = supply.get(contract, Decimal(0)) + (balance or 0)
    assert {row["contract_id"]: row["total_supply"] for row in summary} == supply
