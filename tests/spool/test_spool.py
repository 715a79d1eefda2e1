"""The spool as a sink, and what its readers get."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.contract import SinkContract
from stellarrow.spool.spool import Spool

from .conftest import Opener, bring, expected, rows


class TestSpool(SinkContract):
    """The spool as a sink."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "spool"

    def open(self) -> Spool:
        return Spool(self.folder, self.tables, network="synthetic", segment_bytes=20_000)

    def everything(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def test_opening_and_asking_for_coverage_makes_nothing_in_a_new_place(self) -> None:
        """A spool is no place of the user's: its session makes it, and says at once whose it is."""
        self.open().close()
        assert all(name.startswith("spool") for name in self.everything()), self.everything().keys()

    def rows(self, table: str) -> list[dict[str, Any]]:
        return rows(self.open(), table)


def test_a_reader_begins_behind_any_ledger(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    for after in (0, 2, 3, 31, 60, 61):
        assert rows(spool, after=after) == expected(batches, after=after)


def test_pieces_say_which_ledgers_they_hold_also_where_they_have_no_row(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    pieces = list(bring(opened(tmp_path), batches).read("contract_data", after=5))
    assert sa.LedgerSet(sa.LedgerRange(one.first, one.last) for one in pieces) == sa.LedgerSet.parse("6:61")
    assert all(two.first == one.last + 1 for one, two in pairwise(pieces))


def test_its_files_are_arrow_streams_that_anyone_reads(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    bring(opened(tmp_path), batches).close()
    read = [
        row
        for path in sorted(tmp_path.glob("*/contract_data.arrows"))
        for row in pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()
    ]
    assert read == expected(batches)


def test_what_is_not_committed_is_not_read(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path)
    spool.write(batches[0])
    assert rows(spool) == []
    spool.commit()
    assert rows(spool) == expected(batches[:1])


def test_reading_leaves_no_file_open_and_rows_outlive_their_file(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    before = len(os.listdir("/proc/self/fd"))
    held = list(spool.read("contract_data", after=0))
    assert len(os.listdir("/proc/self/fd")) == before
    spool.close()
    shutil.rmtree(tmp_path)
    assert [row for piece in held for row in piece.rows.to_pylist()] == expected(batches)


def test_what_was_left_out_is_never_asked_for_again_nor_read(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches[:2])
    spool.leave_out(sa.LedgerRange(8, 10))
    bring(spool, batches[3:4])
    spool.close()
    again = bring(opened(tmp_path), batches[2:4])
    assert (str(again.coverage()), str(again.left_out)) == ("2:13", "8:10")
    pieces = [(piece.first, piece.last) for piece in again.read("ledgers", after=0)]
    assert pieces == [(2, 4), (5, 7), (11, 13)]
    assert str(again.kept) == "2:7, 11:13"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["0000000002"]
