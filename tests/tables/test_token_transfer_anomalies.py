from __future__ import annotations

import json
from datetime import UTC, datetime

import stellarrow as sa
from tables import anomalous
from tables.golden import REPOSITORY, Row, compare

GOLDEN = REPOSITORY / "tests" / "golden" / "token_transfer_anomalies" / "by-hand.jsonl"
OF_ALL_ROWS = {
    "ledger_sequence": anomalous.SEQUENCE,
    "closed_at": datetime.fromtimestamp(anomalous.CLOSED, UTC),
    "transaction_successful": True,
    "contract_id": "CDGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZTGMZLND",
}


def golden() -> list[Row]:
    rows = [OF_ALL_ROWS | json.loads(line) for line in GOLDEN.read_text().splitlines()]
    return [row | {"transaction_hash": f"{row['transaction_index']:02}" * 32} for row in rows]


def decoded(table: str) -> list[Row]:
    batches = sa.decode(anomalous.ledger(), [table], network="testnet")
    rows: list[Row] = batches[table].to_pylist()
    return rows


def test_anomalies_are_the_events_that_deviate_from_the_standard() -> None:
    expected = golden()
    assert len(expected) == 8
    compare(decoded("token_transfer_anomalies"), expected)


def test_a_failed_transaction_has_no_anomalies_of_its_operations() -> None:
    failed = [row for row in decoded("token_transfer_anomalies") if not row["transaction_successful"]]
    assert [row["event_name"] for row in failed] == ["fee"]
