"""What every sink must do; a sink's test inherits it and says how to open one."""

from __future__ import annotations

from typing import Any

import pytest

import stellarrow as sa
from stellarrow.core.framing import frame


class SinkContract:
    """Promises of `stellarrow.protocols.Sink`, tried with ledgers 100 to 139."""

    tables: tuple[str, ...] = ("ledgers", "contract_data")

    def open(self) -> Any:
        """Open the sink; every call of one test opens the same place."""
        raise NotImplementedError

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what is durably there, in the order of the table's key."""
        raise NotImplementedError

    def everything(self) -> Any:
        """Return all that is in the place, bookkeeping included, in a form that can be compared."""
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

    def assert_holds(self, ledgers: str) -> None:
        """Check that coverage is exactly this, and the rows are those of it, once."""
        sink = self.open()
        covered = sink.coverage()
        sink.close()
        assert str(covered) == ledgers
        for table in self.tables:
            due = [row for part in covered for row in self.expected(table, part.first, part.end)]
            assert self.rows(table) == due

    def assert_holds_what_it_covers(self) -> None:
        """Check that a range is covered and whole in every table, or counts in none that covers it."""
        sink = self.open()
        covered = sink.coverage()
        sink.close()
        for table in self.tables:
            found = [row for row in self.rows(table) if row["ledger_sequence"] in covered]
            assert found == [row for part in covered for row in self.expected(table, part.first, part.end)]

    def test_it_is_a_sink(self) -> None:
        sink = self.open()
        assert isinstance(sink, sa.Sink)
        sink.close()

    def test_a_new_place_covers_nothing(self) -> None:
        sink = self.open()
        assert not sink.coverage()
        sink.close()

    def test_opening_and_asking_for_coverage_makes_nothing_in_a_new_place(self) -> None:
        before = self.everything()
        sink = self.open()
        assert self.everything() == before
        assert not sink.coverage()
        sink.close()
        assert self.everything() == before

    def test_opening_and_asking_for_coverage_changes_nothing_of_what_is_there(self) -> None:
        self.keep((100, 104), (110, 114))
        before = self.everything()
        sink = self.open()
        assert str(sink.coverage()) == "100:104, 110:114"
        sink.close()
        assert self.everything() == before

    def test_what_is_committed_is_there_and_covered(self) -> None:
        self.keep((100, 109), (110, 119))
        self.assert_holds("100:119")

    def test_what_is_not_committed_is_there_whole_or_not_at_all(self) -> None:
        self.keep((100, 114), commit=False)
        self.assert_holds_what_it_covers()

    def test_the_same_ledgers_twice_leave_the_same_rows(self) -> None:
        self.keep((100, 109))
        self.keep((100, 109))
        self.keep((105, 114), (105, 114))
        self.assert_holds("100:114")

    def test_later_ranges_fill_what_is_missing(self) -> None:
        self.keep((105, 109))
        self.keep((120, 124))
        self.keep((100, 139))
        self.assert_holds("100:139")

    def test_a_gap_stays_a_gap(self) -> None:
        self.keep((100, 104), (110, 114))
        self.assert_holds("100:104, 110:114")

    def test_a_sink_that_follows_keeps_each_ledger_as_it_comes(self) -> None:
        sink = self.open()
        for ledger in range(103, 128):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
            assert str(sink.coverage()) == str(sa.LedgerRange(103, ledger))
        sink.close()
        self.assert_holds("103:127")

    def test_coverage_counts_nothing_before_the_commit_that_a_crash_would_lose(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 104))
        answer = sink.coverage()
        sink.close()
        assert answer - self.open().coverage() == sa.LedgerSet()

    def test_closing_twice_is_harmless(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 104))
        sink.close()
        sink.close()
