"""What conditions of a Spark query say of ledgers and rows; none of this takes Spark."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.spark.columns import signed
from stellarrow.spark.options import ReadOptions
from stellarrow.spark.pushdown import Comparison, Term, ledgers_of, narrowed

CONTRACT = "C" + "A" * 55
COMPARED: dict[Comparison, Any] = {
    "=": lambda ledger, value: ledger == value,
    "<": lambda ledger, value: ledger < value,
    "<=": lambda ledger, value: ledger <= value,
    ">": lambda ledger, value: ledger > value,
    ">=": lambda ledger, value: ledger >= value,
}


@given(st.sampled_from(list(COMPARED)), st.integers(-3, 2**32 + 3), st.integers(-3, 3))
def test_ledgers_of_a_condition_are_those_it_is_true_of(
    comparison: Comparison, value: int, beside: int
) -> None:
    found = ledgers_of(Term("ledger_sequence", comparison, (value,)))
    assert found is not None
    for ledger in {max(0, min(2**32 - 1, value + beside)), 0, 2**32 - 1}:
        assert (ledger in found) == COMPARED[comparison](ledger, value)


def test_a_condition_on_several_ledgers_is_true_of_each() -> None:
    assert str(ledgers_of(Term("ledger_sequence", "=", (7, 5, 6, 900)))) == "5:7, 900"


@pytest.mark.parametrize(
    "term",
    [
        Term("closed_at", ">", (5,)),
        Term("ledger_sequence", ">", ("5",)),
        Term("ledger_sequence", "=", (5.5,)),
        Term("ledger_sequence", "=", (None,)),
    ],
)
def test_what_says_nothing_certain_of_ledgers_is_left_to_spark(term: Term) -> None:
    assert ledgers_of(term) is None


def test_conditions_become_fields_of_the_filter_where_no_option_gave_them() -> None:
    terms = [
        Term("contract_id", "=", (CONTRACT,)),
        Term("asset_code", "=", ("USDC", "EURC")),
        Term("event_name", "=", ("no name of a symbol!",)),
        Term("deleted", "=", (False,)),
        Term("data_xdr", "=", ("AAAA",)),
        Term("contract_id", "is not null"),
    ]
    columns = ["contract_id", "asset_code", "event_name", "deleted", "data_xdr"]
    found = narrowed(sa.Filter(), terms, columns, stored=False)
    assert found == sa.Filter(contract_ids=[CONTRACT], asset_codes=["USDC", "EURC"], include_deleted=False)
    given_already = sa.Filter(contract_ids=["C" + "B" * 55])
    assert narrowed(given_already, terms[:1], columns, stored=False) == given_already
    assert narrowed(sa.Filter(), terms[:1], ["asset_code"], stored=False) == sa.Filter()


def test_of_a_stored_table_only_what_its_columns_answer_is_asked() -> None:
    terms = [Term("contract_id", "=", (CONTRACT,)), Term("asset_code", "=", ("USDC",))]
    found = narrowed(sa.Filter(), terms, ["contract_id", "asset_code"], stored=True)
    assert found == sa.Filter(contract_ids=[CONTRACT])


def test_options_are_read_in_any_case_and_sparks_own_are_left_alone() -> None:
    options = ReadOptions.of(
        {
            "PATH": "x",
            "Table": "ledgers",
            "spark.sql.x": "1",
            "contract_ids": f" {CONTRACT},",
            "partitions": "4",
        }
    )
    assert options.filter() == sa.Filter(contract_ids=[CONTRACT])
    assert (options.count(), options.named_columns()) == (4, None)


@pytest.mark.parametrize(
    ("given_options", "word"),
    [
        ({"path": "x"}, "no table is named"),
        ({"table": "ledgers"}, "no source is named"),
        ({"path": "x", "table": "ledgers", "tabel": "y"}, "did you mean table"),
        ({"path": "x", "table": "ledgers", "partitions": "0"}, "whole number"),
    ],
)
def test_options_that_make_no_sense_are_refused(given_options: dict[str, str], word: str) -> None:
    with pytest.raises(sa.ConfigError, match=word):
        ReadOptions.of(given_options)


def test_every_column_of_every_table_has_a_type_that_spark_knows() -> None:
    for table in sa.tables():
        for field in signed(sa.schema(str(table), decoded=True)):
            assert not pa.types.is_unsigned_integer(field.type), field
    nested = pa.schema([pa.field("a", pa.list_(pa.struct([("b", pa.dictionary(pa.int8(), pa.uint64()))])))])
    assert signed(nested).field("a").type == pa.list_(pa.struct([("b", pa.decimal128(20, 0))]))
