"""A processor with its servers, in this process, and clients of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.session import Status
from stellarrow.processor.shared_sessions import SharedSessions
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.servers.processor_grpc import SERVICE, ControlServer
from stellarrow.sources.files import FileSource

ANYWHERE = Address("127.0.0.1", 0)
EVERY_ROW = sa.Filter()


@dataclass
class Received:
    """What a stream brought."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch.to_pylist()]

    @property
    def resume(self) -> str:
        return str(self.told[-1]["resume"])


class Tables:
    """A Flight client."""

    def __init__(self, address: Address) -> None:
        self.client = flight.connect(f"grpc://{address}")

    def read(self, *, most: int | None = None, headers: Sequence[Any] = (), **command: Any) -> Received:
        """Read a command's endpoints one after the other, to the end or for some batches."""
        received = Received()
        for endpoint in self.info(**command).endpoints:
            stream = self.client.do_get(endpoint.ticket, flight.FlightCallOptions(headers=list(headers)))
            for chunk in stream:
                received.batches.append(chunk.data)
                received.told.append(json.loads(chunk.app_metadata.to_pybytes()))
                if most is not None and len(received.batches) >= most:
                    stream.cancel()
                    return received
        return received

    def info(self, **command: Any) -> flight.FlightInfo:
        return self.client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command).encode()))

    def acknowledge(self, reader: str, table: str, resume: str) -> None:
        body = json.dumps({"reader": reader, "table": table, "resume": resume}).encode()
        list(self.client.do_action(flight.Action("acknowledge", body)))

    def path(self, *words: str) -> pa.Table:
        info = self.client.get_flight_info(flight.FlightDescriptor.for_path(*words))
        table: pa.Table = self.client.do_get(info.endpoints[0].ticket).read_all()
        return table


class Control:
    """A client of the control service."""

    def __init__(self, address: Address) -> None:
        self.channel = grpc.insecure_channel(str(address))

    def __call__(self, method: str, **fields: Any) -> Any:
        request = getattr(messages, f"{method}Request")
        answer = getattr(messages, f"{method}Response")
        call = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        return call(request(**fields), timeout=10)

    def close(self) -> None:
        self.channel.close()


class Service:
    """A running processor."""

    def __init__(
        self, source: Callable[[], sa.Source], options: Options, shared: SharedSessions | None = None
    ) -> None:
        self.processor = Processor(source, options, shared=shared)
        self.processor.resume()
        self.flight = FlightServer(ANYWHERE, self.processor)
        self.grpc = ControlServer(ANYWHERE, self.processor)
        self.grpc.start()
        self.tables = Tables(self.flight.address)
        self.control = Control(self.grpc.address)

    def finished(self, session_id: str, *, within: float = 20.0) -> Status:
        return self.reached(session_id, lambda status: status.is_final, within=within)

    def reached(self, session_id: str, wanted: Callable[[Status], bool], *, within: float = 20.0) -> Status:
        deadline = time.monotonic() + within
        while not wanted(status := self.processor.work(session_id).session.status):
            assert time.monotonic() < deadline, self.processor.work(session_id).session
            time.sleep(0.005)
        return status

    def close(self) -> None:
        self.processor.drain()
        self.control.close()
        self.tables.client.close()
        self.grpc.close()
        self.flight.close()
        self.processor.close()


Start = Callable[..., Service]


@pytest.fixture(scope="session")
def ledgers() -> tuple[bytes, ...]:
    """Forty ledgers, 100 to 139, of several contracts, with deletions."""
    return tuple(islice(synthetic(20, first=100, ledger_bytes=20_000), 40))


@pytest.fixture
def start(tmp_path: Path, make_lake: Callable[..., Path]) -> Iterator[Start]:
    """Start a processor over the forty ledgers, or another source; each call on the same state."""
    with ExitStack() as stack:

        def make(
            source: Callable[[], sa.Source] | None = None,
            shared: SharedSessions | None = None,
            **options: Any,
        ) -> Service:
            if source is None:
                lake = tmp_path / "lake"
                if not lake.exists():
                    make_lake()
                source = lambda: FileSource(lake)  # noqa: E731
            chosen = {"where": EVERY_ROW, "state_dir": tmp_path / "state", "batch_size": 5, **options}
            return stack.enter_context(closing(Service(source, Options(**chosen), shared)))

        yield make


@pytest.fixture(scope="session")
def expected(ledgers: tuple[bytes, ...]) -> Callable[..., list[dict[str, Any]]]:
    """What decoding the forty ledgers says."""
    data = b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers)

    def decoded(table: str, first: int = 100, last: int = 139, **where: Any) -> list[dict[str, Any]]:
        made = sa.decode(
            data,
            [table],
            network="synthetic",
            ledgers=sa.LedgerRange(first, last),
            where=sa.Filter(**where),
        )
        rows: list[dict[str, Any]] = made[table].to_pylist()
        return rows

    return decoded


class Endless:
    """A source that follows a chain of forty ledgers, as far as the test lets it be."""

    def __init__(self, ledgers: tuple[bytes, ...], *, network: str = "synthetic") -> None:
        self.network = sa.Network.of(network)
        self._ledgers = ledgers
        self._changed = threading.Condition()
        self._last = 99
        self._taken = 99

    def __call__(self) -> _Follower:
        return _Follower(self)

    def give(self, last: int) -> None:
        """Let the chain close ledgers up to this one."""
        with self._changed:
            self._last = last
            self._changed.notify_all()

    def wait_until_taken(self, ledger: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._taken >= ledger, 20)

    def chunk(self, ledger: int, stopped: Callable[[], bool]) -> sa.LedgerChunk | None:
        with self._changed:
            self._taken = max(self._taken, ledger - 1)
            self._changed.notify_all()
            while ledger > self._last:
                if stopped():
                    return None
                self._changed.wait(0.05)
        return sa.LedgerChunk(self._ledgers[ledger - 100], "single", ledger, ledger, "chain")


class _Follower:
    """One reader of the chain."""

    def __init__(self, chain: Endless) -> None:
        self._chain = chain
        self._stop = threading.Event()

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet([sa.LedgerRange(100)])

    def network(self) -> sa.Network:
        return self._chain.network

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        for ledger in range(ledgers.first, ledgers.end + 1):
            chunk = self._chain.chunk(ledger, self._stop.is_set)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        self._stop.set()


@pytest.fixture
def endless(ledgers: tuple[bytes, ...]) -> Endless:
    return Endless(ledgers)
