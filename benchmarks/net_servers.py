"""The servers and clients that sources_net.py lets talk to each other, each a process of its own."""

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from builds import HERE

from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import LedgerRange
from stellarrow.sources.grpc import GrpcSource

sys.path.insert(0, str(HERE.parent / "tests"))

from fakes import raw_ledgers, rpc  # the tests' own: real servers, once well behaved

FIRST = 100
_spawning = multiprocessing.get_context("spawn")


class QuickNode(rpc.RpcNode):
    """An RPC node that has its answers ready: what is measured is the client."""

    def __init__(self, ledgers: list[bytes]) -> None:
        super().__init__(ledgers, first=FIRST)
        self._ready = {number: json.dumps(self._told(number)).encode() for number in self.metas}

    def _told(self, number: int) -> dict[str, Any]:
        return {"hash": "0" * 64, "sequence": number, "headerXdr": "", "metadataXdr": self.metas[number]}

    def add(self, ledger: bytes) -> None:
        super().add(ledger)
        self._ready[self.latest] = json.dumps(self._told(self.latest)).encode()

    def answer(self, request: dict[str, Any]) -> rpc.Answer:
        if request["method"] != "getLedgers":
            return super().answer(request)
        params = request["params"]
        cursor = params["pagination"].get("cursor")
        due = int(cursor) + 1 if cursor else params["startLedger"]
        given = [
            number for number in range(due, due + params["pagination"]["limit"]) if number in self._ready
        ]
        tail = json.dumps(
            {
                "latestLedger": self.latest,
                "oldestLedger": self.oldest,
                "cursor": str(given[-1] if given else due - 1),
            }
        ).encode()
        ledgers = b",".join(self._ready[number] for number in given)
        return 200, {}, b'{"jsonrpc":"2.0","id":1,"result":{"ledgers":[' + ledgers + b"]," + tail[1:] + b"}"


def make(count: int, size: int) -> list[bytes]:
    return list(itertools.islice(synthetic(2_000, first=FIRST, ledger_bytes=size), count))


def serve_rpc(pipe: Connection, count: int, size: int) -> None:
    with rpc.serving(QuickNode(make(count, size))) as node:
        pipe.send(node.url)
        pipe.recv()


def serve_grpc(pipe: Connection, count: int, size: int) -> None:
    with raw_ledgers.serving(raw_ledgers.RawLedgers(make(count, size), first=FIRST)) as port:
        pipe.send(f"grpc://127.0.0.1:{port}")
        pipe.recv()


def read_all(pipe: Connection, url: str, first: int, count: int) -> None:
    """Read ledgers when told, and send how many bytes came."""
    source = GrpcSource(url)
    pipe.send("ready")
    while pipe.recv():
        pipe.send(sum(len(chunk.data) for chunk in source.read(LedgerRange(first, first + count - 1))))


@contextmanager
def running(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[Connection, Any]]:
    """Run work in a process; yield the pipe to it and the first thing it said."""
    ours, theirs = _spawning.Pipe()
    process = _spawning.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours, ours.recv()
    finally:
        ours.send(None)
        process.join(5)
        process.kill()


@contextmanager
def source_service(source: str, state: Path) -> Iterator[str]:
    """Run `stellarrow source serve` and yield its gRPC address once it is ready."""
    places = {"GRPC_ADDRESS": ":0", "FLIGHT_ADDRESS": ":0", "HEALTH_PORT": "0", "STATE_DIR": str(state)}
    command = [sys.executable, "-m", "stellarrow.cli", "source", "serve", "--source", source]
    with subprocess.Popen(
        command, env={**os.environ, **places}, stderr=subprocess.PIPE, text=True
    ) as process:
        answer = json.loads(process.stderr.readline() if process.stderr else "")["message"]
        time.sleep(1)
        try:
            yield "grpc://" + answer.partition("gRPC ")[2].partition(",")[0]
        finally:
            process.terminate()
