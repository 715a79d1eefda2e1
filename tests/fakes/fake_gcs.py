"""fake-gcs-server: Google Cloud Storage on loopback, for reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from fakes.process import Process, free_port, program


@dataclass(frozen=True, slots=True)
class Gcs:
    """The server, and its JSON interface, by which a test fills it."""

    process: Process

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.process.port}"

    def bucket(self, name: str) -> None:
        self._post("/storage/v1/b?project=test", json.dumps({"name": name}).encode())

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self._post(f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}", data)

    def _post(self, path: str, body: bytes) -> None:
        connection = HTTPConnection("127.0.0.1", self.process.port, timeout=10)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            answer_shown = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"fake-gcs-server refused {path}: {answer_shown.decode(errors='replace')}")


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    port = free_port()
    remedy = "go install github.com/fsouza/fake-gcs-server@latest"
    argv: list[str | Path] = [program("fake-gcs-server", remedy=remedy), "-scheme", "http"]
    argv += ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    argv += ["-backend", "memory", "-log-level", "error"]
    process = Process(argv, port=port, log=tmp_path_factory.mktemp("gcs") / "log")
    yield Gcs(process)
    process.stop()
