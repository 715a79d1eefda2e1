"""What pages were read from is kept for the next, and no more of it than there is room for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from analytics.conftest import PORTS
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.kept import KeptRows
from stellarrow.analysis.reads.paging import page
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.stored import Stored
from stellarrow.config import Analytics, read
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import Unavailable
from stellarrow.ledgers import LedgerRange
from stellarrow.services.analytics import AnalyticsService

NAME = "token_transfers"


def key(number: int) -> tuple[str, LedgerRange, tuple[str, ...]]:
    return NAME, LedgerRange(number, number), ()


def rows(ledger: int, count: int = 100) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"ledger_sequence": pa.array([ledger] * count, pa.uint32())})


class Reads:
    """Reads rows, and counts how often; the first times it fails where it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.count = 0
        self._failures = failures
        self._lock = threading.Lock()

    def __call__(self) -> Iterator[pa.RecordBatch]:
        with self._lock:
            self.count += 1
        if self.count <= self._failures:
            raise Unavailable("not now")
        yield rows(7)


def test_many_who_ask_at_once_wait_for_one_who_reads() -> None:
    kept, reads = KeptRows(), Reads()
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: kept.picture(key(7), reads), range(32))]
    assert reads.count == 1
    assert all(one is found[0] for one in found)


def test_a_read_that_failed_is_tried_by_the_next_who_asks() -> None:
    kept, reads = KeptRows(), Reads(failures=1)
    with pytest.raises(Unavailable):
        kept.picture(key(7), reads)
    assert kept.picture(key(7), reads).pieces[0].rows.num_rows == 100


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    size = rows(1).nbytes
    kept = KeptRows(most_bytes=3 * size)
    for number in (1, 2, 3, 1, 4):
        kept.picture(key(number), lambda number=number: [rows(number)])  # type: ignore[misc]  # its default is an int
    assert kept.size_bytes == 3 * size
    again = Reads()
    kept.picture(key(1), again)
    assert again.count == 0
    kept.picture(key(2), again)
    assert again.count == 1


@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_a_file_are_its_rows_in_order_and_read_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descending: bool
) -> None:
    ledgers = [*islice(synthetic(3, first=100, ledger_bytes=6_000), 20)]
    (tmp_path / "lake.xdr").write_bytes(
        b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers)
    )
    sink = f"parquet:{tmp_path / 'out'}?ledgers=20"
    sa.run(str(tmp_path / "lake.xdr"), tables=[NAME], sinks=sink, network="synthetic")
    stored = Stored(str(tmp_path / "out"), [NAME])
    tables = Tables([NAME], hot=Hot((), most_bytes=0), stored=stored, network=None)
    table = stored.tables[NAME]
    opened: list[LedgerRange] = []
    real = type(table)._part

    def counted(self: Any, part: LedgerRange, *rest: Any, **how: Any) -> Any:
        opened.append(part)
        return real(self, part, *rest, **how)

    monkeypatch.setattr(type(table), "_part", counted)
    question = Question(table=NAME, descending=descending)
    snapshot = tables.snapshot(NAME)
    whole = [row for one in snapshot.read(question, LedgerRange(0)) for row in one.to_pylist()]
    opened.clear()
    found = []
    cursor: str | None = ""
    while cursor is not None:
        made = page(snapshot, question, limit=7, cursor=cursor)
        found += [row for one in made.batches for row in one.to_pylist()]
        cursor = made.next
    assert found == whole
    assert len(found) > 50
    assert len(opened) == 1


@pytest.mark.parametrize("has_source", [False, True])
def test_rows_in_memory_and_rows_for_pages_share_what_hot_mb_allows(
    real_data: Path, tmp_path: Path, has_source: bool
) -> None:
    given = {**PORTS, "data": f"parquet:{real_data}", "state_dir": str(tmp_path / "state"), "hot_mb": "8"}
    more: dict[str, Any] = {"streams": {"ledgers": NoRows()}, "network": sa.Network.of("pubnet")}
    service = AnalyticsService(read(Analytics, given, environ={}), **(more if has_source else {}))
    try:
        stored = service.tables.stored
        assert stored
        kept, hot = stored._kept._most_bytes, service.tables.hot._most_bytes
        assert kept + (hot if has_source else 0) == 8 << 20
        assert service.tables.hot.tables == ({"ledgers"} if has_source else set())
    finally:
        service.close()


class NoRows:
    """A processor's stream of which nothing comes."""

    name = "nothing"

    def read(self, since: str) -> Iterator[Any]:  # noqa: ARG002  the Protocol has it
        return iter(())

    def close(self) -> None:
        """Nothing waits."""
