"""Filters of token transfers in both vocabularies, and by every name of an asset, on every corpus."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

import stellarrow as sa
from tables.golden import Known, Row

KINDS = ("transfer", "mint", "burn", "clawback", "fee")
OPERATIONS = ("payment", "path_payment_strict_receive", "path_payment_strict_send", "invoke_host_function")
CLAIMS = ("create_claimable_balance", "claim_claimable_balance", "clawback_claimable_balance", "clawback")


def names_of(row: Row) -> set[str]:
    """Return every name by which a row's asset is asked for."""
    names = {row["contract_id"]}
    if row["asset_type"] == "native":
        return names | {"native", "XLM"}
    if row["asset_code"] is not None:
        names |= {row["asset_code"], f"{row['asset_code']}:{row['asset_issuer']}"}
        names.discard("XLM")  # lumens alone are asked for by that, not what somebody issues under their name
    return names


def fits(row: Row, events: Sequence[str], assets: Sequence[str]) -> bool:
    is_event = not events or row["event_type"] in events or row["operation_type"] in events
    return is_event and (not assets or not names_of(row).isdisjoint(assets))


def test_a_filter_keeps_what_it_would_keep_afterwards(known: Known) -> None:
    rows = known.decode("token_transfers")
    names = sorted({name for row in rows for name in names_of(row)} - {"XLM"})
    dice = random.Random(17)  # noqa: S311  no secret
    kept = 0
    for _ in range(12):
        events = dice.sample((*KINDS, *OPERATIONS, *CLAIMS), dice.randrange(5))
        assets = dice.sample(names, min(len(names), dice.randrange(4))) + ["XLM"] * dice.randrange(2)
        where = sa.Filter(event_types=events, asset_codes=assets)
        expected = [row for row in rows if fits(row, events, assets)]
        assert known.decode("token_transfers", where=where) == expected, (events, assets)
        kept += len(expected)
    assert kept


@pytest.mark.parametrize("issuer", ["GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"])
def test_an_issuer_and_a_contract_must_agree(known: Known, issuer: str) -> None:
    rows = known.decode("token_transfers")
    contracts = sorted({row["contract_id"] for row in rows})
    where = sa.Filter(asset_codes=contracts, asset_issuers=[issuer])
    assert known.decode("token_transfers", where=where) == [
        row for row in rows if row["asset_issuer"] == issuer
    ]


def test_what_sql_says_of_operations_is_the_same_rows(known: Known) -> None:
    rows = known.decode("token_transfers")
    for operation in ("payment", "clawback", "manage_sell_offer"):
        made = known.decode("token_transfers", where=f"operation_type = '{operation}'")
        assert made == [row for row in rows if row["operation_type"] == operation]
