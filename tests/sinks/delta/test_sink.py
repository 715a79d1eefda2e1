from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.versitygw import Bucket
from sinks.delta.made import DeltaContract, plain_rows
from sinks.delta.opening import options
from sinks.lasting import FlatContract, together
from sinks.typed_tables import TypedTablesContract
from stellarrow.core.framing import frame
from stellarrow.sinks.delta import DeltaSink
from stellarrow.sinks.delta.log import DeltaLog
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.files import FileStore


class TestDeltaSink(DeltaContract, FlatContract):
    """Delta tables in a folder."""

    slack = 1.5  # a checkpoint, which follows each fifty commits, names every file

    def widen(self) -> None:
        self.ledgers_per_file = 1_000

    def test_a_commit_whose_answer_was_lost_and_that_others_built_on_is_not_taken_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.keep((100, 104))
        put, lost = DeltaLog.put, list[str]()

        def losing(log: DeltaLog, path: str, data: Any, *, new: bool = False) -> bool:
            done = put(log, path, data, new=new)
            if not (done and new and "_delta_log/0" in path) or log.folder in lost:
                return done
            lost.append(log.folder)
            self.keep((105, 109))
            return False  # as a store answers, that is asked again

        monkeypatch.setattr(DeltaLog, "put", losing)
        self.keep((110, 114))
        assert len(lost) == len(self.tables)
        self.assert_holds("100:114")


@pytest.mark.slow
class TestTypedTables(TypedTablesContract, TestDeltaSink):
    """A contract's own tables as Delta tables in a folder."""

    stride = 13

    @property
    def address(self) -> str:
        return f"delta:{self.folder}"


@pytest.mark.slow
class TestDeltaInS3(DeltaContract):
    """Delta tables in a bucket of a real S3 server, without a locking service beside it."""

    longest = 1.0

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket) -> None:
        self.bucket = bucket

    @property
    def root(self) -> Path:
        return self.bucket.folder / self.folder.name

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.folder.name}"

    def store(self) -> FileStore:
        return CloudFiles(self.url)

    def store_source(self) -> str:
        environment = self.bucket.server.environment
        return (
            f"(__import__('os').environ.update({environment!r}),"
            f" __import__('stellarrow.storage.cloud_files').storage.cloud_files.CloudFiles({self.url!r}))[1]"
        )

    def tend(self) -> None:
        DeltaSink.compact(f"delta:{self.url}", self.ledgers_per_file)


def written(sink: DeltaSink, ledgers: tuple[bytes, ...], first: int, last: int) -> DeltaSink:
    data = frame(ledgers[first - 100 : last - 99], "record-marked")
    chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
    sink.write(sa.Decoder(["ledgers"], network="synthetic")(chunk))
    return sink


def test_two_writers_in_a_bucket_leave_each_ledger_once(bucket: Bucket, ledgers: tuple[bytes, ...]) -> None:
    stores = [CloudFiles(f"s3://{bucket.name}/out") for _ in range(2)]
    sinks = [DeltaSink(one, ["ledgers"], options=options(), ledgers_per_file=10) for one in stores]
    for first, last in ((100, 104), (103, 111), (112, 119)):
        together(*(written(sink, ledgers, first, last).commit for sink in sinks))
    for sink in sinks:
        assert str(sink.coverage()) == "100:119"
        sink.close()
    rows = plain_rows(bucket.folder / "out" / "ledgers")
    assert sorted(row["ledger_sequence"] for row in rows) == [*range(100, 120)]


def test_a_store_that_cannot_place_what_must_be_new_is_refused(
    bucket: Bucket, ledgers: tuple[bytes, ...]
) -> None:
    class Unconditional(CloudFiles):
        is_conditional = False

    sink = DeltaSink(Unconditional(f"s3://{bucket.name}/out"), ["ledgers"], options=options())
    written(sink, ledgers, 100, 104)
    with pytest.raises(sa.SinkError, match="cannot keep a Delta table"):
        sink.commit()
    sink.close()
    assert not [*bucket.folder.rglob("_delta_log/*.json")]
