from __future__ import annotations

import time
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.faulty import Fault, FaultyProxy
from fakes.versitygw import Bucket
from sinks.kept import FileContract
from stellarrow.net.resilience import Policy
from stellarrow.sinks.files import sink, verify
from stellarrow.sinks.files.reading import listings
from stellarrow.sinks.files.verify import check, repair
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.storage import cloud_files
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.files import FileStore


class TestParquetInS3(FileContract):
    """Parquet in a bucket of a real S3 server."""

    tables = ("ledgers", "contract_data")
    longest = 1.0
    stride = 4

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bucket = bucket
        for name, value in bucket.server.environment.items():
            monkeypatch.setenv(name, value)

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.folder.name}"

    @property
    def root(self) -> Path:
        return self.bucket.folder / self.folder.name

    @pytest.fixture(autouse=True)
    def _proxy(self, faulty: FaultyProxy, _bucket: None) -> None:
        faulty.upstream = self.bucket.server.address
        self.proxy = faulty

    def store(self) -> FileStore:
        return CloudFiles(self.url)

    def fragile_store(self) -> FileStore:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", self.proxy.endpoint)
            return CloudFiles(self.url, policy=Policy(attempts=2, first_wait=0.01))

    def break_store(self) -> None:
        def refusing(method: str, path: str) -> Fault | None:
            is_object = method == "GET" and self.harmed in path.partition("?")[0]
            return Fault(status=503, code="SlowDown") if is_object else None

        self.proxy.plan = refusing
        self.proxy.seen.clear()

    def mend_store(self) -> None:
        asked = {method for method, _ in self.proxy.seen}
        assert asked == {"GET"}  # nothing was put, copied or deleted

    def store_source(self) -> str:
        environment = self.bucket.server.environment
        return (
            f"(__import__('os').environ.update({environment!r}),"
            f" __import__('stellarrow.storage.cloud_files').storage.cloud_files.CloudFiles({self.url!r}))[1]"
        )

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def test_a_large_file_is_put_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keep((100, 109))
        expected = self.files()
        self.move("in-parts")
        monkeypatch.setattr(cloud_files, "_AT_ONCE", 1_000)
        monkeypatch.setattr(cloud_files, "_IN_MEMORY", 1_000)
        monkeypatch.setattr(cloud_files, "_PART", 5 << 20)
        self.keep((100, 109))
        assert self.files() == expected

    @pytest.mark.parametrize("fault", [Fault(flip=-30), Fault(shorten=50), Fault(cut=50)])
    def test_what_a_store_gives_wrongly_once_moves_nothing(self, fault: Fault) -> None:
        self.keep((100, 109))
        before = self.files()
        table = next(one for one in listings(self.fragile_store()) if one.shape.folder == self.harmed)
        name = self.data(100, 109)[0].name
        left = [fault]
        self.proxy.plan = lambda method, path: (
            left.pop() if left and method == "GET" and name in path else None
        )
        wrong = [one for one in check(table) if isinstance(one, verify.Fault)]
        assert bool(wrong) is (fault.cut is None)  # an answer that breaks off is asked for again
        assert repair(table, wrong).moved == ()
        assert self.files() == before

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
            ParquetSink("s3://no-such-bucket-here/x", self.tables, network="synthetic").coverage()

    def test_a_server_that_is_gone_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # discard: nobody listens
        store = CloudFiles(self.url, policy=Policy(attempts=2, first_wait=0.01))
        with pytest.raises(sa.SinkUnavailable, match="the server does not answer"):
            ParquetSink(store, self.tables, network="synthetic").coverage()
