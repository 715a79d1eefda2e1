"""A real HTTP server on loopback that answers as a Stellar RPC node does, well or badly."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from stellarrow.ledgers import Network

Answer = tuple[int, dict[str, str], bytes]
# What to answer instead of the truth, given the request; None lets the truth through.
Fault = Callable[[dict[str, Any]], Answer | None]


class RpcNode:
    """Ledgers of a node, which a test may add to, take away, and let fail.

    `faults` are used up one a request; `asked` keeps every request.
    """

    def __init__(
        self,
        ledgers: Sequence[bytes] = (),
        *,
        first: int = 100,
        network: str = "synthetic",
        cap: int = 200,
        strict: bool = True,
    ) -> None:
        self.metas = {number: base64.b64encode(one).decode() for number, one in enumerate(ledgers, first)}
        self.passphrase = Network.of(network).passphrase
        self.cap = cap
        self.strict = strict  # checks the start beside a limit too, as not every version does
        self.faults: list[Fault | None] = []
        self.asked: list[dict[str, Any]] = []
        self.entries: dict[str, dict[str, Any]] = {}  # by key, each as getLedgerEntries has it
        self.url = ""

    @property
    def oldest(self) -> int:
        return min(self.metas)

    @property
    def latest(self) -> int:
        return max(self.metas)

    def add(self, ledger: bytes) -> None:
        self.metas = {**self.metas, self.latest + 1: base64.b64encode(ledger).decode()}

    def forget_before(self, first: int) -> None:
        self.metas = {number: meta for number, meta in self.metas.items() if number >= first}

    def methods(self) -> list[str]:
        return [request["method"] for request in self.asked]

    def answer(self, request: dict[str, Any]) -> Answer:
        self.asked.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if fault and (failed := fault(request)):
            return failed
        try:
            report = {"result": getattr(self, f"_{request['method']}")(request.get("params", {}))}
        except ValueError as error:
            report = {"error": {"code": -32602, "message": str(error)}}
        return 200, {}, json.dumps({"jsonrpc": "2.0", "id": request["id"], **report}).encode()

    def _getNetwork(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"passphrase": self.passphrase, "protocolVersion": 23}

    def _getHealth(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        window = {"latestLedger": self.latest, "oldestLedger": self.oldest}
        return {"status": "healthy", **window, "ledgerRetentionWindow": 120_960}

    def _getLatestLedger(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"id": "0" * 64, "sequence": self.latest, "protocolVersion": 23}

    def _getLedgerEntries(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [self.entries[key] for key in params["keys"] if key in self.entries]
        return {"entries": found, "latestLedger": self.latest}

    def _getLedgers(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        paging = params.get("pagination", {})
        start, cursor = params.get("startLedger"), paging.get("cursor")
        limit = paging.get("limit", 5)
        if start and cursor:
            raise ValueError("startLedger and cursor cannot both be set")
        if limit > self.cap:
            raise ValueError(f"limit must not exceed {self.cap}")
        metas = self.metas
        oldest, latest = min(metas), max(metas)
        if start and self.strict and not oldest <= start <= latest:
            raise ValueError(
                f"start ledger must be between the oldest ledger: {oldest} and the latest ledger: {latest}"
                " for this rpc instance"
            )
        due = int(cursor) + 1 if cursor else int(start or 0)
        given = [number for number in sorted(metas) if number >= due][:limit]
        return {
            "ledgers": [
                {
                    "hash": "0" * 64,
                    "sequence": number,
                    "ledgerCloseTime": "1764000000",
                    "headerXdr": "",
                    "metadataXdr": metas[number],
                }
                for number in given
            ],
            "latestLedger": latest,
            "latestLedgerCloseTime": 1764000000,
            "oldestLedger": oldest,
            "oldestLedgerCloseTime": 1764000000,
            "cursor": str(given[-1] if given else due - 1),
        }


def status(code: int, **headers: str) -> Fault:
    """Answer with an HTTP status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (code, named, b"no")


def html(_: dict[str, Any]) -> Answer:
    """Answer as a proxy does whose server is away."""
    return 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><title>Maintenance</title></html>"


def internal(request: dict[str, Any]) -> Answer:
    """Answer with JSON-RPC's internal error."""
    error = {"code": -32603, "message": "db is locked"}
    return 200, {}, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()


def reset(_: dict[str, Any]) -> Answer:
    """Hang up in the middle of an answer."""
    return 200, {"Content-Length": "1000"}, b'{"jsonrpc"'


def slow(seconds: float) -> Fault:
    """Tell the truth, late."""

    def wait(_: dict[str, Any]) -> None:
        time.sleep(seconds)

    return wait


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    node: ClassVar[RpcNode]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, headers, body = self.node.answer(request)
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if headers.get("Content-Length", str(len(body))) != str(len(body)):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


@contextmanager
def serving(node: RpcNode, *, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[RpcNode]:
    """Serve a node on loopback; its `url` is set."""
    handler = type("Handler", (_Handler,), {"node": node})
    with _Server(("127.0.0.1", port), handler) as server:
        node.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield node
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def rpc(ledgers: tuple[bytes, ...]) -> Iterator[RpcNode]:
    """A node that holds the forty ledgers."""
    with serving(RpcNode(ledgers)) as node:
        yield node
