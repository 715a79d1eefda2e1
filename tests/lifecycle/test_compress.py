"""Cold Parquet is merged and compressed anew: no row changes, whoever dies or reads meanwhile."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, rmtree

import pytest

from lifecycle.aged import DAY, Aged
from lifecycle.test_hindered import full_after
from lifecycle.test_lifecycle import actions
from sinks.stepping import Died, Stepping, dying_at
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle import compressing
from stellarrow.lifecycle.plan import ARCHIVE, COMPRESS
from stellarrow.lifecycle.policies import Policy
from stellarrow.lifecycle.status import status_of
from stellarrow.sinks.files.departed import COMPRESSED, record_path
from stellarrow.sinks.files.reading import rows_of
from stellarrow.storage.local_files import LocalFiles

TEN_DAYS = Policy(compress=10 * DAY)
LEFT = ("lies within a wider range", "no entry of the manifest names it")
MAKES = {"parquet": {}, "folders": {"partition": "contract_id"}}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge twenty ledgers at most."""
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", 20)


@pytest.fixture(params=MAKES)
def aged(request: pytest.FixtureRequest, tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    return cold(tmp_path, ledgers, request.param)


def cold(folder: Path, ledgers: tuple[bytes, ...], make: str, **more: int) -> Aged:
    """Ledgers 100 to 119 are older than ten days, those after them are not."""
    made = Aged(folder, ledgers, tables=("contract_data",), **more, **MAKES[make])
    made.policy, made.days = TEN_DAYS, 10
    return made


def parts(aged: Aged) -> list[str]:
    return [str(one) for one in sorted(aged.listing(aged.place).parts())]


def rows(aged: Aged) -> list[dict[str, object]]:
    found = [row for batch in rows_of(aged.listing(aged.place)) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: (row["ledger_sequence"], str(row)))


def has_record(aged: Aged, first: int, last: int) -> bool:
    return (aged.place / record_path("contract_data", LedgerRange(first, last), COMPRESSED)).exists()


def test_what_is_cold_as_a_whole_is_merged_and_smaller_and_a_second_run_has_nothing_to_do(aged: Aged) -> None:
    before = sum(file.stat().st_size for file in aged.place.rglob("*.parquet"))
    report = aged.run()
    assert (report.problems, actions(report.done)) == ([], [(COMPRESS, "contract_data", "100:119")])
    assert parts(aged) == ["100:119", "120:129", "130:139"]
    assert (rows(aged), aged.covered(), aged.faults()) == (aged.expected(), "100:139", [])
    after = sum(file.stat().st_size for file in aged.place.rglob("*.parquet"))
    assert report.freed == before - after > 0
    assert has_record(aged, 100, 119)
    again = aged.run()
    assert (again.problems, again.done) == ([], [])


def test_a_window_of_which_some_is_not_cold_yet_waits(aged: Aged) -> None:
    aged.days = 10 - 1 / DAY
    assert aged.run().done == []
    assert parts(aged) == ["100:109", "110:119", "120:129", "130:139"]


def test_a_range_without_neighbours_is_compressed_under_its_name(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", 10)
    report = aged.run()
    assert actions(report.done) == [
        (COMPRESS, "contract_data", "100:109"),
        (COMPRESS, "contract_data", "110:119"),
    ]
    assert parts(aged) == ["100:109", "110:119", "120:129", "130:139"]
    assert (rows(aged), aged.faults(), report.freed > 0) == (aged.expected(), [], True)
    assert aged.run().done == []


def test_what_was_compressed_is_archived_later_and_its_record_goes(aged: Aged) -> None:
    aged.run()
    aged.policy = Policy(compress=10 * DAY, archive=11 * DAY)
    assert aged.run().done == []
    aged.days = 11
    report = aged.run()
    assert (ARCHIVE, "contract_data", "100:119") in actions(report.done)
    assert report.problems == []
    assert not has_record(aged, 100, 119)
    assert (aged.rows(), aged.covered(), aged.faults()) == (aged.expected(), "100:139", [])


def test_status_says_what_is_due_to_be_compressed(aged: Aged) -> None:
    (found,), problems = status_of(aged.lifecycle())
    assert ({action: str(one) for action, one in found.due.items()}, problems) == ({COMPRESS: "100:119"}, [])


@pytest.mark.slow
@pytest.mark.parametrize("merged", [20, 10])
@pytest.mark.parametrize("make", MAKES)
def test_a_run_that_dies_at_any_step_changes_no_row_and_the_next_continues(
    tmp_path: Path, ledgers: tuple[bytes, ...], make: str, merged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", merged)
    aged = cold(tmp_path, ledgers, make, last=119)
    begin = tmp_path / "begin"
    copytree(aged.place, begin)
    for step in range(1, 400):
        is_dead = died(aged, step)
        assert aged.covered() == "100:119"
        assert rows(aged) == aged.expected()
        assert all(any(left in one.what for left in LEFT) for one in aged.faults()), "what is left, no damage"
        if is_dead:
            assert aged.run().problems == []
        assert aged.run().done == []
        assert parts(aged) == (["100:119"] if merged == 20 else ["100:109", "110:119"])
        assert (rows(aged), aged.covered(), aged.faults()) == (aged.expected(), "100:119", [])
        if not is_dead:
            break
        rmtree(aged.place)
        copytree(begin, aged.place)
    assert step > 6


def died(aged: Aged, step: int) -> bool:
    due = dying_at(step)
    try:
        aged.run(store=Stepping(LocalFiles(aged.place), due))
    except Died:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("merged", [20, 10])
def test_a_disk_that_is_full_from_any_step_on_changes_no_row(
    tmp_path: Path, ledgers: tuple[bytes, ...], merged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", merged)
    for step in range(1, 100):
        aged = cold(tmp_path / str(step), ledgers, "parquet", last=119)
        report = aged.run(store=Stepping(LocalFiles(aged.place), full_after(step)))  # type: ignore[arg-type]
        assert (rows(aged), aged.covered()) == (aged.expected(), "100:119")
        if not report.problems:
            break
        assert "No space left" in report.problems[0]
        assert aged.run().problems == []
        assert (rows(aged), aged.faults()) == (aged.expected(), [])
    assert step > 4


@pytest.mark.parametrize("merged", [20, 10])
def test_what_somebody_reads_stays_as_it_is_until_the_next_run(
    aged: Aged, merged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", merged)
    before = {file: file.read_bytes() for file in aged.place.rglob("*.parquet")}
    with LocalFiles(aged.place).reading("contract_data/_manifest"):
        report = aged.run()
        assert (report.done, report.problems) == ([], [])
        assert report.in_use
        assert {file: file.read_bytes() for file in before} == before
    assert aged.run().problems == []
    assert (rows(aged), aged.faults()) == (aged.expected(), [])


def test_a_damaged_file_is_not_compressed_and_is_told(aged: Aged) -> None:
    path = next(aged.place.glob("contract_data/**/*109.parquet"))
    held = bytearray(path.read_bytes())
    held[40] ^= 1
    path.write_bytes(held)
    report = aged.run()
    assert report.done == []
    assert "109.parquet" in report.problems[0]
    assert path.read_bytes() == held
    assert parts(aged) == ["100:109", "110:119", "120:129", "130:139"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("archive 9d, compress 10d", "compresses what has left by then"), ("compres 3d", "compress")],
)
def test_a_policy_that_cannot_be_meant_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Policy.parse(text, "the policy")


def test_a_range_that_becomes_no_smaller_stays_as_it_was_and_is_not_tried_again(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", 10)
    monkeypatch.setattr(compressing, "LEVEL", -7)
    before = {file: file.read_bytes() for file in aged.place.rglob("*.parquet")}
    report = aged.run()
    assert [(step.action, step.stays, step.bytes) for step in report.done] == [(COMPRESS, True, 0)] * 2
    assert {file: file.read_bytes() for file in aged.place.rglob("*.parquet")} == before
    assert (aged.run().done, aged.faults()) == ([], [])
