"""Rows as text by the core: the same as Arrow's kernels write."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.core.text import csv_text, json_text
from stellarrow.sinks.files.formats import csv, jsonl

NAMES = [str(one) for one in sa.tables()]


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.RecordBatch]:
    """The rows of every table of a synthetic ledger."""
    ledger = next(islice(synthetic(3, first=100, ledger_bytes=60_000), 1))
    data = (0x80000000 | len(ledger)).to_bytes(4, "big") + ledger
    return dict(sa.decode(data, NAMES, network="synthetic", decoded=True).items())


def check(rows: pa.RecordBatch) -> None:
    assert written(json_text(rows, end="\n")) == jsonl.by_kernels(rows).to_pybytes()
    assert written(csv_text(rows)) == csv.by_kernels(rows).to_pybytes()


def written(text: pa.Buffer | None) -> bytes:
    assert text is not None, "the core knows no such columns"
    held: bytes = text.to_pybytes()
    return held


@pytest.mark.parametrize("name", NAMES)
def test_every_table_is_written_as_kernels_write_it(tables: dict[str, pa.RecordBatch], name: str) -> None:
    rows = tables[name]
    if any(pa.types.is_binary(kind) for kind in rows.schema.types):
        assert json_text(rows, end="\n") is None
    else:
        check(rows)
        check(rows.slice(1, 3))


MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda one: one.replace(microsecond=0, tzinfo=UTC)
)
ROW = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(),
        "texts": st.none() | st.lists(st.text(), max_size=3),
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "long": st.none() | st.integers(0, 2**64 - 1),
        "amount": st.none() | st.integers(1 - 10**38, 10**38 - 1),
        "truth": st.none() | st.booleans(),
        "moment": st.none() | MOMENTS,
    }
)
SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "small": pa.int32(),
        "long": pa.uint64(),
        "amount": pa.decimal128(38, 0),
        "truth": pa.bool_(),
        "moment": pa.timestamp("us", "UTC"),
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=5), start=st.integers(0, 4))
def test_any_values_are_written_as_kernels_write_them(rows: list[dict[str, object]], start: int) -> None:
    held = pa.RecordBatch.from_pylist(rows, SCHEMA).slice(min(start, len(rows) - 1))
    check(held)
    read = [json.loads(line) for line in written(json_text(held, end="\n")).split(b"\n")[:-1]]
    assert [one["text"] for one in read] == held.column("text").to_pylist()


@given(rows=st.lists(ROW, min_size=1, max_size=5), start=st.integers(0, 4))
def test_texts_of_a_dictionary_are_written_as_the_texts_themselves(
    rows: list[dict[str, object]], start: int
) -> None:
    held = pa.RecordBatch.from_pylist(rows, SCHEMA)
    coded = held.set_column(0, "text", held.column("text").dictionary_encode())
    part = coded.slice(min(start, len(rows) - 1))
    assert json_text(part, end=",") == json_text(held.slice(len(rows) - len(part)), end=",")
    assert csv_text(part) == csv_text(held.slice(len(rows) - len(part)))


def test_a_dictionary_that_lacks_a_text_is_left_to_kernels() -> None:
    held = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None]))
    rows = pa.RecordBatch.from_arrays([held], ["text"])
    assert json_text(rows, end=",") is None
    assert csv_text(rows) is None


@given(text=st.text(st.sampled_from('ab"\\\n\x1f\x7f\x80 !#[]ü€\U0001f600'), max_size=40))
def test_what_json_escapes_is_escaped_wherever_it_stands(text: str) -> None:
    rows = pa.RecordBatch.from_arrays([pa.array([text])], ["text"])
    assert json.loads(written(json_text(rows, end=""))) == {"text": text}
    check(rows)


def test_names_of_columns_may_be_anything() -> None:
    names = ['a "name"', "a\\b", "a\nb", "ü"]
    rows = pa.RecordBatch.from_arrays([pa.array([number]) for number in range(4)], names)
    check(rows)
    assert json.loads(written(json_text(rows, end=""))) == {
        name: str(number) for number, name in enumerate(names)
    }


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0.5]),
        pa.array([1]).dictionary_encode(),
        pa.array([1], pa.decimal128(5, 2)),
        pa.array([1], pa.timestamp("us", "UTC")),
        pa.array([10**18], pa.timestamp("s", "UTC")),
        pa.array([["a", None]]),
        pa.nulls(1),
    ],
    ids=str,
)
def test_what_no_table_has_is_left_to_the_kernels(column: pa.Array) -> None:
    rows = pa.RecordBatch.from_arrays([column], ["a"])
    assert json_text(rows, end=",") is None
    assert csv_text(rows) is None
