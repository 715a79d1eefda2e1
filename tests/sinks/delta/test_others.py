"""Writers that die, programs of others that tidy up: deltalake and DuckDB judge what is left."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.lakehouse import DeltaJudges
from sinks.delta.made import plain_files, plain_rows
from sinks.delta.opening import options
from sinks.killing import kill_four_at_once
from sinks.typed_tables import MOVED, all_kinds, of_ledger, write
from stellarrow.core.framing import frame
from stellarrow.core.typed import Knowledge
from stellarrow.sinks.delta import DeltaSink
from typed_specs import CONTRACT, event_of, interface

TABLES = ("ledgers", "contract_data")
READERS = ("deltalake", "duckdb")
FIRST, LAST = 100, 139


def batch(ledgers: tuple[bytes, ...], first: int, last: int) -> sa.LedgerBatch:
    data = frame(ledgers[first - FIRST : last - FIRST + 1], "record-marked")
    chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
    return sa.Decoder(TABLES, network="synthetic")(chunk)


def opened(folder: Path) -> DeltaSink:
    return DeltaSink(str(folder), TABLES, options=options(), ledgers_per_file=10)


def bring(folder: Path, ledgers: tuple[bytes, ...], numbers: range = range(FIRST, LAST + 1)) -> None:
    sink = opened(folder)
    for ledger in numbers:
        sink.write(batch(ledgers, ledger, ledger))
        sink.commit()
    sink.close()


def covered(folder: Path) -> sa.LedgerSet:
    sink = opened(folder)
    found = sink.coverage()
    sink.close()
    return found


def due(ledgers: tuple[bytes, ...], table: str, held: sa.LedgerSet) -> dict[int, int]:
    return dict(
        Counter(
            row["ledger_sequence"]
            for part in held
            for row in batch(ledgers, part.first, part.end).tables[table].to_pylist()
        )
    )


def assert_right(judges: DeltaJudges | None, folder: Path, ledgers: tuple[bytes, ...], held: str) -> None:
    """Check that each reader sees the rows of each ledger that is covered once, and no other."""
    assert str(covered(folder)) == held
    for table in TABLES:
        wanted = due(ledgers, table, sa.LedgerSet.parse(held))
        assert dict(Counter(row["ledger_sequence"] for row in plain_rows(folder / table))) == wanted
        for reader in READERS if judges else ():
            assert judges is not None
            assert judges.rows(reader, folder / table) == wanted, reader


@dataclass(frozen=True, slots=True)
class Left:
    """What dead writers left: how many died in a commit, commits, and files that no commit names."""

    inside: int
    commits: int
    torn: int


def kill_four_writers(
    folder: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str], times: int
) -> Left:
    """Kill four writers of the same ledgers at once, again and again; return what they left behind them."""
    dice = random.Random(times)  # noqa: S311
    inside = commits = torn = 0
    for at in range(times):
        place = folder / f"kill-{at}"
        opening = (
            "from sinks.delta.opening import options\n"
            "from sinks.stepping import Stepping\n"
            "from stellarrow.sinks.delta import DeltaSink\n"
            "from stellarrow.storage.local_files import LocalFiles\n"
            f"store = Stepping(LocalFiles({str(place)!r}), step)\n"
            f"sink = DeltaSink(store, {TABLES!r}, options=options(), ledgers_per_file=10)"
        )
        inside += kill_four_at_once(forks, dice, opening, TABLES, range(FIRST, LAST + 1))
        for table in TABLES if place.exists() else ():
            log = place / table / "_delta_log"
            commits += len([*log.glob("*.json")])
            torn += len([*(place / table).glob("part-*")]) - len(plain_files(place / table))
        assert_judged_between(place, ledgers)
        bring(place, ledgers)
    return Left(inside, commits, torn)


def assert_judged_between(place: Path, ledgers: tuple[bytes, ...]) -> None:
    """Check that what was covered when all died has its rows in both tables, once."""
    for ledger, rows in Counter(
        row["ledger_sequence"] for row in plain_rows(place / "ledgers") if place.exists()
    ).items():
        assert rows == 1, ledger
    held = covered(place)
    for table in TABLES if held else ():
        found = Counter(row["ledger_sequence"] for row in plain_rows(place / table))
        wanted = due(ledgers, table, held)
        assert {ledger: rows for ledger, rows in found.items() if ledger in held} == wanted


def test_four_writers_killed_at_once_leave_each_ledger_once(
    tmp_path: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    assert kill_four_writers(tmp_path, ledgers, forks, 2).inside >= 2
    for place in tmp_path.iterdir():
        assert_right(None, place, ledgers, f"{FIRST}:{LAST}")


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once_for_both_readers(
    delta_judges: DeltaJudges, tmp_path: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    left = kill_four_writers(tmp_path, ledgers, forks, 50)
    print(
        f"{left.inside} writers died within a commit; {left.commits} commits were there, {left.torn} files"
        " that no commit named"
    )
    assert left.torn > 0, "none was killed between its file and its commit"
    for place in tmp_path.iterdir():
        assert_right(delta_judges, place, ledgers, f"{FIRST}:{LAST}")


def test_both_readers_see_each_ledger_once(
    delta_judges: DeltaJudges, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    bring(tmp_path / "out", ledgers)
    assert_right(delta_judges, tmp_path / "out", ledgers, f"{FIRST}:{LAST}")


@pytest.mark.slow
def test_what_other_programs_do_between_commits_changes_neither_rows_nor_coverage(
    delta_judges: DeltaJudges, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    folder = tmp_path / "out"
    bring(folder, ledgers, range(100, 107))
    sink = opened(folder)  # which has read the log before others change it
    assert str(sink.coverage()) == "100:106"
    for at, asked in enumerate(("compact", "checkpoint", "z-order", "vacuum", "checkpoint", "compact"), 107):
        for table in TABLES:
            delta_judges.ask("deltalake", folder / table, asked)
        sink.write(batch(ledgers, at, at))
        sink.commit()
        assert_right_by_readers(delta_judges, folder, ledgers, f"100:{at}")
    sink.close()
    bring(folder, ledgers)
    assert_right_by_readers(delta_judges, folder, ledgers, f"{FIRST}:{LAST}")


def assert_right_by_readers(judges: DeltaJudges, folder: Path, ledgers: tuple[bytes, ...], held: str) -> None:
    """Check as `assert_right` does, where the log's first commits may be gone, and by our own reading too."""
    assert str(covered(folder)) == held
    for table in TABLES:
        wanted = due(ledgers, table, sa.LedgerSet.parse(held))
        for reader in READERS:
            assert judges.rows(reader, folder / table) == wanted, reader
        found = sa.scan(f"delta:{folder}", table=table, columns=["ledger_sequence"]).to_table()
        assert dict(Counter(found["ledger_sequence"].to_pylist())) == wanted


