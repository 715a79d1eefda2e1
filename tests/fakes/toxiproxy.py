"""toxiproxy: a TCP proxy that delays, slows, cuts and resets on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from fakes.process import Process, free_port, program


class Toxiproxy:
    """The server and its small HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def proxy(self, name: str, upstream: str, listen: str = "127.0.0.1:0") -> Proxy:
        """Put a new proxy before `upstream`, host:port; a proxy of that name is replaced."""
        self.call("DELETE", f"/proxies/{name}", absent_is_fine=True)
        made = self.call("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream})
        return Proxy(self, name, made["listen"])

    def call(self, verb: str, path: str, body: Any = None, *, absent_is_fine: bool = False) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(verb, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400 and not (absent_is_fine and answer.status == 404):
            raise RuntimeError(f"toxiproxy refused {verb} {path}: {content.decode(errors='replace')}")
        return json.loads(content) if content else None


class Proxy:
    """One proxied server; `address` is host:port for its clients."""

    def __init__(self, server: Toxiproxy, name: str, address: str) -> None:
        self._server = server
        self._path = f"/proxies/{name}"
        self.address = address

    def add(self, kind: str, *, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> str:
        """Add a toxic, such as `latency` with latency=50 (ms), and return its name.

        Kinds: latency (latency, jitter), bandwidth (rate, KB/s), slow_close (delay), timeout (timeout),
        reset_peer (timeout), slicer (average_size, size_variation, delay us), limit_data (bytes).
        `toxicity` is the share of connections that it befalls.
        """
        wanted = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        return str(self._server.call("POST", f"{self._path}/toxics", wanted)["name"])

    def remove(self, toxic: str) -> None:
        self._server.call("DELETE", f"{self._path}/toxics/{toxic}")

    def heal(self) -> None:
        """Enable the proxy and remove every toxic."""
        self.enable()
        for toxic in self._server.call("GET", f"{self._path}/toxics"):
            self.remove(toxic["name"])

    @contextmanager
    def toxic(
        self, kind: str, *, stream: str = "downstream", toxicity: float = 1.0, **attributes: int
    ) -> Iterator[None]:
        """Add a toxic for as long as the block lasts."""
        name = self.add(kind, stream=stream, toxicity=toxicity, **attributes)
        try:
            yield
        finally:
            self.remove(name)

    def disable(self) -> None:
        """Drop every connection and refuse new ones."""
        self._server.call("POST", self._path, {"enabled": False})

    def enable(self) -> None:
        self._server.call("POST", self._path, {"enabled": True})

    def delete(self) -> None:
        self._server.call("DELETE", self._path)


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    """One toxiproxy for all tests; each makes proxies of its own names."""
    port = free_port()
    argv = (program("toxiproxy-server"), "-host", "127.0.0.1", "-port", str(port))
    process = Process(argv, port=port, log=tmp_path_factory.mktemp("toxiproxy") / "log")
    yield Toxiproxy(port)
    process.stop()
