"""What a sink must do over a long time, beside others: the test of every sink that users name inherits it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, pairwise
from typing import Any

import pytest

import stellarrow as sa
from sinks.contract import SinkContract
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic

_EVOLVING = "contract_events"
_NEW_COLUMN = "event_text"  # which releases before did not write
_SLACK = 1.25  # of the work of a quarter: rows are not alike


@dataclass
class Work:
    """How many calls a sink made to its place, and with how many bytes; threads may count at once."""

    calls: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int = 0) -> None:
        with self._lock:
            self.calls += 1
            self.bytes += size


@cache
def many_ledgers(count: int = 700) -> tuple[bytes, ...]:
    return tuple(islice(synthetic(20, first=100, ledger_bytes=4_096), count))


class LastingContract(SinkContract):
    """First writers at once, lost answers, others' upkeep, many commits, columns and versions that come."""

    period = 10  # commits after which work repeats itself: a file is full, a partition is

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> Any:
        """Open the sink, for other tables where they are named."""
        raise NotImplementedError

    def landing(self) -> tuple[Any, str]:
        """Return the method by which something becomes durable: its class and its name."""
        raise NotImplementedError

    def tend(self) -> None:
        """Do to the place what others do there between commits, and that loses no row."""
        raise NotImplementedError

    def count_work(self, work: Work) -> None:
        """Let every call that the sink makes to its place be counted from now on."""
        raise NotImplementedError

    def settle(self, sink: Any) -> None:
        """Wait for what the sink does after its commit has returned."""

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        """Leave a batch in the place as a release did that did not know one of its columns."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _patches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patches = monkeypatch

    def test_two_first_writers_at_once_leave_each_row_once(self) -> None:
        sinks = [self.open(), self.open()]
        for sink, ranges in zip(sinks, [((100, 107), (108, 119)), ((100, 111), (112, 119))], strict=True):
            for first, last in ranges:
                sink.write(self.batch(first, last))
        together(*(sink.commit for sink in sinks))
        for sink in sinks:
            sink.close()
        self.assert_holds("100:119")

    @pytest.mark.parametrize("which", [1, 2, 3, 4])
    def test_a_commit_that_landed_but_reported_failure_is_not_written_twice(self, which: int) -> None:
        sink = self.open()
        with self.patches.context() as patched:
            seen = self.lose_answer(patched, which)
            for ledger in range(100, 105):
                sink.write(self.batch(ledger, ledger))
                try:
                    sink.commit()
                except sa.SinkUnavailable:  # who brings ledgers begins again with what is not covered
                    sink.close()
                    sink = self.open()
                    for missing in range(100, ledger + 1):
                        if missing not in sink.coverage():
                            sink.write(self.batch(missing, missing))
                    sink.commit()
            assert seen() >= which, "nothing was lost"
        sink.close()
        self.keep((100, 109))
        self.assert_holds("100:109")

    def lose_answer(self, patched: pytest.MonkeyPatch, which: int) -> Callable[[], int]:
        """Let what lands as the n-th do so and report that it is not there; return how many landed."""
        kind, name = self.landing()
        does = getattr(kind, name)
        landed = 0

        def unreported(*given: Any, **named: Any) -> Any:
            nonlocal landed
            answer = does(*given, **named)
            landed += 1
            if landed == which:
                raise sa.SinkUnavailable("the answer was lost on its way, as the test wants it")
            return answer

        patched.setattr(kind, name, unreported)
        return lambda: landed

    def test_what_others_do_to_the_place_between_commits_changes_no_row(self) -> None:
        sink = self.open()
        for ledger in range(100, 125):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
            if ledger % 4 == 0:
                self.tend()
        sink.close()
        self.tend()
        self.keep((120, 129))
        self.assert_holds("100:129")

    def test_a_commit_takes_as_much_work_as_the_one_before(self) -> None:
        self.follow(quarter=self.period)

    @pytest.mark.slow
    def test_after_six_hundred_commits_a_commit_takes_as_much_work_as_before(self) -> None:
        self.follow(quarter=-(-150 // self.period) * self.period)

    def follow(self, *, quarter: int) -> None:
        self.ledgers, self.tables = many_ledgers(), ("ledgers",)  # one row each, all of one size
        _, second, _, last = self.spent(4, quarter)
        assert second[0] >= quarter, "the work is not counted"
        assert last[0] <= second[0] * _SLACK
        assert 0 < last[1] <= second[1] * _SLACK
        self.assert_holds(f"100:{99 + 4 * quarter}")

    def spent(self, spans: int, commits: int) -> list[tuple[int, int]]:
        """Commit ledger after ledger, and return how many calls and bytes so many commits took, each time."""
        work, spent = Work(), [(0, 0)]
        sink = self.open()
        self.count_work(work)
        for ledger in range(100, 100 + spans * commits):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
            if (ledger - 99) % commits == 0:
                self.settle(sink)
                spent.append((work.calls, work.bytes))
        sink.close()
        return [
            (calls - calls_before, size - size_before)
            for (calls_before, size_before), (calls, size) in pairwise(spent)
        ]

    def test_a_new_version_of_a_table_is_refused_where_another_is(self) -> None:
        self.tables = ("contract_data",)
        self.keep((100, 104))
        with pytest.raises((sa.SinkError, sa.ConfigError)):
            self.open(tables=("contract_data@1.0",)).coverage()
        self.assert_holds("100:104")

    def test_a_new_column_is_null_in_what_was_written_before_it_came(self) -> None:
        choices: dict[str, Any] = {"tables": (_EVOLVING,), "decoded": True}
        self.keep_as_before(_NEW_COLUMN, self.decoded(100, 104), **choices)
        sink = self.open(**choices)
        assert str(sink.coverage()) == "100:104"
        sink.write(self.decoded(105, 114))
        sink.commit()
        assert str(sink.coverage()) == "100:114"
        sink.close()
        due = self.decoded(100, 114).tables[_EVOLVING].to_pylist()
        assert any(row[_NEW_COLUMN] for row in due if row["ledger_sequence"] < 105)
        names = ("ledger_sequence", "transaction_index", "event_index", _NEW_COLUMN)
        wanted = [
            [None if name == _NEW_COLUMN and row["ledger_sequence"] < 105 else row[name] for name in names]
            for row in due
        ]
        found = [[row.get(name) for name in names] for row in self.rows_decoded(_EVOLVING)]
        assert sorted(found, key=str) == sorted(wanted, key=str)

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        """Return what is there of a table that was written with the columns made on request."""
        return self.rows(table)

    def decoded(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - 100 : last - 99], "record-marked")
        decoder = sa.Decoder((_EVOLVING,), network="synthetic", decoded=True)
        return decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory"))


class FlatContract(LastingContract):
    """Many commits into a place as it is by default; one test of some kinds of sinks inherits it."""

    slack = _SLACK

    def widen(self) -> None:
        """Let files hold a thousand ledgers, as they do by default."""

    @pytest.mark.slow
    def test_the_last_commits_into_a_file_of_a_thousand_ledgers_take_as_much_work_as_the_first(self) -> None:
        self.ledgers, self.tables = many_ledgers(880), ("ledgers",)
        self.widen()
        first, *_, last = self.spent(4, 220)
        print(f"calls and bytes of 220 commits: {first}, and of the last {last}")
        assert first[0] >= 220, "the work is not counted"
        assert last[0] <= first[0] * self.slack
        assert 0 < last[1] <= first[1] * self.slack
        self.assert_holds("100:979")


def without(column: str, batch: sa.LedgerBatch) -> sa.LedgerBatch:
    """Return a batch whose tables lack a column."""
    tables = {
        name: rows.drop_columns([column]) if column in rows.schema.names else rows
        for name, rows in batch.tables.items()
    }
    return sa.LedgerBatch(batch.first, batch.last, tables, batch.run)


def together(*works: Callable[[], None]) -> None:
    """Do all at once, each in a thread of its own; raise what went wrong."""
    barrier = threading.Barrier(len(works))
    failed: list[BaseException] = []

    def started(work: Callable[[], None]) -> None:
        try:
            barrier.wait(60)
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=started, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "they wait for each other"
    if failed:
        raise failed[0]


def count_methods(
    patches: pytest.MonkeyPatch, work: Work, kind: Any, sizes: Mapping[str, Callable[..., int] | None]
) -> None:
    """Count calls of a class's methods, each with the bytes that its function finds in what it is given."""
    for name, size in sizes.items():
        patches.setattr(kind, name, _counted(getattr(kind, name), work, size))


def _counted(does: Callable[..., Any], work: Work, size: Callable[..., int] | None) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        work.add(size(*given, **named) if size else 0)
        return does(*given, **named)

    return counted
