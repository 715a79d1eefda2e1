from __future__ import annotations

import os
import time
from pathlib import Path
from shutil import copytree, rmtree

import pytest

import stellarrow as sa
from lifecycle.aged import DAY, TABLES, Aged
from sinks.stepping import Died, Stepping, dying_at
from stellarrow.errors import SchemaMismatch
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle.plan import ARCHIVE, DELETE, DELETE_ARCHIVED, Step
from stellarrow.lifecycle.policies import Policy
from stellarrow.records.in_folder import FolderRecords
from stellarrow.records.lease import Lease, LeaseLost
from stellarrow.sinks.files.layout import superseded
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import format_of, listings
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.local_files import LocalFiles


@pytest.fixture
def aged(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    return Aged(tmp_path, ledgers)


MAKES = {
    "parquet": {},
    "folders": {"partition": "contract_id"},
    "jsonl": {"format": "jsonl"},
    "csv": {"format": "csv"},
}


@pytest.fixture(params=MAKES)
def any_aged(request: pytest.FixtureRequest, tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    return Aged(tmp_path, ledgers, **MAKES[request.param])


def actions(steps: list[Step]) -> list[tuple[str, str, str]]:
    return [(step.action, step.table, str(step.ledgers)) for step in steps]


def test_what_is_old_enough_is_archived_by_when_its_ledgers_closed(any_aged: Aged) -> None:
    any_aged.days = 10
    report = any_aged.run()
    assert report.problems == []
    assert actions(report.done) == [
        (ARCHIVE, table, ledgers) for table in sorted(TABLES) for ledgers in ("100:109", "110:119")
    ]
    assert any_aged.here() == "120:139"
    assert str(any_aged.listing(any_aged.old).ranges()) == "100:119"
    assert any_aged.covered() == "100:139"
    assert any_aged.faults() == []
    assert any_aged.rows() == any_aged.expected()


def test_a_second_earlier_nothing_of_the_last_range_is_due(aged: Aged) -> None:
    aged.days = 10 - 1 / DAY
    assert {str(step.ledgers) for step in aged.run().done} == {"100:109"}


def test_the_times_of_files_mean_nothing(aged: Aged) -> None:
    for path in aged.place.rglob("*.parquet"):
        os.utime(path, (0, 0))
    aged.days = 5
    assert aged.run().done == []


def test_a_second_run_finds_nothing_to_do(any_aged: Aged) -> None:
    any_aged.days = 10
    any_aged.run()
    before = {path: path.read_bytes() for path in any_aged.folder.rglob("*") if path.is_file()}
    assert any_aged.run().done == []
    assert {path: path.read_bytes() for path in any_aged.folder.rglob("*") if path.is_file()} == before


def test_what_is_archived_long_enough_is_deleted_there_and_covered_still(any_aged: Aged) -> None:
    any_aged.days = 10
    any_aged.run()
    any_aged.days = 20
    report = any_aged.run()
    assert report.problems == []
    assert {step.action for step in report.done} == {ARCHIVE, DELETE_ARCHIVED}
    assert listings(LocalFiles(any_aged.old)) != []  # 120:139 came meanwhile
    assert str(any_aged.listing(any_aged.old).ranges()) == "120:139"
    assert any_aged.covered() == "100:139"
    departed = Listing(LocalFiles(any_aged.place), any_aged.listing(any_aged.old).shape).departed()
    assert (str(sa.LedgerSet(departed.archived)), str(sa.LedgerSet(departed.deleted))) == (
        "120:139",
        "100:119",
    )
    assert [str(one) for one in departed.deleted] == ["100:119"]  # one record of two
    assert any_aged.faults() == []


def test_a_policy_that_only_deletes_needs_no_archive(any_aged: Aged) -> None:
    any_aged.policy = Policy(delete=10 * DAY)
    any_aged.days = 10
    report = any_aged.run(archive=None)
    assert {step.action for step in report.done} == {DELETE}
    assert any_aged.here() == "120:139"
    assert any_aged.covered() == "100:139"
    assert any_aged.faults() == []


def test_without_an_archive_what_must_be_archived_stays_and_is_told(aged: Aged) -> None:
    aged.days = 100
    report = aged.run(archive=None)
    assert report.done == []
    assert "--archive" in report.problems[0]
    assert aged.here() == "100:139"


def test_keep_keeps(aged: Aged) -> None:
    aged.policy = Policy()
    aged.days = 10_000
    assert aged.run().done == []


def test_what_left_is_not_written_again(any_aged: Aged) -> None:
    any_aged.days = 10
    any_aged.run()
    sink = any_aged.sink()
    sink.write(any_aged.batch)
    sink.commit()
    sink.close()
    assert any_aged.here() == "120:139"


def test_a_table_of_which_all_files_left_refuses_other_facts_and_is_covered(aged: Aged) -> None:
    aged.policy = Policy(delete=DAY)
    aged.days = 5
    aged.run(archive=None)
    assert listings(LocalFiles(aged.place)) == []
    assert aged.covered() == "100:139"
    other = FileSink(LocalFiles(aged.place), TABLES, format=format_of("parquet"), network="testnet")
    with pytest.raises(SchemaMismatch, match="network"):
        other.coverage()
    other.close()


def test_an_older_reader_sees_no_damage(aged: Aged) -> None:
    """It lists the tables' own folders alone, and the manifest names nothing that is not there."""
    aged.days = 10
    aged.run()
    for table in TABLES:
        names = {path.stem for path in (aged.place / table).glob("*.parquet")}
        entries = {path.stem for path in (aged.place / table / "_manifest").iterdir()}
        assert names == entries
        assert {path.name for path in (aged.place / table).iterdir() if path.is_dir()} == {"_manifest"}


@pytest.mark.parametrize("make", ["parquet", "folders"])
@pytest.mark.parametrize("days", [10, 20])
def test_a_run_that_dies_at_any_step_loses_nothing_and_the_next_continues(
    tmp_path: Path, ledgers: tuple[bytes, ...], make: str, days: int
) -> None:
    aged = Aged(tmp_path, ledgers, tables=("contract_data",), last=119, **MAKES[make])
    aged.days = 10
    if days == 20:
        aged.run()
    aged.days = days
    begin = tmp_path / "begin"
    copied(tmp_path, begin)
    for step in range(1, 400):
        is_dead = died(aged, step)
        assert aged.covered() == "100:119"
        if is_dead:
            assert days == 20 or aged.rows() == aged.expected()
            assert aged.run().problems == []
        assert aged.run().done == []
        assert aged.covered() == "100:119"
        assert aged.faults() == []
        assert listings(LocalFiles(aged.place)) == []
        assert days == 20 or aged.rows() == aged.expected()
        assert days == 10 or listings(LocalFiles(aged.old)) == []
        if not is_dead:
            break
        copied(begin, tmp_path)
    assert step > 10


@pytest.mark.parametrize("make", ["parquet", "folders"])
@pytest.mark.parametrize("has_archive", [True, False], ids=["archive", "delete"])
def test_a_run_that_dies_at_any_step_lets_nothing_come_back_that_was_merged(
    tmp_path: Path, ledgers: tuple[bytes, ...], make: str, has_archive: bool
) -> None:
    aged = Aged(tmp_path, ledgers, tables=("contract_data",), last=119, **MAKES[make])
    aged.days, aged.policy = 10, aged.policy if has_archive else Policy(delete=10 * DAY)
    aged.merge()
    begin = tmp_path / "begin"
    copied(tmp_path, begin)
    for step in range(1, 400):
        is_dead = died(aged, step)
        assert aged.covered() == "100:119"
        for listing in listings(LocalFiles(aged.place)):
            assert set(listing.parts()) - superseded(listing.parts()) <= {LedgerRange(100, 119)}
        if is_dead:
            assert aged.run().problems == []
        assert aged.run().done == []
        assert aged.covered() == "100:119"
        assert aged.faults() == []
        assert listings(LocalFiles(aged.place)) == []
        assert not [*aged.place.rglob("*.parquet")]
        assert not has_archive or aged.rows() == aged.expected()
        if not is_dead:
            break
        copied(begin, tmp_path)
    assert step > 10


def copied(source: Path, target: Path) -> None:
    """Let a place and its archive be what they are elsewhere."""
    for name in ("place", "old"):
        rmtree(target / name, ignore_errors=True)
        if (source / name).exists():
            copytree(source / name, target / name)


def died(aged: Aged, step: int) -> bool:
    """Run and die before a step; tell whether it came to that."""
    due = dying_at(step)
    try:
        aged.run(store=Stepping(LocalFiles(aged.place), due), old=Stepping(LocalFiles(aged.old), due))
    except Died:
        return True
    return False


def test_a_run_that_lost_its_lease_while_it_was_paused_takes_no_further_step(aged: Aged) -> None:
    aged.days = 10
    records = FolderRecords(aged.folder / "shared")
    paused, next_one = (Lease(records, "place", seconds=0.01) for _ in range(2))
    paused.take(stopped=lambda _: False)
    confirmed: list[str] = []

    def waited(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def confirm(note: str) -> None:
        """Be paused before the second write, until another one has taken over."""
        if confirmed:
            next_one.take(stopped=waited)
        paused.write(note)
        confirmed.append(note)

    with pytest.raises(LeaseLost, match="another process has taken over"):
        aged.lifecycle(confirm=confirm).run()
    assert confirmed == ["archived contract_data 100:109"]
    assert aged.covered() == "100:139"
    next_one.write("mine")
    report = aged.lifecycle(confirm=next_one.write).run()
    assert report.problems == []
    assert aged.here() == "120:139"
    assert aged.rows() == aged.expected()
    assert aged.faults() == []
