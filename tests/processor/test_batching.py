"""Batches cut out of the parts that rows are kept in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa
import pytest

from stellarrow.processor.reads import batching
from stellarrow.processor.reads.batching import Cutter, Rows, Sent, gathered
from stellarrow.processor.reads.cursor import Place
from stellarrow.spool.spool import Piece

BEFORE = Place(99)
SIZES = (3, 0, 4, 1, 0, 0, 7, 2, 5, 1)  # rows of ledgers 100 to 109


def piece(first: int, sizes: Sequence[int]) -> Piece:
    ledgers = [first + at for at, size in enumerate(sizes) for _ in range(size)]
    columns = [pa.array(ledgers, pa.uint32()), pa.array([f"{one} {at}" for at, one in enumerate(ledgers)])]
    rows = pa.RecordBatch.from_arrays(columns, ["ledger_sequence", "text"])
    return Piece(first, first + len(sizes) - 1, rows)


def pieces(at_once: int) -> list[Piece]:
    starts = range(0, len(SIZES), at_once)
    return [piece(100 + at, SIZES[at : at + at_once]) for at in starts]


def sent(kept: Sequence[Piece], size: int, place: Place = BEFORE) -> Iterator[Sent]:
    cutter = Cutter(size, place, lambda rows: rows)
    for run in gathered((one for one in kept if one.last > place.after), size):
        yield from cutter.cut(run[0].first, run[-1].last, [one.rows for one in run])
    yield from cutter.rest()


def ledgers(batches: Sequence[Sent]) -> list[int]:
    return [row for one in batches for row in one.rows["ledger_sequence"].to_pylist()]


EVERY = [100 + at for at, size in enumerate(SIZES) for _ in range(size)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 10])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 23, 100])
def test_all_batches_but_the_last_of_what_is_gathered_are_full_however_rows_are_kept(
    size: int, at_once: int
) -> None:
    batches = [*sent(pieces(at_once), size)]
    assert ledgers(batches) == EVERY
    assert max(one.rows.num_rows for one in batches) <= size
    assert sum(one.rows.num_rows < size for one in batches) <= 1 + len(batches) // 8


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_reader_that_goes_on_behind_any_batch_gets_the_rest_and_each_ledger_is_told_of(
    size: int, at_once: int
) -> None:
    kept = pieces(at_once)
    whole = [*sent(kept, size)]
    for at, one in enumerate(whole, 1):
        after = one.place.after
        rest = [
            Piece(max(part.first, after + 1), part.last, part.rows.filter(of_those_behind(part, after)))
            for part in kept
            if part.last > after
        ]
        assert ledgers([*sent(rest, size, one.place)]) == ledgers(whole[at:])
    for before, behind in pairwise(whole):
        assert behind.first == before.last + before.complete
    assert (whole[0].first, whole[-1].last, whole[-1].complete) == (100, 109, True)


def of_those_behind(part: Piece, after: int) -> pa.Array:
    return pa.array([ledger > after for ledger in part.rows["ledger_sequence"].to_pylist()], pa.bool_())


def test_rows_of_one_part_are_handed_on_uncopied() -> None:
    part = piece(100, (6,)).rows
    rows = Rows([part, piece(101, (2,)).rows])
    shared = part["ledger_sequence"].buffers()[1].address
    assert rows.between(1, 5)["ledger_sequence"].buffers()[1].address == shared
    assert rows.between(5, 8)["ledger_sequence"].to_pylist() == [100, 101, 101]


def test_no_more_is_gathered_than_some_batches_take() -> None:
    taken: list[int] = []

    def kept() -> Iterator[Piece]:
        for number in range(100, 200):
            taken.append(number)
            yield piece(number, (10,))

    next(gathered(kept(), 10))
    assert len(taken) <= 10


def test_what_is_larger_than_a_message_is_cut_into_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MESSAGE_BYTES", 1_000)
    batches = [*sent([piece(100, (200,)), piece(101, (100,))], 300)]
    assert ledgers(batches) == [100] * 200 + [101] * 100
    assert max(pa.ipc.get_record_batch_size(one.rows) for one in batches) <= 1_000
    assert len(batches) > 2
