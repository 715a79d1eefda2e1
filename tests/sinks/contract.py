"""What every sink must do; a sink's test inherits it and says how to open one."""

from __future__ import annotations

from typing import Any

import pytest

import stellarrow as sa
from stellarrow.decode import frame


class SinkContract:
    """Promises of `stellarrow.protocols.Sink`, tried with ledgers 100 to 139."""

    tables = ("ledgers", "contract_data")

    def open(self) -> Any:
        """Open the sink; every call of one test opens the same place."""
        raise NotImplementedError

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what is durably there, in the order of the table's key."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _ledgers(self, ledgers: tuple[bytes, ...]) -> None:
        self.ledgers = ledgers

    def batch(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - 100 : last - 99], "record-marked")
        decoder = sa.Decoder(self.tables, network="synthetic")
        return decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory"))

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.batch(first, last).tables[table].to_pylist()
        return rows

    def keep(self, *ranges: tuple[int, int], commit: bool = True) -> None:
        sink = self.open()
        for first, last in ranges:
            sink.write(self.batch(first, last))
        if commit:
            sink.commit()
        sink.close()

    def test_it_is_a_sink(self) -> None:
        sink = self.open()
        assert isinstance(sink, sa.Sink)
        sink.close()

    def test_a_new_place_covers_nothing(self) -> None:
        sink = self.open()
        assert not sink.coverage()
        sink.close()

    def test_what_is_committed_is_there_and_covered(self) -> None:
        self.keep((100, 109), (110, 119))
        assert str(self.open().coverage()) == "100:119"
        for table in self.tables:
            assert self.rows(table) == self.expected(table, 100, 119)

    def test_what_is_not_committed_is_there_whole_or_not_at_all(self) -> None:
        self.keep((100, 109), commit=False)
        covered = self.open().coverage()
        for table in self.tables:
            numbers = {row["ledger_sequence"] for row in self.rows(table)}
            assert sa.LedgerSet.of(numbers) - covered == sa.LedgerSet() or not covered

    def test_the_same_ledgers_twice_leave_the_same_rows(self) -> None:
        self.keep((100, 109))
        self.keep((100, 109))
        self.keep((105, 114), (105, 114))
        assert str(self.open().coverage()) == "100:114"
        for table in self.tables:
            assert self.rows(table) == self.expected(table, 100, 114)

    def test_later_ranges_fill_what_is_missing(self) -> None:
        self.keep((105, 109))
        self.keep((120, 124))
        self.keep((100, 139))
        assert str(self.open().coverage()) == "100:139"
        for table in self.tables:
            assert self.rows(table) == self.expected(table, 100, 139)

    def test_a_gap_stays_a_gap(self) -> None:
        self.keep((100, 104), (110, 114))
        assert str(self.open().coverage()) == "100:104, 110:114"

    def test_coverage_counts_nothing_before_the_commit_that_a_crash_would_lose(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 104))
        told = sink.coverage()
        sink.close()
        assert told - self.open().coverage() == sa.LedgerSet()

    def test_closing_twice_is_harmless(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 104))
        sink.close()
        sink.close()
