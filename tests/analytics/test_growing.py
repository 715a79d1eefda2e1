"""Hot and stored rows are read as one: each ledger once, while ledgers come and go."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.order import in_order
from stellarrow.analysis.reads.paging import page
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.refusals import FellOut
from stellarrow.analysis.reads.stored import Stored
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import Unavailable
from stellarrow.ledgers import LedgerRange

NAME = "token_transfers"
FIRST, COUNT = 100, 30


@pytest.fixture(scope="module")
def rows() -> dict[int, pa.RecordBatch]:
    """The rows of thirty ledgers, each in order."""
    found = {}
    for number, ledger in enumerate(islice(synthetic(3, first=FIRST, ledger_bytes=6_000), COUNT)):
        data = (0x80000000 | len(ledger)).to_bytes(4, "big") + ledger
        made = sa.decode(data, [NAME], network="synthetic")[NAME]
        found[FIRST + number] = in_order(made, NAME)
    return found


@pytest.fixture(scope="module")
def stored_until(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Stored]:
    """The first ledgers in files, by how many of them."""
    made = {}
    for count in (0, 1, 7, 15, 30):
        folder = tmp_path_factory.mktemp(f"stored-{count}")
        ledgers = [*islice(synthetic(3, first=FIRST, ledger_bytes=6_000), count)]
        lake = folder / "lake.xdr"
        lake.write_bytes(b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers))
        if count:
            sink = f"parquet:{folder / 'out'}?ledgers=4"
            sa.run(str(lake), tables=[NAME], sinks=sink, network="synthetic")
            made[count] = Stored(str(folder / "out"), [NAME])
    return made


def many(rows: dict[int, pa.RecordBatch], first: int, last: int) -> list[dict[str, Any]]:
    return [row for ledger in range(first, last + 1) for row in rows[ledger].to_pylist()]


def taken(tables: Tables, question: Question, limits: Iterator[int]) -> Iterator[list[dict[str, Any]]]:
    cursor = ""
    while True:
        made = page(tables.snapshot(NAME), question, limit=next(limits), cursor=cursor)
        yield [row for batch in made.batches for row in batch.to_pylist()]
        if made.next is None:
            return
        cursor = made.next


@settings(max_examples=40)
@given(data=st.data())
def test_pages_of_what_grows_have_each_row_once_as_of_the_first_page(
    rows: dict[int, pa.RecordBatch], stored_until: dict[int, Stored], data: st.DataObject
) -> None:
    stored = stored_until.get(data.draw(st.sampled_from([0, 1, 7, 15, 30])))
    hot = Hot([NAME], most_bytes=1 << 30)
    tables = Tables([NAME], hot=hot, stored=stored, network=None)
    begun = data.draw(st.integers(FIRST, FIRST + COUNT - 1))
    due = iter(range(FIRST, FIRST + COUNT))

    def grow(until: int) -> None:
        for ledger in due:
            tables.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
            if ledger >= until:
                return

    grow(begun)
    as_of = tables.snapshot(NAME).as_of
    descending = data.draw(st.booleans())
    question = Question(table=NAME, descending=descending)
    found: list[dict[str, Any]] = []
    limits = iter(lambda: data.draw(st.integers(1, 60)), 0)
    for part in taken(tables, question, limits):
        found += part
        grow(data.draw(st.integers(FIRST, FIRST + COUNT - 1)))
    expected = many(rows, FIRST, as_of)
    assert found == (expected[::-1] if descending else expected)


def test_what_is_both_in_memory_and_in_files_comes_once(
    rows: dict[int, pa.RecordBatch], stored_until: dict[int, Stored]
) -> None:
    hot = Hot([NAME], most_bytes=1 << 30)
    tables = Tables([NAME], hot=hot, stored=stored_until[15], network=None)
    for ledger in (129, 105, 110, 111, 116, 105, 128):
        tables.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
    snapshot = tables.snapshot(NAME)
    assert str(snapshot.coverage) == "100:114, 116, 128:129"
    found = [
        row for batch in snapshot.read(Question(table=NAME), LedgerRange(0, 200)) for row in batch.to_pylist()
    ]
    known = [*range(100, 115), 116, 128, 129]
    assert found == [row for ledger in known for row in rows[ledger].to_pylist()]


def test_a_filter_keeps_the_same_rows_of_memory_and_of_files(
    rows: dict[int, pa.RecordBatch], stored_until: dict[int, Stored]
) -> None:
    contract = rows[110].column("contract_id")[0].as_py()
    asked = Conditions(contract_ids=(contract,), where="amount_raw > 1000")
    question = Question(table=NAME, conditions=asked, columns=("event_index", "amount_raw"))
    found = {}
    for count in (0, 7, 30):
        hot = Hot([NAME], most_bytes=1 << 30)
        tables = Tables([NAME], hot=hot, stored=stored_until.get(count), network=None)
        for ledger in range(FIRST, FIRST + COUNT):
            if ledger >= FIRST + count:
                tables.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
        snapshot = tables.snapshot(NAME)
        batches = snapshot.read(question, LedgerRange(0, 200))
        found[count] = [row for batch in batches for row in batch.to_pylist()]
    expected = [
        {name: row[name] for name in ("ledger_sequence", "event_index", "amount_raw")}
        for row in many(rows, FIRST, FIRST + COUNT - 1)
        if row["contract_id"] == contract and row["amount_raw"] > 1000
    ]
    assert expected
    assert found == {0: expected, 7: expected, 30: expected}


def test_memory_is_bounded_and_what_fell_out_is_said(rows: dict[int, pa.RecordBatch]) -> None:
    size = sum(batch.nbytes for batch in rows.values())
    hot = Hot([NAME], most_bytes=size // 3)
    tables = Tables([NAME], hot=hot, stored=None, network=None)
    for ledger in range(FIRST, FIRST + 10):
        tables.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
    first = page(tables.snapshot(NAME), Question(table=NAME), limit=1)
    back = page(tables.snapshot(NAME), Question(table=NAME, descending=True), limit=1)
    for ledger in range(FIRST + 10, FIRST + COUNT):
        tables.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
        assert hot.size_bytes <= size // 3 or len(hot.picture(NAME).pieces) == 1
    for question, begun in ((Question(table=NAME), first), (Question(table=NAME, descending=True), back)):
        with pytest.raises(FellOut, match="is no longer kept here: the first ledger of token_transfers is"):
            page(tables.snapshot(NAME), question, limit=100_000, cursor=begun.next or "")


def test_a_cursor_of_a_ledger_that_is_yet_to_come_back_is_to_be_tried_again(
    rows: dict[int, pa.RecordBatch],
) -> None:
    def tables(last: int) -> Tables:
        made = Tables([NAME], hot=Hot([NAME], most_bytes=1 << 30), stored=None, network=None)
        for ledger in range(FIRST, last + 1):
            made.add(NAME, LedgerRange(ledger, ledger), rows[ledger])
        return made

    cursor = page(tables(120).snapshot(NAME), Question(table=NAME), limit=3).next or ""
    with pytest.raises(Unavailable, match="as of ledger 120, and token_transfers is here up to 110"):
        page(tables(110).snapshot(NAME), Question(table=NAME), limit=3, cursor=cursor)
    page(tables(129).snapshot(NAME), Question(table=NAME), limit=3, cursor=cursor)
