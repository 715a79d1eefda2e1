"""Rows of many batches in another order: the same as Arrow's kernels make of them."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellarrow.core.gathering import Gathered, Gatherer, text_size

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
_STRUCT = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
PLAIN = pa.schema(
    {
        "contract_id": pa.string(),
        "text": pa.string(),
        "topics": pa.list_(pa.string()),
        "texts": pa.list_(pa.string()),
        "number": pa.uint32(),
        "amount": pa.decimal128(38, 0),
        "moment": pa.timestamp("us", "UTC"),
        "truth": pa.bool_(),
        "bytes": pa.binary(),
        "value": _STRUCT,
    },
    {"schema_type": "of a test"},
)
CODED = PLAIN.set(0, pa.field("contract_id", _DICTIONARY)).set(2, pa.field("topics", pa.list_(_DICTIONARY)))
FEW = st.sampled_from(["", "C" * 56, "CA", "ü"])
ROW = st.fixed_dictionaries(
    {
        "contract_id": st.none() | FEW,
        "text": st.none() | st.text(),
        "topics": st.none() | st.lists(st.none() | FEW, max_size=3),
        "texts": st.none() | st.lists(st.text(), max_size=3),
        "number": st.integers(0, 2**32 - 1),
        "amount": st.none() | st.integers(1 - 10**38, 10**38 - 1),
        "moment": st.none() | st.datetimes(),
        "truth": st.none() | st.booleans(),
        "bytes": st.none() | st.binary(),
        "value": st.none() | st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.lists(FEW, max_size=2)}),
    }
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[pa.RecordBatch]:
    """Rows in a few batches, each a slice of a larger one, some with texts as dictionaries."""
    rows = pa.RecordBatch.from_pylist(draw(st.lists(ROW, min_size=1, max_size=12)), PLAIN)
    cuts = sorted({0, rows.num_rows, *draw(st.lists(st.integers(0, rows.num_rows), max_size=3))})
    parts = [rows.slice(start, end - start) for start, end in pairwise(cuts)]
    return [coded(part) if draw(st.booleans()) else part for part in parts]


def coded(rows: pa.RecordBatch) -> pa.RecordBatch:
    at = rows.schema.get_field_index("contract_id")
    return rows.set_column(at, "contract_id", rows.column(at).dictionary_encode())


def gathered(batches: list[pa.RecordBatch], schema: pa.Schema) -> Gathered:
    gatherer = Gatherer(schema)
    for batch in batches:
        gatherer.append(batch)
    assert gatherer.take().num_rows == sum(batch.num_rows for batch in batches)
    for batch in batches:  # what was taken is gone, and the next rows come alone
        gatherer.append(batch)
    return gatherer.take()


def plain(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = rows.cast(PLAIN).to_pylist()
    return held


@given(batches=arrivals(), schema=st.sampled_from([PLAIN, CODED]))
def test_rows_come_back_as_they_came(batches: list[pa.RecordBatch], schema: pa.Schema) -> None:
    if schema is PLAIN:
        batches = [batch.cast(PLAIN) for batch in batches]
    rows = gathered(batches, schema).batch()
    assert rows.schema.equals(schema, check_metadata=True)
    rows.validate(full=True)
    assert plain(rows) == [row for batch in batches for row in plain(batch)]
    names = ["number", "contract_id"]
    assert gathered(batches, schema).batch(names).equals(rows.select(names))


@given(
    batches=arrivals(), places=st.lists(st.integers(0, 2), min_size=12, max_size=12), block=st.integers(1, 5)
)
def test_rows_are_sorted_as_kernels_sort_them(
    batches: list[pa.RecordBatch], places: list[int], block: int
) -> None:
    whole = [row for batch in batches for row in plain(batch)]
    held = pa.array(places[: len(whole)], pa.int32())
    keys = {"place": held, "contract_id": pa.array([row["contract_id"] for row in whole], pa.string())}
    by = [(name, "ascending") for name in keys]
    order = pc.sort_indices(pa.table(keys), sort_keys=by).to_pylist()
    found = []
    for place, rows in gathered(batches, CODED).arranged("contract_id", held, block):
        rows.validate(full=True)
        assert 0 < rows.num_rows <= block
        found += [(place, row) for row in plain(rows)]
        column = rows.column("contract_id")
        # Each text once, in the order of rows, and none that no row has: Parquet writes it as it is.
        texts = dict.fromkeys(text for text in column.to_pylist() if text is not None)
        assert column.dictionary.to_pylist() == [*texts]
    assert found == [(places[at], whole[at]) for at in order]


@given(batches=arrivals())
def test_the_order_of_arrival_makes_no_difference_to_blocks(batches: list[pa.RecordBatch]) -> None:
    together = [pa.concat_batches([batch.cast(PLAIN) for batch in batches])]
    one, other = (gathered(held, CODED).arranged("contract_id", None, 4) for held in (batches, together))
    for (_, left), (_, right) in zip(one, other, strict=True):
        assert left.column("contract_id").dictionary.equals(right.column("contract_id").dictionary)
        assert plain(left) == plain(right)


@given(batches=arrivals())
def test_rows_that_are_kept_together_come_as_those_that_are_kept_as_they_came(
    batches: list[pa.RecordBatch],
) -> None:
    apart, together = Gatherer(CODED), Gatherer(CODED, sort_by="contract_id")
    for _ in range(2):  # the second time in the room of the first
        for batch in batches:
            apart.append(batch)
            text = together.fit(batch, count=batch.num_rows + 1, text=1 << 20)
            assert text == text_size(batch)
            assert together.fit(batch, count=batch.num_rows, text=1 << 20) is None
            assert together.fit(batch, count=batch.num_rows + 1, text=text) is None
        one, other = apart.take(), together.take()
        for (_, left), (_, right) in zip(
            one.arranged("contract_id", None, 3), other.arranged("contract_id", None, 3), strict=True
        ):
            right.validate(full=True)
            assert left.equals(right)
    held = other.batch()
    at = 0
    for batch in batches:
        contracts = held.column("contract_id").to_pylist()[at : at + batch.num_rows]
        at += batch.num_rows
        assert len([*groupby(contracts)]) == len({*contracts})


def test_rows_of_many_chunks_keep_their_values() -> None:
    count, contracts = 40_000, 300
    numbers = range(count)
    whole = pa.record_batch(
        {
            "contract_id": [None if at % 911 == 0 else f"C{at * at % contracts:055}" for at in numbers],
            "text": [f"{at}" * (at % 5) for at in numbers],
            "topics": [[f"topic {at % 20_011}"] * (at % 4) for at in numbers],
            "number": pa.array(numbers, pa.uint32()),
        }
    )
    schema = pa.schema(
        {
            "contract_id": _DICTIONARY,
            "text": pa.string(),
            "topics": pa.list_(_DICTIONARY),
            "number": pa.uint32(),
        }
    )
    cuts = [0, 1, 16_383, 16_384, 16_385, 39_000, count]
    gatherer, together = Gatherer(schema), Gatherer(schema, sort_by="contract_id")
    for _ in range(3):  # the second and third time in the room of those before
        for start, end in pairwise(cuts):
            gatherer.append(whole.slice(start, end - start))
            together.append(whole.slice(start, end - start))
        held, alike = gatherer.take(), together.take()
        assert held.batch().cast(whole.schema).equals(whole)
        parts = [rows.cast(whole.schema) for _, rows in held.arranged("contract_id", None, 16_384)]
        assert [part.num_rows for part in parts] == [16_384, 16_384, count - 32_768]
        order = pc.sort_indices(whole, sort_keys=[("contract_id", "ascending")])
        assert pa.concat_batches(parts).equals(whole.take(order))
        parts = [rows.cast(whole.schema) for _, rows in alike.arranged("contract_id", None, 16_384)]
        assert pa.concat_batches(parts).equals(whole.take(order))
        del held, alike


def test_batches_of_another_table_are_refused() -> None:
    gatherer = Gatherer(pa.schema({"a": pa.string()}))
    with pytest.raises(ValueError, match="another table"):
        gatherer.append(pa.record_batch({"a": ["x"], "b": ["y"]}))
    with pytest.raises(ValueError, match="values of Int64"):
        gatherer.append(pa.record_batch({"a": [1]}))


@pytest.mark.parametrize("sort_by", [None, "key"])
def test_rows_behind_a_batch_that_was_refused_are_paired_with_none_of_its_values(sort_by: str | None) -> None:
    gatherer = Gatherer(pa.schema({"key": _DICTIONARY, "number": pa.int64()}), sort_by=sort_by)
    good = pa.record_batch({"key": ["b", "a"], "number": [1, None]})
    gatherer.append(good)
    with pytest.raises(ValueError, match="values of Utf8"):
        gatherer.append(pa.record_batch({"key": ["x", "y", "x"], "number": ["1", "2", "3"]}))
    with pytest.raises(ValueError, match="was refused"):
        gatherer.append(good)
    assert gatherer.take().batch().to_pylist() == good.to_pylist()
    gatherer.append(good)
    assert gatherer.take().batch().to_pylist() == good.to_pylist()


def test_rows_are_not_sorted_by_numbers() -> None:
    gatherer = Gatherer(pa.schema({"a": pa.int64()}))
    gatherer.append(pa.record_batch({"a": [1]}))
    with pytest.raises(ValueError, match="cannot be sorted by a"):
        next(gatherer.take().arranged("a", None, 1))
