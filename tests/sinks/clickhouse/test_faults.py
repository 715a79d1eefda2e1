"""Writers, servers and connections that die: ClickHouse's own SQL judges what is left."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.clickhouse import ClickHouse, serve
from fakes.toxiproxy import Toxiproxy
from sinks.clickhouse.made import Reader
from sinks.kafka.test_faults import running, wait_for
from sinks.killing import kill_four_at_once
from stellarrow.core.framing import frame
from stellarrow.net.resilience import Policy
from stellarrow.sinks.clickhouse import ClickHouseSink
from stellarrow.sinks.clickhouse.commits import Commits
from stellarrow.sinks.clickhouse.rows import RowStore, within
from stellarrow.sinks.clickhouse.server import Server

TABLES = ("ledgers", "contract_data")
FIRST, LAST = 100, 139
_PATIENT = Policy(attempts=200, first_wait=0.05, longest_wait=0.5, failures_to_open=10_000)


@dataclass
class Database:
    """A database of a test's own, and what should be in it."""

    address: str
    reader: Reader
    ledgers: tuple[bytes, ...]
    name: str

    def url(self, address: str = "") -> str:
        return f"clickhouse://{address or self.address}/{self.name}"

    def batch(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - FIRST : last - FIRST + 1], "record-marked")
        chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
        return sa.Decoder(TABLES, network="synthetic")(chunk)

    def bring(self, address: str = "", ledgers: range = range(FIRST, LAST + 1), step: int = 1) -> None:
        """Bring ledgers a few at a time, as patiently as a service."""
        with closing(ClickHouseSink(self.url(address), TABLES, network="synthetic", policy=_PATIENT)) as sink:
            for ledger in ledgers[::step]:
                sink.write(self.batch(ledger, min(ledger + step - 1, ledgers[-1])))
                sink.commit()

    def covered(self) -> sa.LedgerSet:
        with closing(ClickHouseSink(self.url(), TABLES, network="synthetic", policy=_PATIENT)) as sink:
            return sink.coverage()

    def rows(self, table: str) -> Counter[int]:
        """Count the rows that a reader of the view sees, by ledger."""
        found = self.reader.ask(
            f"SELECT ledger_sequence AS ledger, count() AS rows FROM {self.name}.{table} GROUP BY ledger"
        )
        return Counter({row["ledger"]: row["rows"] for row in found})

    def torn(self) -> int:
        """Return how many rows there are that no view shows."""
        counts = (
            f"(SELECT count() FROM {self.name}.{table}_rows) - (SELECT count() FROM {self.name}.{table})"
            for table in TABLES
        )
        return int(self.reader.ask(f"SELECT toInt64({' + '.join(counts)}) AS torn")[0]["torn"])

    def is_made(self) -> bool:
        return {*TABLES} <= {
            row["name"]
            for row in self.reader.ask(f"SELECT name FROM system.tables WHERE database = '{self.name}'")
        }

    def assert_right(self) -> None:
        """Check that each ledger that is covered is there once, and no other."""
        covered = self.covered()
        for table in TABLES:
            due = Counter(
                row["ledger_sequence"]
                for part in covered
                for row in self.batch(part.first, part.end).tables[table].to_pylist()
            )
            assert self.rows(table) == due

    def has_more_than(self, ledgers: int) -> bool:
        return self.is_made() and self.rows("ledgers").total() > ledgers


def kill_four_writers(database: Database, forks: subprocess.Popen[str], times: int) -> tuple[int, int]:
    """Kill four writers of the same ledgers at once, again and again.

    Return how many died within a commit, and after how many rounds there were rows that no commit named.
    """
    dice = random.Random(times)  # noqa: S311
    inside = torn = 0
    for _ in range(times):
        database = replace(database, name=f"test_{token_hex(4)}")
        database.bring(ledgers=range(FIRST, FIRST + 1))  # tables are made
        opening = (
            "from sinks.clickhouse.stepping import stepping_server\n"
            "from stellarrow.sinks.clickhouse import ClickHouseSink\n"
            f"server = stepping_server({database.url()!r}, step, by_rows=True)\n"
            f"sink = ClickHouseSink(server, {TABLES!r}, network='synthetic')"
        )
        inside += kill_four_at_once(forks, dice, opening, TABLES, range(FIRST, LAST + 1))
        database.assert_right()
        torn += database.torn() > 0
        database.bring(step=10)
        assert str(database.covered()) == f"{FIRST}:{LAST}"
        database.assert_right()
        ClickHouseSink.compact(database.url(), 1)
        assert database.torn() == 0, "what dead writers left was not removed"
        database.assert_right()
        database.reader.do(f"DROP DATABASE {database.name}")
    return inside, torn


def test_four_writers_killed_at_once_leave_each_ledger_once(
    database: Database, forks: subprocess.Popen[str]
) -> None:
    inside, _ = kill_four_writers(database, forks, 2)
    assert inside >= 2


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once(
    database: Database, forks: subprocess.Popen[str]
) -> None:
    inside, torn = kill_four_writers(database, forks, 50)
    print(f"{inside} writers died within a commit; rows that no commit names lay there {torn} times")
    assert torn > 0, "none was killed between its rows and its commit"


