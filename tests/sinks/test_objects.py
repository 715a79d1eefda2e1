from __future__ import annotations

import time

import pytest

import stellarrow as sa
from fakes.versitygw import Bucket
from sinks.kept import FileContract
from stellarrow.net.resilience import Policy
from stellarrow.sinks.files import cloud, sink
from stellarrow.sinks.files.cloud import CloudFiles
from stellarrow.sinks.files.store import FileStore
from stellarrow.sinks.parquet import ParquetSink


class TestParquetInS3(FileContract):
    """Parquet in a bucket of a real S3 server."""

    tables = ("ledgers", "contract_data")
    older = ("ledgers", "contract_data@1.0")
    longest = 1.0

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bucket = bucket
        for name, value in bucket.server.environment.items():
            monkeypatch.setenv(name, value)

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.folder.name}"

    def store(self) -> FileStore:
        return CloudFiles(self.url)

    def store_source(self) -> str:
        environment = self.bucket.server.environment
        return (
            f"(__import__('os').environ.update({environment!r}),"
            f" __import__('stellarrow.sinks.files.cloud').sinks.files.cloud.CloudFiles({self.url!r}))[1]"
        )

    def files(self) -> dict[str, bytes]:
        root = self.bucket.folder / self.folder.name
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def test_a_large_file_is_put_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keep((100, 109))
        expected = self.files()
        self.move("in-parts")
        monkeypatch.setattr(cloud, "_AT_ONCE", 1_000)
        monkeypatch.setattr(cloud, "_IN_MEMORY", 1_000)
        monkeypatch.setattr(cloud, "_PART", 5 << 20)
        self.keep((100, 109))
        assert self.files() == expected

    def test_closing_does_not_wait_for_a_server_that_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sink, "_PATIENCE", 0.3)
        kept = self.open()
        kept.write(self.batch(100, 109))
        kept.write(self.batch(110, 114))
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # discard: nobody listens
        kept._store._connect()  # type: ignore[attr-defined]
        kept.write(self.batch(115, 119))
        began = time.monotonic()
        kept.close()
        assert time.monotonic() - began < 5

    def test_a_bucket_that_is_not_there_is_a_sink_error(self) -> None:
        with pytest.raises(sa.SinkError, match="there is no such bucket"):
            ParquetSink("s3://no-such-bucket-here/x", self.tables, network="synthetic")

    def test_a_server_that_is_gone_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # discard: nobody listens
        store = CloudFiles(self.url, policy=Policy(attempts=2, first_wait=0.01))
        with pytest.raises(sa.SinkUnavailable, match="the server does not answer"):
            ParquetSink(store, self.tables, network="synthetic")