def test_the_log_tells_readers_which_files_to_pass_over(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    bring(tmp_path / "out", ledgers)
    table = tmp_path / "out" / "contract_data"
    named = {*plain_files(table)}
    for commit in (table / "_delta_log").glob("*.json"):
        for line in commit.read_text().splitlines():
            added = json.loads(line).get("add")
            if added and added["path"] in named:
                stats = json.loads(added["stats"])
                first, last = (int(one) for one in added["path"].split("-")[1:3])
                assert first <= stats["minValues"]["ledger_sequence"]
                assert stats["maxValues"]["ledger_sequence"] <= last
                assert stats["minValues"]["contract_id"] <= stats["maxValues"]["contract_id"]
                assert stats["minValues"]["closed_at"].endswith(".000Z")
                named.discard(added["path"])
    assert not named


def test_others_read_contracts_own_tables_with_the_columns_that_came_later(
    delta_judges: DeltaJudges, tmp_path: Path
) -> None:
    kinds, values = all_kinds()
    for ledger, count in ((1, 3), (2, len(kinds))):
        known = Knowledge([MOVED], {CONTRACT: interface([*kinds[:count]], 0)})
        tables = known.tables()
        rows = tables.rows(CONTRACT, events=[event_of([*one[:count]], 0) for one in values])[MOVED]
        write(f"delta:{tmp_path}", {MOVED: of_ledger(rows, ledger)}, ledger)
    table = tmp_path / "typed" / CONTRACT / "events" / "Moved"
    for reader in READERS:
        assert delta_judges.rows(reader, table) == dict.fromkeys((1, 2), len(values))
    last = f"p{len(kinds) - 2}"
    asked = f"select ledger_sequence, count(p0), count({last}) from {{table}} group by 1 order by 1"
    counted = [len(values)] * 2
    assert delta_judges.ask("duckdb", table, asked) == [[1, counted[0], 0], [2, *counted]]
