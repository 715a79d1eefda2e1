"""What a spool writes as one piece, and how its bytes get to the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.checksum import crc32
from stellarrow.core.rows import no_rows
from stellarrow.spool import segment
from stellarrow.spool.message import Messages, checksum_of, write_parts
from stellarrow.spool.spool import Spool

from .conftest import Opener, bring, expected, rows


def written(spool: Spool, batches: list[sa.LedgerBatch]) -> list[tuple[int, int]]:
    """Commit batches at once, and return the ledgers of the pieces they became."""
    after = spool.last
    for batch in batches:
        spool.write(batch)
    spool.commit()
    return [(piece.first, piece.last) for piece in spool.read("contract_data", after=after)]


def test_what_a_commit_makes_durable_is_one_piece_from_which_readers_take_without_a_copy(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path)
    assert written(spool, batches[:4]) == [(2, 13)]
    assert written(spool, batches[4:5]) == [(14, 16)]
    (piece, _) = spool.read("contract_data", after=0)
    begins = piece.rows["ledger_sequence"].buffers()[1].address
    (rest, _) = spool.read("contract_data", after=7)
    assert (rest.first, rest.last) == (8, 13)
    column = rest.rows["ledger_sequence"]
    assert column.offset == piece.rows.num_rows - rest.rows.num_rows > 0
    assert begins
    assert len(rest.rows["contract_id"].buffers()[2]) == len(piece.rows["contract_id"].buffers()[2])
    for after in range(15):
        assert rows(spool, after=after) == expected(batches[:5], after=after)


def test_a_piece_has_no_ledgers_on_both_sides_of_one_that_was_left_out(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path)
    spool.leave_out(sa.LedgerRange(5, 7))
    assert written(spool, [batches[0], *batches[2:4]]) == [(2, 4), (8, 13)]
    spool.close()
    again = opened(tmp_path)
    assert rows(again) == expected([batches[0], *batches[2:4]])
    assert (str(again.coverage()), str(again.kept)) == ("2:13", "2:4, 8:13")


def test_what_is_large_enough_is_written_before_the_commit_but_not_read(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "_PIECE_BYTES", 2 * sum(one.nbytes for one in batches[0].tables.values()))
    spool = opened(tmp_path)
    for batch in batches[:4]:
        spool.write(batch)
        assert not rows(spool)
    pieces = written(spool, [])
    assert len(pieces) > 1
    assert (pieces[0][0], pieces[-1][1]) == (2, 13)
    assert rows(spool) == expected(batches[:4])


def test_what_waits_for_a_commit_counts_as_written_and_is_gone_where_that_fails(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = bring(opened(tmp_path), batches[:1])
    before = spool.size_bytes
    for batch in (*batches[1:3], batches[1]):  # again: it is not written twice
        spool.write(batch)
    assert spool.size_bytes > before

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "writev", refuse)
        with pytest.raises(sa.SinkUnavailable, match="No space left"):
            spool.commit()
    assert (spool.size_bytes, str(spool.coverage())) == (before, "2:4")
    assert written(spool, batches[1:3]) == [(5, 10)]
    assert rows(spool) == expected(batches[:3])


def test_rows_are_stored_as_arrow_serializes_them_whatever_a_call_takes(
    tmp_path: Path, batches: list[sa.LedgerBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = batches[0].tables["contract_data"]
    writev, messages = os.writev, Messages()

    def a_little(file: int, parts: list[memoryview]) -> int:
        return os.write(file, b"".join(parts)[:777])

    others = batches[0].tables["ledgers"]
    for number, one in enumerate((held, held.slice(3, 5), no_rows(held.schema), others, held)):
        message = one.serialize()
        assert checksum_of(messages.parts_of(one)) == crc32(message)
        for name, call in (("whole", writev), ("in bits", a_little)):
            monkeypatch.setattr(os, "writev", call)
            path = tmp_path / f"{number} {name}"
            with path.open("wb", buffering=0) as file:
                assert write_parts(file, messages.parts_of(one)) == message.size
            assert path.read_bytes() == message.to_pybytes()
            assert pa.ipc.read_record_batch(pa.py_buffer(path.read_bytes()), one.schema).equals(one)
