"""azurite: Azure's blob storage on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import pytest

from fakes.process import Process, free_port, program

_ACCOUNT: Final = "devstoreaccount1"
# The key everybody knows: azurite's documentation gives it.
_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class Azure:
    """The server, and what its clients find in their environment."""

    process: Process

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.process.port}/{_ACCOUNT}"

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": _KEY}

    def container(self, name: str) -> None:
        """Make a container, with the one request that is signed by hand."""
        date = formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "content-length": "0"}
        signed = "\n".join(
            (
                *("PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-08-06"),
                *(f"/{_ACCOUNT}/{_ACCOUNT}/{name}", "restype:container"),
            )
        )
        digest = hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)
        headers["authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
        connection = HTTPConnection("127.0.0.1", self.process.port, timeout=10)
        try:
            connection.request("PUT", f"/{_ACCOUNT}/{name}?restype=container", headers=headers)
            answer = connection.getresponse()
            answer_shown = answer.read()
        finally:
            connection.close()
        if answer.status != 201:
            raise RuntimeError(f"azurite made no container: {answer_shown.decode(errors='replace')}")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    port = free_port()
    place = tmp_path_factory.mktemp("azurite")
    argv: list[str | Path] = [program("azurite-blob", remedy="npm install azurite")]
    argv += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", place]
    argv += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    process = Process(argv, port=port, log=place / "log")
    yield Azure(process)
    process.stop()
