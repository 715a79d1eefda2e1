"""A writer beside one that writes and merges the same ledgers leaves every row once, at whatever step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import pytest

import stellarrow as sa
from sinks.stepping import Unlocked
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.files.compaction import compact, windows
from stellarrow.sinks.files.reading import format_of, listings, rows_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

LEDGERS = range(100, 112)
TABLE = "contract_events"


@pytest.fixture(scope="module")
def ledgers() -> list[sa.LedgerBatch]:
    made = islice(synthetic(20, first=LEDGERS.start, ledger_bytes=4_096), len(LEDGERS))
    decoder = sa.Decoder([TABLE], network="synthetic")
    return [
        decoder(sa.LedgerChunk(frame([one], "record-marked"), "record-marked", number, number, "memory"))
        for number, one in zip(LEDGERS, made, strict=True)
    ]


def opened(store: FileStore, partition: str) -> FileSink:
    return FileSink(
        store,
        [TABLE],
        format=format_of("parquet"),
        network="synthetic",
        ledgers_per_file=1_000,
        partition=partition,
    )


def keep(store: FileStore, ledgers: list[sa.LedgerBatch], partition: str) -> None:
    sink = opened(store, partition)
    for one in ledgers:
        sink.write(one)
        sink.commit()
    sink.close()


def at(step: int, *works: Callable[[], None]) -> Callable[[], None]:
    """Do the first work at a step, the second at the next."""
    due = dict(enumerate(works, step))
    steps = count(1)

    def step_done() -> None:
        if work := due.pop(next(steps), None):
            work()

    return step_done


def merge(folder: Path) -> None:
    for one in listings(Unlocked(LocalFiles(folder), lambda: None)):
        for around in windows(one, 1_000):
            compact(one, around)


def rows_by_ledger(folder: Path) -> list[int]:
    (table,) = listings(LocalFiles(folder))
    return sorted(one for rows in rows_of(table) for one in rows.column("ledger_sequence").to_pylist())


def expected(ledgers: list[sa.LedgerBatch]) -> list[int]:
    return sorted(
        one for batch in ledgers for one in batch.tables[TABLE].column("ledger_sequence").to_pylist()
    )


@pytest.mark.parametrize(
    "partition", ["ledgers", "hour", pytest.param("contract_id:4", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("others", [slice(0, 3), slice(0, 6), slice(1, 2)])
@pytest.mark.parametrize("steps_between", [0, 1])
def test_another_writer_that_writes_and_merges_at_any_step_leaves_each_row_once(
    tmp_path: Path, ledgers: list[sa.LedgerBatch], partition: str, others: slice, steps_between: int
) -> None:
    for step in range(1, 500):
        folder = tmp_path / str(step)
        happened: list[int] = []

        def write(folder: Path = folder, happened: list[int] = happened) -> None:
            happened.append(1)
            keep(Unlocked(LocalFiles(folder), lambda: None), ledgers[others], partition)

        def merge_all(folder: Path = folder) -> None:
            merge(folder)

        def both(write: Callable[[], None] = write, merge: Callable[[], None] = merge_all) -> None:
            write()
            merge()

        works = [write, merge_all] if steps_between else [both]
        keep(Unlocked(LocalFiles(folder), at(step, *works)), ledgers[:3], partition)
        assert rows_by_ledger(folder) == expected(ledgers[: max(3, others.stop) if happened else 3])
        if not happened:
            break
    assert 10 < step < 499  # or not everything was tried
