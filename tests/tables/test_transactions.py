from __future__ import annotations

import stellarrow as sa
from tables.golden import CORPORA, Known, Row, compare, renamed, short

UNTOLD = (
    "closed_at",
    "account_muxed",
    "memo",
    "fee_account",
    "fee_bump_max_fee",
    "inner_transaction_hash",
)


def rename(row: Row) -> Row:
    return row | {
        "result_code": short(row["result_code"], "TransactionResultCode"),
        "memo_type": short(row["memo_type"], "MemoTypeMemo"),
    }


def rows_of_pubnet() -> list[Row]:
    corpus = next(corpus for corpus in CORPORA if corpus.name == "pub58752000")
    rows: list[Row] = sa.decode(corpus.ledgers(None), ["transactions"])["transactions"].to_pylist()
    return rows


def test_transactions_are_what_the_chain_says(known: Known) -> None:
    compare(known.decode("transactions"), renamed(known.golden("transactions"), rename), untold=UNTOLD)


def test_a_memo_is_told_as_it_is() -> None:
    memos = {row["transaction_index"]: (row["memo_type"], row["memo"]) for row in rows_of_pubnet()}
    assert memos[1] == ("none", None)
    assert memos[9] == ("text", "955768141")
    assert memos[28] == ("text", "fromStaticQuote(xlm)")
    assert memos[132] == ("id", "2350410715")


def test_only_fee_bumps_tell_of_who_paid_and_what_was_inside() -> None:
    for row in rows_of_pubnet():
        bump = row["result_code"].startswith("tx_fee_bump_")
        outer = (row["fee_account"], row["fee_bump_max_fee"], row["inner_transaction_hash"])
        assert [value is not None for value in outer] == [bump] * 3
        assert row["inner_transaction_hash"] != row["transaction_hash"]
