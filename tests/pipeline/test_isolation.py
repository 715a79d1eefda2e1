from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.pipeline.isolation import Outcome, apart, outcomes, together
from stellarrow.pipeline.joining import go_on

DECODER = sa.Decoder(["ledgers"], network="synthetic")


def damaged(ledger: bytes) -> bytes:
    return ledger[:60] + b"\xff" + ledger[61:]


def chunk(
    ledgers: list[bytes], framing: str = "record-marked", *, level: int | None = None
) -> sa.LedgerChunk:
    data = frame(ledgers, framing, compression_level=level)
    return sa.LedgerChunk(data, "auto", 100, 99 + len(ledgers), "here")


def good(found: list[Outcome]) -> list[int]:
    rows = (one.batch.tables["ledgers"].column("ledger_sequence").to_pylist() for one in found if one.batch)
    return list(chain.from_iterable(rows))


def bad(found: list[Outcome]) -> list[tuple[int, int]]:
    return [(one.chunk.first, one.chunk.last) for one in found if not one.batch]


@pytest.fixture
def ten(ledgers: tuple[bytes, ...]) -> list[bytes]:
    return list(ledgers[:10])


def test_a_good_chunk_stays_whole(ten: list[bytes]) -> None:
    (found,) = outcomes(chunk(ten), DECODER)
    assert found.batch
    assert (found.batch.first, found.batch.last) == (100, 109)


@pytest.mark.parametrize("framing", ["record-marked", "batch", "base64-lines"])
@pytest.mark.parametrize("level", [None, 3])
def test_one_bad_ledger_is_taken_out_of_its_chunk(ten: list[bytes], framing: str, level: int | None) -> None:
    ten[4] = damaged(ten[4])
    found = outcomes(chunk(ten, framing, level=level), DECODER)
    assert good(found) == [100, 101, 102, 103, 105, 106, 107, 108, 109]
    assert bad(found) == [(104, 104)]
    assert "ledger 104: v1.ledger_header.hash" in str(found[4].error)
    assert len(found[4].chunk.data) < 2 * len(ten[4])


def test_several_bad_ledgers_are_each_told(ten: list[bytes]) -> None:
    ten[0], ten[9] = damaged(ten[0]), damaged(ten[9])
    found = outcomes(chunk(ten), DECODER)
    assert bad(found) == [(100, 100), (109, 109)]
    assert ["ledger 100" in str(found[0].error), "ledger 109" in str(found[9].error)] == [True, True]


def test_what_follows_a_ledger_whose_end_is_lost_stays_with_it(ten: list[bytes]) -> None:
    ten[4] = ten[4][:-8]
    found = outcomes(chunk(ten, "batch"), DECODER)
    assert good(found) == [100, 101, 102, 103]
    assert bad(found) == [(104, 109)]


def test_a_chunk_that_cannot_even_be_unpacked_is_bad_as_a_whole(ten: list[bytes]) -> None:
    whole = chunk(ten, level=3)
    cut = sa.LedgerChunk(whole.data[: len(whole.data) // 2], "auto", 100, 109, "here")
    found = outcomes(cut, DECODER)
    assert (good(found), bad(found)) == ([], [(100, 109)])


def test_a_chunk_that_holds_others_than_it_says_is_bad_from_there(ten: list[bytes]) -> None:
    del ten[4]
    found = outcomes(sa.LedgerChunk(frame(ten, "record-marked"), "auto", 100, 109, "here"), DECODER)
    assert (good(found), bad(found)) == ([100, 101, 102, 103], [(104, 109)])


def test_only_the_ledgers_asked_for_are_told(ten: list[bytes]) -> None:
    ten[0], ten[5], ten[9] = damaged(ten[0]), damaged(ten[5]), damaged(ten[9])
    whole = chunk(ten)
    found = outcomes(sa.LedgerChunk(whole.data, whole.framing, 103, 107, "here"), DECODER)
    assert (good(found), bad(found)) == ([103, 104, 106, 107], [(105, 105)])


def test_another_network_is_no_fault_of_a_ledger(ten: list[bytes]) -> None:
    with pytest.raises(sa.NetworkMismatch):
        outcomes(chunk(ten), sa.Decoder(["ledgers"], network="pubnet"))


def test_bytes_damaged_on_the_way_are_fetched_again(ten: list[bytes]) -> None:
    whole = chunk(ten)
    broken = sa.LedgerChunk(damaged(whole.data), "auto", 100, 109, "here")
    found = outcomes(broken, DECODER, lambda _: whole)
    assert (good(found), bad(found)) == (list(range(100, 110)), [])


def test_what_is_bad_where_it_lies_or_gone_is_fetched_once_and_told(ten: list[bytes]) -> None:
    ten[4] = damaged(ten[4])
    asked: list[sa.LedgerChunk] = []

    def refetch(one: sa.LedgerChunk) -> sa.LedgerChunk:
        asked.append(one)
        if len(asked) == 2:
            raise sa.SourceUnavailable("gone")
        return one

    for _ in range(2):
        assert bad(outcomes(chunk(ten), DECODER, refetch)) == [(104, 104)]
    assert len(asked) == 2


def test_ledgers_can_be_taken_one_by_one(ten: list[bytes]) -> None:
    found = list(apart(chunk(ten), DECODER))
    assert [one.chunk.first for one in found] == good(found) == list(range(100, 110))


def singles(ledgers: list[bytes], *, level: int | None = None) -> list[sa.LedgerChunk]:
    data = [frame([one], "single", compression_level=level) for one in ledgers]
    return [sa.LedgerChunk(one, "single", 100 + at, 100 + at, "here") for at, one in enumerate(data)]


@pytest.mark.parametrize("level", [None, 3])
def test_chunks_decoded_together_have_the_rows_of_all(ten: list[bytes], level: int | None) -> None:
    found = together(singles(ten, level=level), DECODER)
    assert found
    assert found.batch
    assert (found.chunk.first, found.chunk.last, found.batch.run.count) == (100, 109, 10)
    (whole,) = outcomes(chunk(ten), DECODER)
    assert whole.batch
    assert found.batch.tables == whole.batch.tables
    assert found.batch.run == whole.batch.run


def test_chunks_of_which_one_is_bad_are_not_decoded_together(ten: list[bytes]) -> None:
    ten[4] = damaged(ten[4])
    assert together(singles(ten), DECODER) is None


def test_chunks_that_lack_a_ledger_between_are_not_decoded_together(ten: list[bytes]) -> None:
    made = singles(ten)
    assert together([*made[:4], *made[5:]], DECODER) is None


def test_chunks_go_together_where_they_are_alike_and_go_on_from_each_other(ten: list[bytes]) -> None:
    first, second, third, *_ = singles(ten)
    assert go_on([first], second)
    assert not go_on([first], third)
    assert not go_on([first], replace(second, fetched=True))
    assert not go_on([first], replace(second, framing="auto"))
    assert not go_on([first], replace(second, trace="00-1-2-01"))
    assert not go_on([first], replace(second, data=bytes(8 << 20)))
