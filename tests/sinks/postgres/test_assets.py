"""The asset of a balance: proved by deriving its contract's id, whoever says it."""

from __future__ import annotations

import base64
import struct
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.postgres.made import asked, balance, batch, entry
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.assets import Asset, Assets

USDC = Asset("USDC", "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN")
PUBNET = Assets(sa.Network.of("pubnet"))


@pytest.mark.parametrize(
    ("network", "asset", "contract"),
    [
        ("pubnet", Asset(), "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"),
        ("testnet", Asset(), "CDLZFC3SYJYDZT7K67VZ75HPJVIEUVNIXF47ZG2FB2RMQQVU2HHGCYSC"),
        ("pubnet", USDC, "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"),
    ],
)
def test_contract_ids_are_those_of_the_chain(network: str, asset: Asset, contract: str) -> None:
    assert Assets(sa.Network.of(network)).contract_id(asset) == contract


def event(contract: str, name: str, asset: str) -> dict[str, Any]:
    text = asset.encode()
    topic = struct.pack(">II", 14, len(text)) + text + b"\0" * (-len(text) % 4)
    made = entry(1, "k")
    return {
        **{
            name: made[name]
            for name in ("ledger_sequence", "closed_at", "transaction_index", "transaction_hash")
        },
        "transaction_successful": True,
        "operation_index": 0,
        "event_index": 0,
        "event_type": "contract",
        "contract_id": contract,
        "event_name": name,
        "topics_xdr": ["AAAADwAAAAA=", base64.b64encode(topic).decode()],
        "data_xdr": "AAAAAQ==",
    }


@pytest.mark.parametrize(
    ("contract", "name", "asset", "proved"),
    [
        (PUBNET.contract_id(USDC), "transfer", f"USDC:{USDC.issuer}", True),
        (PUBNET.contract_id(Asset()), "mint", "native", True),
        (PUBNET.contract_id(Asset()), "transfer", f"USDC:{USDC.issuer}", False),  # forged
        (PUBNET.contract_id(USDC), "transfer", "USDC:GNOBODY", False),
        (PUBNET.contract_id(USDC), "transfer", "nonsense", False),
        (PUBNET.contract_id(USDC), "swap", f"USDC:{USDC.issuer}", False),
    ],
)
def test_an_event_proves_the_asset_of_its_own_contract_only(
    contract: str, name: str, asset: str, proved: bool
) -> None:
    rows = pa.RecordBatch.from_pylist([event(contract, name, asset)], sa.schema("contract_events"))
    assert bool(PUBNET.proved("contract_events", rows)) is proved


def test_events_of_a_slice_are_read_at_their_place() -> None:
    rows = [
        event("C" + "A" * 55, "transfer", "nonsense"),
        event(PUBNET.contract_id(USDC), "burn", f"USDC:{USDC.issuer}"),
    ]
    made = pa.RecordBatch.from_pylist(rows, sa.schema("contract_events"))
    assert PUBNET.proved("contract_events", made.slice(1)) == {PUBNET.contract_id(USDC): USDC}


def test_rich_lists_know_the_asset_of_a_balance(database: str) -> None:
    usdc, native = PUBNET.contract_id(USDC), PUBNET.contract_id(Asset())
    rows = [
        entry(
            1,
            "i",
            contract_id=usdc,
            asset_type="AssetTypeAssetTypeCreditAlphanum4",
            asset_code="USDC",
            asset_issuer=USDC.issuer,
        ),
        entry(1, "n", place=1, contract_id=native, asset_type="AssetTypeAssetTypeNative"),
        balance(2, "a", 70, contract_id=usdc),
        balance(3, "b", 10**38 + 5, contract_id=usdc),
        balance(4, "c", 0, contract_id=usdc),
        balance(5, "d", 9, contract_id=native),
        balance(6, "e", 1_000, contract_id="C" + "B" * 55),
    ]
    with closing(PostgresSink(database, ["contract_data"], network="pubnet")) as sink:
        sink.write(batch(1, 9, rows))
        sink.commit()
    holders = "SELECT balance_holder AS holder, balance FROM contract_data.get_top_holders(%s, %s)"
    assert [
        (one["holder"], int(one["balance"])) for one in asked(database, holders, ["USDC", USDC.issuer])
    ] == [
        ("Cb", 10**38 + 5),
        ("Ca", 70),
    ]
    assert [one["holder"] for one in asked(database, holders, ["native", None])] == ["Cd"]
    assert [one["holder"] for one in asked(database, holders, ["XLM", ""])] == ["Cd"]
    assert asked(database, holders, ["USDC", None]) == []
    summary = asked(database, "SELECT * FROM contract_data.asset_summary ORDER BY asset_code")
    assert [(one["asset_code"], one["holder_count"], int(one["total_supply"])) for one in summary] == [
        ("USDC", 2, 10**38 + 75),
        ("native", 1, 9),
    ]
    history = asked(database, "SELECT ledger_sequence FROM contract_data.get_balance_history(%s, 2)", [usdc])
    assert [one["ledger_sequence"] for one in history] == [4, 3]
