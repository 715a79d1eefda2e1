from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import stellarrow as sa
from tables.golden import Known, Row, change_type, compare, native_contract, renamed


@pytest.fixture
def rename(known: Known) -> Callable[[Row], Row]:
    native = native_contract(known.passphrase)

    def rename(row: Row) -> Row:
        row |= {
            "closed_at": datetime.fromtimestamp(row["closed_at"], UTC),
            "change_type": change_type(row),
            # The golden rows pad codes as the chain does, with zeros.
            "asset_code": row["asset_code"] and row["asset_code"].rstrip("\0"),
            "balance_text": row["balance"],
            "balance": decimal(row["balance"]),
        }
        # The golden rows leave out the native asset.
        if row["contract_id"] == native and row["contract_instance_type"] == "stellar_asset":
            row["asset_type"] = "AssetTypeAssetTypeNative"
        return row

    return rename


def decimal(text: str | None) -> Decimal | None:
    return None if text is None or len(text) > 38 else Decimal(text)


def test_contract_data_is_what_the_chain_says(known: Known, rename: Callable[[Row], Row]) -> None:
    compare(known.decode("contract_data@2.0"), renamed(known.golden("contract_data"), rename))


def test_version_1_says_the_same_in_its_own_columns(known: Known, rename: Callable[[Row], Row]) -> None:
    def version_1(row: Row) -> Row:
        row = rename(row)
        if row["balance"] is not None:
            row["balance"] = int(row["balance"]) if row["balance"] < 2**63 else None
        return {column: row[column] for column in sa.schema("contract_data@1.0").names}

    compare(known.decode("contract_data@1.0"), renamed(known.golden("contract_data"), version_1))


def test_a_contracts_rows_are_those_of_all_that_are_its_own(
    known: Known, rename: Callable[[Row], Row]
) -> None:
    golden = renamed(known.golden("contract_data"), rename)
    for contract, _ in Counter(row["contract_id"] for row in golden).most_common(2):
        ours = known.decode("contract_data", where=sa.Filter(contract_ids=[contract]))
        compare(ours, [row for row in golden if row["contract_id"] == contract])


def test_without_deleted_entries_the_others_stay_as_they_are(
    known: Known, rename: Callable[[Row], Row]
) -> None:
    golden = renamed(known.golden("contract_data"), rename)
    ours = known.decode("contract_data", where=sa.Filter(include_deleted=False))
    compare(ours, [row for row in golden if not row["deleted"]])
