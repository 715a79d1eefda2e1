"""Entries as a test wants them, and what the database then holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.rows import dict_row

import stellarrow as sa

Row = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = sa.LedgerRun(1, 1, 1, 0, 0, "", "", 0, 0)


def entry(ledger: int, key: str, *, place: int = 0, **values: Any) -> Row:
    """Make a row of contract_data; what is not said is something plain."""
    return {
        "ledger_sequence": ledger,
        "closed_at": START + timedelta(seconds=5 * ledger),
        "transaction_index": 1,
        "transaction_hash": f"{ledger:064x}",
        "operation_index": 0,
        "change_index": place,
        "change_type": "removed" if values.get("deleted") else "updated",
        "contract_id": "C" + "A" * 55,
        "contract_key_type": "ScValTypeScvVec",
        "contract_durability": "ContractDataDurabilityPersistent",
        "last_modified_ledger": ledger,
        "deleted": False,
        "ledger_key_hash": key,
        "val_xdr": f"value {ledger}.{place}",
        **values,
    }


def balance(ledger: int, key: str, amount: int | str, **values: Any) -> Row:
    """Make a row that holds a balance."""
    text = str(amount)
    number = Decimal(text) if len(text.lstrip("-")) <= 38 else None
    return entry(ledger, key, balance_holder=f"C{key}", balance=number, balance_text=text, **values)


def batch(first: int, last: int, rows: Iterable[Row], table: str = "contract_data") -> sa.LedgerBatch:
    """Make a batch of consecutive ledgers, those without rows included."""
    made = pa.RecordBatch.from_pylist(
        [row for row in rows if first <= row["ledger_sequence"] <= last], sa.schema(table)
    )
    return sa.LedgerBatch(first, last, {table: made}, RUN)


def asked(database: str, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """Ask the database."""
    with psycopg.connect(database, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def folded(rows: Iterable[Row]) -> dict[str, str]:
    """Fold entries, in the order of the chain, into the value of every key that is there."""
    states: dict[str, str] = {}
    for row in sorted(
        rows, key=lambda row: (row["ledger_sequence"], row["transaction_index"], row["change_index"])
    ):
        states.pop(row["ledger_key_hash"], None)
        if not row["deleted"]:
            states[row["ledger_key_hash"]] = row["val_xdr"]
    return states


def states(database: str) -> dict[str, str]:
    """Return the value of every key in current_states."""
    found = asked(database, "SELECT ledger_key_hash, val_xdr FROM contract_data.current_states")
    return {row["ledger_key_hash"]: row["val_xdr"] for row in found}
