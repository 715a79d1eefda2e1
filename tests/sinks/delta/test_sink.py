from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.versitygw import Bucket
from sinks.delta.made import DeltaContract
from sinks.delta.opening import options
from stellarrow.sinks.delta import DeltaSink
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.files import FileStore


class TestDeltaSink(DeltaContract):
    """Delta tables in a folder."""

    @pytest.mark.slow
    @pytest.mark.parametrize("each", [False, True])
    def test_killed_before_every_single_step_it_resumes(
        self, forks: subprocess.Popen[str], *, each: bool
    ) -> None:
        self.stride = 1
        self.test_killed_before_any_step_it_resumes(forks, commit_each=each)


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

    def test_a_store_that_cannot_place_what_must_be_new_is_refused(self) -> None:
        class Unconditional(CloudFiles):
            is_conditional = False

        sink = DeltaSink(Unconditional(self.url), self.tables, options=options())
        sink.write(self.batch(100, 104))
        with pytest.raises(sa.SinkError, match="cannot keep a Delta table"):
            sink.commit()
        sink.close()
        assert not [*self.root.rglob("_delta_log/*.json")]
