"""PARQUET_PATH, JSON_PATH and CSV_PATH: the tables as files, each ledger once, over restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from analytics.conftest import COUNT, FIRST, LIVE, PORTS, Given, Served
from analytics.test_stream import known, places
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.stored import Stored
from stellarrow.config import Analytics, read
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet, Network
from stellarrow.registry import SinkOptions, open_sink
from stellarrow.services.analytics import AnalyticsService

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1
SECONDS = 60.0
OPTIONS = SinkOptions(network=Network.of("synthetic"))


def covered(place: str) -> LedgerSet:
    sink = open_sink(place, LIVE, OPTIONS)
    try:
        return sink.coverage()
    finally:
        sink.close()


def wait_for(served: Served, places: Sequence[str], last: int) -> None:
    """Wait until every place has the ledgers up to one, durably."""
    deadline = time.monotonic() + SECONDS
    while any(covered(place) != LedgerSet([LedgerRange(FIRST, last)]) for place in places):
        assert time.monotonic() < deadline, [str(covered(place)) for place in places]
        served.service.look()
        time.sleep(0.05)


def wait_for_counts(served: Served, places: dict[str, Path]) -> None:
    """Wait until the metrics have counted each file of ledgers after 120."""
    due = [
        f'files_written_total{{format="{name}"}} {float(len(files))}'
        for name, place in places.items()
        if (files := [one for one in place.glob("*/*-*.*") if one.name > "0000000121"])
    ]
    assert len(due) == len(places)
    deadline = time.monotonic() + SECONDS
    while not set(due) <= {*(text := served.get("/metrics").text).splitlines()}:
        assert time.monotonic() < deadline, (due, text)
        time.sleep(0.05)


def rows_in(place: str, table: str) -> list[dict[str, Any]]:
    """Read a table back, in the order of its key."""
    stored = Stored(place, [table])
    snapshot = Tables([table], hot=Hot((), most_bytes=1 << 20), stored=stored, network=None).snapshot(table)
    found = [*snapshot.read(Question(table=table), LedgerRange(0, LAST_POSSIBLE))]
    stored.close()
    return [row for batch in found for row in batch.to_pylist()]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was written be durable soon."""
    monkeypatch.setattr("stellarrow.services.table_feed._COMMIT_SECONDS", 0.05)


def test_every_format_has_each_ledger_once_over_a_restart(
    serve_given: Start, live_rows: Any, tmp_path: Path
) -> None:
    paths = {f"{name}_path": tmp_path / name for name in ("parquet", "json", "csv")}
    kept = [f"parquet:{tmp_path}/parquet", f"jsonl:{tmp_path}/json", f"csv:{tmp_path}/csv"]
    served, chain = serve_given(**paths)
    chain.give(120)
    wait_for(served, kept, 120)
    health = served.get("/health").json()["components"]
    assert health[kept[0]]["metrics"]["last_ledger"] == 120
    served.close()
    served, chain = serve_given(**paths)
    chain.give(LAST)
    wait_for(served, kept, LAST)
    assert served.get("/metrics").text.count("export_duration_seconds_count{format=") == 3
    wait_for_counts(
        served, {"parquet": tmp_path / "parquet", "jsonl": tmp_path / "json", "csv": tmp_path / "csv"}
    )
    served.close()
    for place in kept:
        assert places(rows_in(place, "token_transfers")) == known(live_rows, FIRST, LAST)


def test_partitions_and_codecs_are_those_of_the_sinks(serve_given: Start, tmp_path: Path) -> None:
    served, chain = serve_given(parquet_path=tmp_path / "out", partition_by="date", parquet_compression="lz4")
    chain.give(LAST)
    wait_for(served, [f"parquet:{tmp_path}/out?partition=date&codec=lz4"], LAST)
    assert [*(tmp_path / "out" / "token_transfers").glob("date=*/*.parquet")]


def test_formats_choose_among_the_paths(serve_given: Start, tmp_path: Path) -> None:
    served, chain = serve_given(
        parquet_path=tmp_path / "a", csv_path=tmp_path / "b", export_formats="csv,websocket,api"
    )
    chain.give(110)
    wait_for(served, [f"csv:{tmp_path}/b"], 110)
    assert not (tmp_path / "a").exists()


def test_a_place_of_other_tables_is_told_at_the_start(serve_given: Start, tmp_path: Path) -> None:
    served, chain = serve_given(parquet_path=tmp_path / "out")
    chain.give(110)
    wait_for(served, [f"parquet:{tmp_path}/out"], 110)
    served.close()
    with pytest.raises(sa.SchemaMismatch):
        serve_given(parquet_path=tmp_path / "out", partition_by="date")


def test_stored_tables_of_a_filter_are_not_written_as_if_they_were_whole(tmp_path: Path) -> None:
    source = Path(sa.__file__).parent / "data" / "ledgers"
    where = sa.Filter(event_types=["fee"])
    sinks = f"parquet:{tmp_path}/data"
    sa.run(str(source), tables=["token_transfers"], sinks=sinks, network="pubnet", where=where)
    flags = {**PORTS, "data": f"{tmp_path}/data", "csv_path": f"{tmp_path}/out"}
    with pytest.raises(sa.ConfigError, match="has only the rows of a filter"):
        AnalyticsService(read(Analytics, {**flags, "state_dir": f"{tmp_path}/state"}, environ={}))


def test_stored_tables_are_written_too(tmp_path: Path, real_data: Path) -> None:
    flags = {**PORTS, "data": str(real_data), "csv_path": f"{tmp_path}/out", "tables": "ledgers"}
    service = AnalyticsService(read(Analytics, {**flags, "state_dir": f"{tmp_path}/state"}, environ={}))
    service.start()
    try:
        deadline = time.monotonic() + SECONDS
        while not [*tmp_path.glob("out/ledgers/*.csv")]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        service.drain()
        service.close()
    found = rows_in(f"csv:{tmp_path}/out", "ledgers")
    assert [row["ledger_sequence"] for row in found] == [53_312_000, 58_752_000]