def test_no_reader_sees_rows_before_they_are_committed_and_what_died_is_removed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.bring(ledgers=range(100, 102))

    def dies(*_: Any) -> bool:
        raise sa.SinkError("it died here, as the test wants it")

    with monkeypatch.context() as patched:
        patched.setattr(Commits, "enter", dies)
        with closing(ClickHouseSink(database.url(), TABLES, network="synthetic")) as sink:
            sink.write(database.batch(102, 109))
            with pytest.raises(sa.SinkError, match="it died here"):
                sink.commit()
    assert database.torn() > 0
    assert str(database.covered()) == "100:101"
    database.assert_right()
    database.bring(ledgers=range(102, 105))
    database.bring(ledgers=range(105, 110), step=10)
    assert (database.torn(), str(database.covered())) == (0, "100:109")
    database.assert_right()


def test_rows_that_a_server_lost_are_written_again_before_they_count(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, lost = Server.insert, 2

    def loses(server: Server, into: str, rows: pa.Table) -> None:
        nonlocal lost
        lost -= 1
        insert(server, into, rows.slice(1) if lost >= 0 else rows)

    monkeypatch.setattr(Server, "insert", loses)
    database.bring(ledgers=range(100, 103))
    assert str(database.covered()) == "100:102"
    database.assert_right()
    assert database.torn() == 0


def test_a_condition_of_very_many_ranges_is_of_these_ledgers_and_no_other(reader: Reader) -> None:
    ledgers = sa.LedgerSet.of(range(1_000, 5_000, 2))  # as many as a commit has at most
    found = reader.ask(
        f"SELECT count() AS n, sum(ledger_sequence % 2) AS odd FROM (SELECT toUInt32(number) AS"
        f" ledger_sequence FROM numbers(6000)) WHERE {within(ledgers)}"
    )
    assert (found[0]["n"], found[0]["odd"]) == (2_000, 0)


def test_rows_of_a_writer_that_came_second_and_died_go_by_compaction_and_those_of_a_living_one_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> bool:
        raise sa.SinkError("it died here, as the test wants it")

    database.bring(ledgers=range(100, 101))
    with monkeypatch.context() as patched:
        patched.setattr(Commits, "enter", dies)
        for first, last in ((105, 114), (115, 119)):
            with closing(ClickHouseSink(database.url(), TABLES, network="synthetic")) as sink:
                sink.write(database.batch(first, last))
                with pytest.raises(sa.SinkError, match="it died here"):
                    sink.commit()
        patched.undo()
        patched.setattr(RowStore, "remove", lambda *_: None)
        database.bring(ledgers=range(101, 110), step=10)
    before = database.torn()
    rows = ClickHouseSink.compact(database.url(), 1)
    assert 0 < rows < before
    assert database.torn() == sum(database.batch(115, 119).tables[table].num_rows for table in TABLES), (
        "the living one's rows"
    )
    database.assert_right()


def test_a_number_that_a_server_gave_away_before_it_died_is_left_out(database: Database) -> None:
    database.bring(ledgers=range(100, 101))
    entries = f"{database.name}.stellarrow_commits"
    for number in (2, 3):
        database.reader.do(
            f"INSERT INTO {entries} SETTINGS insert_deduplication_token = '{number}' SELECT * FROM {entries}"
            " LIMIT 1"
        )
    database.reader.do(f"ALTER TABLE {entries} DELETE WHERE seq = 1 SETTINGS mutations_sync = 2")
    assert not database.covered()
    database.bring(ledgers=range(100, 104))
    assert str(database.covered()) == "100:103"
    database.assert_right()


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(
    ledgers: tuple[bytes, ...], tmp_path: Path
) -> None:
    process = serve(tmp_path)
    try:
        server = ClickHouse(process, process.port, 0, tmp_path)
        database = Database(server.address, Reader(server), ledgers, "killed")
        database.bring(ledgers=range(FIRST, FIRST + 3))
        done = running(database.bring)
        for _ in range(2):
            wait_for(partial(database.has_more_than, min(database.rows("ledgers").total(), LAST - FIRST)))
            process.kill()
            process.start()
        done()
        assert str(database.covered()) == f"{FIRST}:{LAST}"
        database.assert_right()
    finally:
        process.kill()


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(
    database: Database, clickhouse: ClickHouse, toxiproxy: Toxiproxy
) -> None:
    way, stop = toxiproxy.proxy(f"clickhouse-{database.name}", clickhouse.address), threading.Event()

    def cut() -> None:
        dice = random.Random(7)  # noqa: S311
        while not stop.wait(dice.uniform(0.3, 1.5)):
            way.disable()
            stop.wait(dice.uniform(0.0, 0.2))
            way.enable()

    done = running(cut)
    try:
        database.bring(way.address)
    finally:
        stop.set()
        done()
        way.delete()
    assert str(database.covered()) == f"{FIRST}:{LAST}"
    database.assert_right()
