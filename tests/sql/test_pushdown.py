"""What of a condition reaches the walk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.sql.computation import computation

CONTRACT = "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"
ISSUER = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
LEDGER = Path(sa.__file__).parent / "data" / "ledgers" / "pubnet-58752000.xdr.zst"


def pushed(table: str, where: str, **given: Any) -> sa.Filter:
    schema = sa.schema(table)
    return computation(table, schema, schema, sa.Filter(where=where, **given)).filter


@pytest.mark.parametrize(
    ("table", "where", "fields"),
    [
        ("contract_events", f"contract_id = '{CONTRACT}'", {"contract_ids": (CONTRACT,)}),
        ("contract_events", f"'{CONTRACT}' = contract_id and stage is null", {"contract_ids": (CONTRACT,)}),
        ("contract_events", "event_name in ('mint', 'burn')", {"event_names": ("mint", "burn")}),
        (
            "token_transfers",
            f"(asset_code = 'USDC' and (asset_issuer = '{ISSUER}')) and event_type = 'transfer'",
            {"asset_codes": ("USDC",), "asset_issuers": (ISSUER,), "event_types": ("transfer",)},
        ),
        ("token_transfers", f"\"from\" = '{ISSUER}'", {"accounts": (ISSUER,)}),
        ("token_transfers", "operation_type in ('payment')", {"event_types": ("payment",)}),
        ("contract_data", "not deleted", {"include_deleted": False}),
        ("contract_data", "deleted = false", {"include_deleted": False}),
    ],
)
def test_what_a_filter_can_answer_reaches_the_walk(table: str, where: str, fields: dict[str, Any]) -> None:
    assert pushed(table, where) == sa.Filter(where=where, **fields)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("contract_events", f"contract_id = '{CONTRACT}' or event_index = 0"),
        ("contract_events", f"not (contract_id = '{CONTRACT}')"),
        ("contract_events", "contract_id = 'CABC'"),
        ("contract_events", r"event_name = 'a\x00'"),
        ("token_transfers", "event_type in ('transfer', 'unheard_of')"),
        ("token_transfers", "asset_code = 'native'"),
        ("token_transfers", "asset_code = 'FAR_TOO_LONG_A_CODE'"),
        ("token_transfers", "asset_code = upper('usdc')"),
        ("contract_data", "deleted"),
    ],
)
def test_what_a_filter_would_answer_otherwise_does_not(table: str, where: str) -> None:
    assert pushed(table, where) == sa.Filter(where=where)


def test_a_field_that_was_given_stays() -> None:
    given = pushed("contract_events", f"contract_id = '{CONTRACT}'", contract_ids=["CA" + "A" * 54])
    assert given.contract_ids == ("CA" + "A" * 54,)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("token_transfers", f"contract_id = '{CONTRACT}' and amount_raw < 3000"),
        ("token_transfers", "asset_code = 'USDC' and event_type = 'transfer' and amount_raw > 5"),
        (
            "contract_data",
            "contract_id = 'CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA' and not deleted",
        ),
    ],
)
def test_rows_are_the_same_whether_or_not_the_walk_helps(table: str, where: str) -> None:
    data = LEDGER.read_bytes()
    helped = sa.decode(data, [table], where=where)[table]
    alone = sa.decode(data, [table], where=f"({where}) or 1 = 2")[table]
    assert helped == alone
    assert 0 < len(helped) < len(sa.decode(data, [table])[table])


def test_a_filter_and_a_condition_both_hold() -> None:
    data = LEDGER.read_bytes()
    both = sa.Filter(event_types=["transfer"], where="amount_raw > 10000000")
    alone = sa.decode(data, ["token_transfers"], where="event_type = 'transfer' and amount_raw > 10000000")
    assert sa.decode(data, ["token_transfers"], where=both) == alone
