"""Readers beside a compaction see every row once, and nothing is left lying about."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.versitygw import Bucket
from stellarrow.cli import invoke
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.files.compaction import compact, windows
from stellarrow.sinks.files.reading import format_of, listings, rows_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

LEDGERS = 12
FORMATS = ["parquet", "jsonl", "csv"]


def follow(store: FileStore, kind: str, partition: str) -> None:
    """Leave one file a ledger."""
    ledgers = islice(synthetic(20, first=100, ledger_bytes=4_096), LEDGERS)
    decoder = sa.Decoder(["contract_events"], network="synthetic")
    sink = FileSink(
        store,
        ["contract_events"],
        format=format_of(kind),
        network="synthetic",
        partition=partition,
        ledgers_per_file=1_000,
    )
    for number, ledger in enumerate(ledgers, 100):
        data = frame([ledger], "record-marked")
        sink.write(decoder(sa.LedgerChunk(data, "record-marked", number, number, "memory")))
        sink.commit()
    sink.close()


def merged(store: FileStore) -> int:
    return sum(compact(one, around) for one in listings(store) for around in windows(one, 1_000))


def sequences(batches: Any) -> list[int]:
    return sorted(one for rows in batches for one in rows.column("ledger_sequence").to_pylist())


@pytest.fixture(params=["folder", "without locks", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        for name, value in bucket.server.environment.items():
            monkeypatch.setenv(name, value)
        return CloudFiles(f"s3://{bucket.name}/beside")
    if request.param == "without locks":
        monkeypatch.setattr(LocalFiles, "reading", CloudFiles.reading)
        monkeypatch.setattr(LocalFiles, "unread", CloudFiles.unread)
    return LocalFiles(tmp_path / "out")


@pytest.mark.parametrize("partition", ["ledgers", "event_type", "contract_id"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_reader_that_began_before_a_compaction_reads_every_row_once(
    place: FileStore, kind: str, partition: str
) -> None:
    follow(place, kind, partition)
    again: FileStore = CloudFiles(str(place)) if isinstance(place, CloudFiles) else LocalFiles(str(place))
    (table,) = listings(again)
    whole = sequences(rows_of(table))
    reading = rows_of(table)
    begun = next(reading)
    merged(CloudFiles(str(place)) if isinstance(place, CloudFiles) else LocalFiles(str(place)))
    assert sequences([begun, *reading]) == whole
    (table,) = listings(again)
    merged(again)
    assert len(list(table.trusted())) == 1
    assert sequences(rows_of(table)) == whole


@pytest.mark.parametrize("partition", ["ledgers", "event_type"])
def test_a_scan_beside_a_compaction_reads_every_row_once(tmp_path: Path, partition: str) -> None:
    follow(LocalFiles(tmp_path), "parquet", partition)
    scan = sa.scan(tmp_path, table="contract_events")
    whole = sequences(scan.to_reader())
    reading = scan.to_reader()
    begun = reading.read_next_batch()
    merged(LocalFiles(tmp_path))
    assert sequences([begun, *reading]) == whole
    assert sequences(scan.to_reader()) == whole


@pytest.mark.parametrize("kind", FORMATS)
def test_a_query_beside_a_compaction_counts_every_row_once(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    duckdb = pytest.importorskip("duckdb")
    assert duckdb
    from stellarrow.cli.query.database import Database  # noqa: PLC0415  needs the extra

    follow(LocalFiles(tmp_path), kind, "ledgers")
    database = Database(tmp_path)
    reading = database.rows("select ledger_sequence from contract_events")
    assert invoke(["compact", str(tmp_path)]) == 0
    found = sequences(reading)
    assert set(found) == set(range(100, 100 + LEDGERS))
    assert sequences(database.rows("select ledger_sequence from contract_events")) == found
    assert invoke(["compact", str(tmp_path)]) == 0
    assert len(list((tmp_path / "contract_events").glob(f"0*.{kind}"))) == 1
    assert sequences(database.rows("select ledger_sequence from contract_events")) == found
    assert not [*tmp_path.glob(".writing-*")]
    capsys.readouterr()
