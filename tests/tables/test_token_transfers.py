from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.core.framing import split
from tables.golden import CORPORA, Known, Row, compare, renamed

UNTOLD = ("transaction_successful", "operation_type", "event_index", "amount_raw")


def asset_of(asset: Row | None) -> Row:
    if asset is None:
        return {}
    if asset.get("native"):
        return {"asset_type": "native"}
    issued = asset["issued_asset"]
    kind = "credit_alphanum4" if len(issued["asset_code"]) <= 4 else "credit_alphanum12"
    return {
        "asset_type": kind,
        "asset_code": issued["asset_code"],
        "asset_issuer": issued["issuer"],
    }


def memo_of(meta: Row) -> Row:
    for kind, value in meta.get("to_muxed_info", {}).items():
        answer = base64.b64decode(value).hex() if kind == "hash" else value
        return {"to_muxed_type": kind, "to_muxed": answer}
    return {}


def rename(row: Row) -> Row:
    meta = row["meta"]
    ((kind, event),) = ((name, value) for name, value in row.items() if name != "meta")
    operation = meta.get("operation_index")
    return {
        "ledger_sequence": meta["ledger_sequence"],
        "closed_at": datetime.fromisoformat(meta["closed_at"]),
        "transaction_index": meta["transaction_index"],
        "transaction_hash": meta["tx_hash"],
        "operation_index": None if operation is None else operation - 1,
        "event_type": kind,
        "contract_id": meta["contract_address"],
        "from": event.get("from"),
        "to": event.get("to"),
        "amount_text": event["amount"],
        **asset_of(event.get("asset")),
        **memo_of(meta),
    }


def pubnet(table: str = "token_transfers", **filters: Any) -> list[Row]:
    corpus = next(corpus for corpus in CORPORA if corpus.name == "pub58752000")
    batches = sa.decode(corpus.ledgers(None), [table], where=sa.Filter(**filters))
    rows: list[Row] = batches[table].to_pylist()
    return rows


def test_derived_transfers_are_what_the_chain_says(known: Known) -> None:
    golden = renamed(known.golden("token_transfers"), rename)
    compare(known.decode("token_transfers"), golden, untold=UNTOLD)


def test_unified_transfers_are_what_the_chain_says(shared: Path) -> None:
    corpus = next(corpus for corpus in CORPORA if corpus.name == "core-tests-a")
    rows: list[Row] = []
    refused = 0
    for piece, framing in split([corpus.ledgers(shared)], piece_bytes=1):
        try:
            batches = sa.decode(
                piece,
                ["token_transfers"],
                network=corpus.passphrase,
                framing=framing,
                transfers="unified",
            )
            rows += batches["token_transfers"].to_pylist()
        except sa.DecodeError:
            refused += 1
    compare(rows, renamed(corpus.golden("token_transfers_unified", shared), rename), untold=UNTOLD)
    assert refused == 7282


def test_unified_transfers_need_meta_that_has_them() -> None:
    corpus = next(corpus for corpus in CORPORA if corpus.name == "pub58752000")
    with pytest.raises(sa.DecodeError, match=r"ledger 58752000: .* meta of version 3") as caught:
        sa.decode(corpus.ledgers(None), ["token_transfers"], transfers="unified")
    assert caught.value.ledger == 58_752_000
    assert caught.value.path == "v1.tx_processing[0]"


def test_movements_are_counted_within_their_ledger() -> None:
    rows = pubnet()
    assert [row["event_index"] for row in rows] == list(range(666))
    assert {str(row["amount_raw"]) == row["amount_text"] for row in rows} == {True}


ISSUED_BY = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
HOLDER = "GB7FZIUYDPOVOGCNCCKEG46MK45WPKXPXA5AWLRTTDKFCPRNPY67EILI"
LUMENS = "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"


@pytest.mark.parametrize(
    ("filters", "keeps"),
    [
        ({"event_types": ["mint", "burn"]}, lambda row: row["event_type"] in ("mint", "burn")),
        ({"event_types": ["payment"]}, lambda row: row["operation_type"] == "payment"),
        (
            {"event_types": ["fee", "path_payment_strict_receive"]},
            lambda row: row["event_type"] == "fee" or row["operation_type"] == "path_payment_strict_receive",
        ),
        ({"accounts": [HOLDER]}, lambda row: HOLDER in (row["from"], row["to"])),
        ({"contract_ids": [LUMENS]}, lambda row: row["contract_id"] == LUMENS),
        ({"asset_codes": ["native"]}, lambda row: row["asset_type"] == "native"),
        ({"asset_codes": ["USDC"]}, lambda row: row["asset_code"] == "USDC"),
        ({"asset_issuers": [ISSUED_BY]}, lambda row: row["asset_issuer"] == ISSUED_BY),
        (
            {"asset_codes": [f"USDC:{ISSUED_BY}"], "event_types": ["transfer"]},
            lambda row: row["asset_issuer"] == ISSUED_BY and row["event_type"] == "transfer",
        ),
    ],
    ids=str,
)
def test_a_filter_keeps_its_rows_as_they_are(filters: Row, keeps: Callable[[Row], bool]) -> None:
    kept = [row for row in pubnet() if keeps(row)]
    assert 0 < len(kept) < 666
    assert pubnet(**filters) == kept


def test_words_of_another_table_do_not_filter_transfers() -> None:
    assert len(pubnet(event_types=["system"])) == 666


def test_an_unknown_event_type_is_answered_with_those_there_are() -> None:
    with pytest.raises(sa.ConfigError, match=r"\"transfers\" is not .*transfer, mint.*payment"):
        pubnet(event_types=["transfers"])


@pytest.mark.parametrize("account", ["GABC", HOLDER[:-1] + "A", "XLM"])
def test_an_account_that_is_no_strkey_is_refused(account: str) -> None:
    with pytest.raises(sa.ConfigError, match=f'accounts: "{account}" is not a strkey'):
        pubnet(accounts=[account])
