"""Who lists a place and then reads there finds what is so, whatever another does to it at whatever step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

import stellarrow as sa
from sinks.stepping import Unlocked
from sinks.test_writing_beside import at, keep, ledgers, merge, opened
from stellarrow.analysis.reads.conditions import Compiled
from stellarrow.analysis.reads.stored_table import StoredTable
from stellarrow.cli.query import views
from stellarrow.cli.query.database import Database
from stellarrow.errors import SinkError, Unavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.lifecycle.policies import Policy
from stellarrow.lifecycle.run import Lifecycle
from stellarrow.lifecycle.status import status_of
from stellarrow.sinks.files.counting import row_counts
from stellarrow.sinks.files.dataset import ExtractedTable
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import listings, rows_of
from stellarrow.sinks.files.superseding import clean
from stellarrow.sinks.files.verify import Sound, check
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

FIRST, KEPT = 100, 4  # ledgers that are there; another writes the next
OPEN = LedgerRange(FIRST)
WHOLE = LedgerSet([LedgerRange(FIRST, FIRST + KEPT - 1)])
__all__ = ["ledgers"]


def of(batches: Any) -> list[int]:
    return sorted(one for rows in batches for one in rows.column("ledger_sequence").to_pylist())


def extracted(listing: Listing) -> list[int]:
    return of(ExtractedTable(listing).batches(Filter(), None)())


def by_time(listing: Listing) -> list[int]:
    table = ExtractedTable(listing)
    return of(table.batches(Filter(), table.read_ledgers("1970-01-01T00:00:00Z:2100-01-01T00:00:00Z"))())


def analytics(listing: Listing) -> list[int]:
    return of(StoredTable.look(listing).within(OPEN, ["ledger_sequence"], Compiled()))


def searched(listing: Listing) -> list[int]:
    some = Compiled(pc.field("ledger_sequence") >= FIRST)
    return of(StoredTable.look(listing).within(OPEN, ["ledger_sequence"], some))


def counted(listing: Listing) -> list[int]:
    found: list[int] = []
    for one in row_counts(listing, LedgerSet([OPEN])):
        if one.error:
            raise one.error
        found += [ledger for ledger, many in (one.rows or {}).items() for _ in range(many)]
    return sorted(found)


def sql(store: FileStore, patches: pytest.MonkeyPatch) -> list[int]:
    with patches.context() as patched:
        patched.setattr(views, "LocalFiles", lambda _: store)
        return of(Database(Path(str(store))).rows("select ledger_sequence from contract_events"))


READS: dict[str, Callable[[Listing], list[int]]] = {
    "rows": lambda listing: of(rows_of(listing)),
    "scan": extracted,
    "scan by time": by_time,
    "analytics": analytics,
    "search": searched,
    "counts": counted,
}


def read(name: str, store: FileStore) -> list[int]:
    return [ledger for one in listings(store) for ledger in READS[name](one)]


def checked(store: FileStore, _partition: str) -> None:
    for listing in listings(store):
        assert [one for one in check(listing) if not isinstance(one, Sound)] == []


def covered(store: FileStore, partition: str) -> None:
    sink = opened(store, partition)
    assert WHOLE - sink.coverage() == LedgerSet()
    sink.close()


def cleaned(store: FileStore, _partition: str) -> None:
    for listing in listings(store):
        clean(listing)


def aged(store: FileStore, *, delete: bool = False) -> Lifecycle:
    """All but the newest file is to go, or nothing."""
    policy = Policy(delete=1) if delete else Policy(delete=1 << 40)
    return Lifecycle(store=store, policies=dict.fromkeys(("parquet", "jsonl", "csv"), policy))


def planned(store: FileStore, _partition: str) -> None:
    assert aged(store, delete=True).plan().problems == []


def run(store: FileStore, _partition: str) -> None:
    report = aged(store, delete=True).run()
    assert report.problems == []
    assert listings(LocalFiles(str(store))) == [] or report.done


def told(store: FileStore, _partition: str) -> None:
    found, problems = status_of(aged(store))
    assert problems == []
    assert [WHOLE - one.here - one.deleted for one in found] == [LedgerSet()]


LOOKS: dict[str, Callable[[FileStore, str], None]] = {
    "check": checked,
    "coverage": covered,
    "clean": cleaned,
    "lifecycle plan": planned,
    "lifecycle run": run,
    "lifecycle status": told,
}


class Place:
    """Folders that are alike, another that changes them at a step, and who looks at them."""

    def __init__(self, folder: Path, batches: list[sa.LedgerBatch], partition: str) -> None:
        self.folder, self.batches, self.partition = folder, batches, partition
        self.begun = folder / "begun"
        keep(LocalFiles(self.begun), batches[:KEPT], partition)

    def merges(self, folder: Path) -> None:
        keep(Unlocked(LocalFiles(folder), lambda: None), self.batches[KEPT : KEPT + 1], self.partition)
        merge(folder)

    def deletes(self, folder: Path) -> None:
        with closing(Unlocked(LocalFiles(folder), lambda: None)) as store:
            assert aged(store, delete=True).run().problems == []

    def at_each_step(self, other: str, look: Callable[[FileStore, bool], None]) -> None:
        for step in range(1, 500):
            folder = self.folder / str(step)
            shutil.copytree(self.begun, folder)
            happened: list[int] = []

            def work(folder: Path = folder, happened: list[int] = happened) -> None:
                happened.append(1)
                self.deletes(folder) if other == "deletes" else self.merges(folder)

            with closing(Unlocked(LocalFiles(folder), at(step, work))) as store:
                look(store, bool(happened))
            shutil.rmtree(folder)
            if not happened:
                break
        assert 2 < step < 499  # or not everything was tried


@pytest.fixture(params=["ledgers", pytest.param("hour", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path, ledgers: list[sa.LedgerBatch]) -> Place:
    return Place(tmp_path, ledgers, request.param)


def due(batches: list[sa.LedgerBatch]) -> list[int]:
    return of(batch.tables["contract_events"] for batch in batches)


@pytest.mark.parametrize("name", READS)
def test_a_reader_beside_one_that_merges_at_any_step_reads_each_row_once(place: Place, name: str) -> None:
    first, more = due(place.batches[:KEPT]), due(place.batches[: KEPT + 1])

    def look(store: FileStore, _: bool) -> None:
        assert read(name, store) in (first, more)

    place.at_each_step("merges", look)


def test_a_query_beside_one_that_merges_at_any_step_reads_each_row_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, more = due(place.batches[:KEPT]), due(place.batches[: KEPT + 1])

    def look(store: FileStore, _: bool) -> None:
        assert sql(store, monkeypatch) in (first, more)

    place.at_each_step("merges", look)


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("other", ["merges", "deletes"])
def test_who_looks_beside_another_at_any_step_finds_no_fault(place: Place, name: str, other: str) -> None:
    place.at_each_step(other, lambda store, _: LOOKS[name](store, place.partition))


@pytest.mark.parametrize("name", READS)
def test_a_reader_beside_one_that_deletes_at_any_step_reads_all_or_is_told(place: Place, name: str) -> None:
    first = due(place.batches[:KEPT])

    def look(store: FileStore, _: bool) -> None:
        try:
            assert read(name, store) in (first, [])
        except (SinkError, Unavailable, sa.LedgerMissing) as error:
            assert "deleted" in str(error) or "no ledger yet" in str(error)  # noqa: PT017

    place.at_each_step("deletes", look)
