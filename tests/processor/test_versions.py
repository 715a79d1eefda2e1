"""Older versions of a table, made of the newest one that sessions keep."""

from __future__ import annotations

from itertools import islice

import pyarrow as pa

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.processor.reads.versions import converter, newest


def test_an_older_version_is_what_decoding_makes_of_it() -> None:
    (ledger,) = islice(synthetic(50, first=100, ledger_bytes=200_000), 1)
    made = sa.decode(ledger, ["contract_data@1.0", "contract_data@2.0"], network="synthetic")
    converted = converter("contract_data@1.0")(made["contract_data@2.0"].slice(3))
    assert converted.equals(made["contract_data@1.0"].slice(3), check_metadata=True)


def test_a_balance_that_fits_no_int64_is_null_in_the_older_version() -> None:
    balances = [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, None, 0]
    whole = sa.schema("contract_data@2.0")
    columns = [
        pa.array(balances, field.type) if field.name == "balance" else pa.nulls(len(balances), field.type)
        for field in whole
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=whole)
    converted = converter("contract_data@1.0")(rows)
    assert converted.column("balance").to_pylist() == [2**63 - 1, None, -(2**63), None, None, 0]


def test_the_newest_version_is_left_as_it_is() -> None:
    rows = pa.RecordBatch.from_pylist([], schema=sa.schema("ledgers"))
    assert newest("contract_data@1.0") == newest("contract_data") == "contract_data@2.0"
    assert converter("ledgers@1.0")(rows) is rows
