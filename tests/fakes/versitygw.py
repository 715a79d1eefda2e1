"""versitygw: an S3 server over a folder."""

from __future__ import annotations

from collections.abc import Iterator
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
    port = free_port()
    place = tmp_path_factory.mktemp("versitygw")
    for name in ("buckets", "metadata"):
        (place / name).mkdir()
    # Metadata beside the objects, for temporary folders on file systems without extended attributes.
    argv: list[str | Path] = [program("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive"]
    argv += ["posix", "--sidecar", place / "metadata", place / "buckets"]
    keys = {"ROOT_ACCESS_KEY": _ACCESS_KEY, "ROOT_SECRET_KEY": _SECRET_KEY}
    process = Process(argv, port=port, log=place / "log", env=keys)
    yield S3(process, place / "buckets")
    process.stop()


@pytest.fixture
def bucket(versitygw: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """An empty bucket of the test's own, and its keys in the environment."""
    for name, value in (versitygw.environment | {"HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid4().hex[:12]}"
    return Bucket(versitygw, name, versitygw.bucket(name))
