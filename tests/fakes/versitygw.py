"""versitygw: an S3 server over a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from fakes.process import Process, free_port, program

_ACCESS_KEY: Final = "stellarrow-tests"
_SECRET_KEY: Final = "not-a-secret"


@dataclass(frozen=True, slots=True)
class S3:
    """An S3 server: where it listens, and the keys of its root user, who may do everything."""

    process: Process
    root: Path
    access_key: str = _ACCESS_KEY
    secret_key: str = _SECRET_KEY
    region: str = "us-east-1"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.process.port}"

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the root user finds in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def bucket(self, name: str) -> Path:
        """Make a bucket and return its folder: files put there are objects, and the other way round."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the server it is on."""

    server: S3
    name: str
    folder: Path


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One S3 server for all tests; each makes buckets of its own names."""
    place = tmp_path_factory.mktemp("versitygw")
    (place / "metadata").mkdir()
    # Metadata beside the objects, for temporary folders on file systems without extended attributes.
    with started(place, "--sidecar", place / "metadata") as server:
        yield server


@pytest.fixture(scope="session")
def exact_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server of which an object and its ETag change in one step."""
    place = tmp_path_factory.mktemp("exact-s3")
    try:
        os.setxattr(place, "user.stellarrow", b"1")
    except OSError:
        pytest.skip(f"{place} is on a file system without extended attributes: set TMPDIR to another")
    with started(place) as server:
        yield server


@contextmanager
def started(place: Path, *flags: str | Path) -> Iterator[S3]:
    """Run a server on a folder of its own."""
    port = free_port()
    (place / "buckets").mkdir()
    argv: list[str | Path] = [program("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive"]
    argv += ["posix", *flags, place / "buckets"]
    keys = {"ROOT_ACCESS_KEY": _ACCESS_KEY, "ROOT_SECRET_KEY": _SECRET_KEY}
    process = Process(argv, port=port, log=place / "log", env=keys)
    try:
        yield S3(process, place / "buckets")
    finally:
        process.stop()


@pytest.fixture
def bucket(versitygw: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """An empty bucket of the test's own, and its keys in the environment."""
    return _bucket(versitygw, monkeypatch, tmp_path)


@pytest.fixture
def exact_bucket(exact_s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """The same on the exact server."""
    return _bucket(exact_s3, monkeypatch, tmp_path)


def _bucket(server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    for name, value in (server.environment | {"HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid4().hex[:12]}"
    return Bucket(server, name, server.bucket(name))
