from __future__ import annotations

import base64
from collections import Counter

import stellarrow as sa
from tables.golden import Known, Row, compare, renamed, short

SYMBOL = (15).to_bytes(4, "big")  # SCV_SYMBOL in Stellar-contract.x


def rename(row: Row) -> Row:
    return row | {
        "event_type": short(row["event_type"], "ContractEventType"),
        "stage": short(row["stage"], "TransactionEventStageTransactionEventStage"),
        "event_name": symbol(row["topics_xdr"]),
    }


def symbol(topics: list[str]) -> str | None:
    first = base64.b64decode(topics[0]) if topics else b""
    if not first.startswith(SYMBOL):
        return None
    length = int.from_bytes(first[4:8], "big")
    return first[8 : 8 + length].decode()


def test_contract_events_are_what_the_chain_says(known: Known) -> None:
    golden = renamed(known.golden("contract_events"), rename)
    compare(known.decode("contract_events"), golden, untold=("closed_at",))


def test_events_of_a_name_are_those_of_all_that_bear_it(known: Known) -> None:
    golden = renamed(known.golden("contract_events"), rename)
    for name, _ in Counter(row["event_name"] for row in golden if row["event_name"]).most_common(2):
        ours = known.decode("contract_events", where=sa.Filter(event_names=[name]))
        compare(ours, [row for row in golden if row["event_name"] == name], untold=("closed_at",))
