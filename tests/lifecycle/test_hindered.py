"""Full disks, object stores that fail halfway, readers at work, files that are not what they were."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fakes.faulty import Fault, FaultyProxy
from fakes.versitygw import Bucket
from lifecycle.aged import Aged
from sinks.stepping import Stepping
from stellarrow.errors import SinkError
from stellarrow.lifecycle.archive import Archive
from stellarrow.net.resilience import Policy as Tries
from stellarrow.sinks.files.reading import listings
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.local_files import LocalFiles


@pytest.fixture
def aged(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    made = Aged(tmp_path, ledgers, last=119, tables=("contract_data",))
    made.days = 10
    return made


def full_after(step: int) -> object:
    """Return what fails, like a full disk, at a step and every one after it."""
    left = step

    def due() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise SinkError("cannot write to it (No space left on device): make room")

    return due


@pytest.mark.parametrize("which", ["place", "old"])
def test_a_disk_that_is_full_from_any_step_on_loses_nothing(
    tmp_path: Path, ledgers: tuple[bytes, ...], which: str
) -> None:
    for step in range(1, 100):
        aged = Aged(tmp_path / str(step), ledgers, last=119, tables=("contract_data",))
        aged.days = 10
        full = Stepping(LocalFiles(getattr(aged, which)), full_after(step))  # type: ignore[arg-type]
        report = aged.run(**{"store" if which == "place" else "old": full})
        assert aged.covered() == "100:119"
        assert aged.rows() == aged.expected()
        if not report.problems:
            break
        assert "No space left" in report.problems[0]
        assert aged.run().problems == []
        assert aged.faults() == []
        assert aged.rows() == aged.expected()
        assert listings(LocalFiles(aged.place)) == []
    assert step > 4


@pytest.fixture
def objects(bucket: Bucket, faulty: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> CloudFiles:
    for name, value in bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    faulty.upstream = bucket.server.address
    monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint)
    return CloudFiles(f"s3://{bucket.name}/old", policy=Tries(attempts=2, first_wait=0.01))


def test_an_object_store_that_fails_halfway_keeps_originals_and_the_next_run_continues(
    aged: Aged, objects: CloudFiles, faulty: FaultyProxy
) -> None:
    before = aged.here()
    puts = 0

    def plan(method: str, _path: str) -> Fault | None:
        nonlocal puts
        puts += method == "PUT"
        return Fault(status=503, code="SlowDown") if method == "PUT" and puts > 2 else None

    faulty.plan = plan
    archive = Archive(objects, objects.where)
    report = aged.run(archive=archive)
    assert [str(step.ledgers) for step in report.done] == ["100:109"]
    assert report.problems
    assert aged.covered() == before
    assert aged.here() == "110:119"
    faulty.plan = lambda _method, _path: None
    assert aged.run(archive=archive).problems == []
    assert aged.covered() == before
    assert [str(one.ranges()) for one in listings(objects)] == ["100:119"]


@pytest.mark.parametrize("fault", [Fault(flip=-30), Fault(shorten=50)])
def test_what_the_archive_gives_back_wrongly_is_not_taken_for_archived(
    aged: Aged, objects: CloudFiles, faulty: FaultyProxy, fault: Fault
) -> None:
    faulty.plan = lambda method, path: fault if method == "GET" and ".parquet" in path else None
    report = aged.run(archive=Archive(objects, objects.where))
    assert report.done == []
    assert "is not what was copied there" in report.problems[0]
    assert aged.here() == "100:119"


def test_a_damaged_file_is_neither_archived_nor_deleted(aged: Aged) -> None:
    path = next(aged.place.glob("contract_data/*109.parquet"))
    held = bytearray(path.read_bytes())
    held[40] ^= 1
    path.write_bytes(held)
    report = aged.run()
    assert [str(step.ledgers) for step in report.done] == ["110:119"]
    assert any("109.parquet" in one for one in report.problems)
    assert path.read_bytes() == held


def test_what_somebody_reads_stays_until_the_next_run(aged: Aged) -> None:
    with LocalFiles(aged.place).reading("contract_data/_manifest"):
        report = aged.run()
        assert (report.done, report.problems) == ([], [])
        assert [str(step.ledgers) for step in report.in_use] == ["100:109", "110:119"]
        assert aged.here() == "100:119"
        assert not [*aged.old.rglob("*.parquet")]  # nothing is copied in vain
    report = aged.run()
    assert (report.problems, report.in_use) == ([], [])
    assert listings(LocalFiles(aged.place)) == []


def test_one_table_that_is_read_all_the_time_hinders_no_other(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    aged = Aged(tmp_path, ledgers, ledgers_per_file=5)
    aged.days = 10
    with LocalFiles(aged.place).reading("contract_data/_manifest"):
        report = aged.run()
    assert report.problems == []
    assert {step.table for step in report.in_use} == {"contract_data"}
    assert [str(step.ledgers) for step in report.done if step.table == "ledgers"] == [
        "100:104",
        "105:109",
        "110:114",
        "115:119",
    ]


def test_damaged_files_of_one_table_hinder_no_other(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    aged = Aged(tmp_path, ledgers, ledgers_per_file=5)
    aged.days = 10
    for path in aged.place.glob("contract_data/*.parquet"):
        path.write_bytes(b"no Parquet")
    report = aged.run()
    assert len([step for step in report.done if step.table == "ledgers"]) == 4
    assert len(report.problems) == 4
    assert all("contract_data" in one for one in report.problems)


def test_what_is_read_while_merged_files_lie_beside_stays_whole(aged: Aged) -> None:
    aged.merge()
    with LocalFiles(aged.place).reading("contract_data/_manifest"):
        report = aged.run()
        assert (report.done, report.problems, len(report.in_use)) == ([], [], 1)
    assert aged.rows() == aged.expected()
    assert aged.run().problems == []
    assert listings(LocalFiles(aged.place)) == []


def test_a_damaged_file_within_a_merged_one_keeps_both_and_is_told(aged: Aged) -> None:
    aged.merge()
    aged.place.joinpath("contract_data/0000000100-0000000109.parquet").write_bytes(b"no Parquet")
    report = aged.run()
    assert report.done == []
    assert "100:109" in report.problems[0]
    assert "stellarrow check --repair" in report.problems[0]
    assert aged.here() == "100:119"


def test_a_patient_run_waits_for_who_reads(aged: Aged) -> None:
    reading, begun = threading.Event(), threading.Event()

    def read() -> None:
        with LocalFiles(aged.place).reading("contract_data/_manifest"):
            begun.set()
            assert reading.wait(60)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(60)
    looked: list[int] = []

    def stopped() -> bool:
        looked.append(1)
        if len(looked) == 5:
            reading.set()
        return False

    report = aged.lifecycle(patience=60.0).run(stopped=stopped)
    reader.join(60)
    assert report.problems == []
    assert listings(LocalFiles(aged.place)) == []


def test_another_file_of_a_name_in_the_archive_is_told_and_neither_is_touched(aged: Aged) -> None:
    planted = aged.old / "contract_data" / "0000000100-0000000109.parquet"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"other")
    report = aged.run()
    assert str(planted) in report.problems[0]
    assert planted.read_bytes() == b"other"
    assert aged.here() == "100:119"


def test_what_an_older_version_fetched_again_otherwise_is_told_and_kept(aged: Aged) -> None:
    kept = {path: path.read_bytes() for path in aged.place.rglob("*.parquet")}
    aged.run()
    for path, data in kept.items():
        path.write_bytes(data + b"more")
    report = aged.run()
    assert report.done == []
    assert all("is not what was archived" in one for one in report.problems)
    assert {path: path.read_bytes() for path in kept} == {path: data + b"more" for path, data in kept.items()}


def test_a_damaged_record_is_told_and_hinders_no_other_table(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    aged = Aged(tmp_path, ledgers, last=119)
    aged.days = 10
    aged.run()
    next(aged.place.glob("_lifecycle/contract_data/*109*")).write_bytes(b"{}")
    aged.days = 20
    report = aged.run()
    assert {step.table for step in report.done} == {"ledgers"}
    assert "is damaged" in report.problems[0]
    assert aged.covered() == "100:119"
