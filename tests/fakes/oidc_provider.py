"""A real OIDC provider (oidc-provider of npm) on loopback."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from fakes.process import Process, free_port, program


class OidcProvider:
    """Issues tokens to clients named ROLE-ALGORITHM, and rotates its keys when told."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.issuer = f"http://127.0.0.1:{process.port}"

    def token(self, role: str, algorithm: str = "RS256", *, resource: str | None = None) -> str:
        """Return an access token by the grant client_credentials."""
        login = base64.b64encode(f"{role}-{algorithm}:secret".encode()).decode()
        body = "grant_type=client_credentials" + (f"&resource={resource}" if resource else "")
        request = Request(  # noqa: S310  on loopback
            f"{self.issuer}/token", data=body.encode(), headers={"Authorization": f"Basic {login}"}
        )
        answer: str = _read(request)["access_token"]
        return answer

    def rotate(self) -> None:
        """Sign with new keys from now on; the old ones are published no more."""
        _read(f"{self.issuer}/test/rotate")

    @property
    def asked(self) -> int:
        """How often its keys were asked for."""
        return int(_read(f"{self.issuer}/test/asked")["asked"])


def _read(request: str | Request) -> Any:
    with urlopen(request, timeout=10) as answer:  # noqa: S310  on loopback
        return json.load(answer)


@contextmanager
def _started(folder: Path) -> Iterator[OidcProvider]:
    node = program("node", remedy="install Node.js")
    servers = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent
    packages = servers / "node" / "node_modules"
    if not packages.is_dir():
        pytest.skip(f"oidc-provider is not in {packages}: make servers installs it")
    (folder / "node_modules").symlink_to(packages)
    script = folder / "provider.mjs"
    script.write_text(Path(__file__).with_name("oidc_provider.mjs").read_text())
    port = free_port()
    process = Process([node, script, str(port)], port=port, log=folder / "log")
    try:
        yield OidcProvider(process)
    finally:
        process.stop()


@pytest.fixture(scope="session")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """A provider whose keys stay."""
    with _started(tmp_path_factory.mktemp("oidc")) as provider:
        yield provider


@pytest.fixture
def oidc_alone(tmp_path: Path) -> Iterator[OidcProvider]:
    """A provider of one test, which may rotate its keys."""
    folder = tmp_path / "oidc"
    folder.mkdir()
    with _started(folder) as provider:
        yield provider
