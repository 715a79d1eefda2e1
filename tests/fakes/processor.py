"""A processor's Arrow Flight as the contract has it: commands in JSON, resume tokens in app_metadata."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa

KNOWN = {
    *("table", "version", "start_ledger", "end_ledger", "contract_ids", "asset_codes", "event_names"),
    *("columns", "where", "from", "follow", "decoded"),
}

HALF = 0  # as a batch's count of ledgers: of its last one, rows are still to come


class Processor:
    """What a processor has to send; it may be stopped, started again and cut off."""

    def __init__(self) -> None:
        self.pieces: list[sa.LedgerBatch] = []
        self.asked: list[dict[str, Any]] = []
        self.port = 0
        self.breaks_after: int | None = None  # batches until a stream breaks
        self.ends = False  # whether the sessions have ended
        self._server: _Server | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = _Server(self, f"grpc://127.0.0.1:{self.port}")
        self.port = self._server.port

    def stop(self) -> None:
        if self._server:
            self._server.stopping.set()
            self._server.shutdown()
            self._server = None


class _Server(flight.FlightServerBase):  # type: ignore[misc]
    def __init__(self, processor: Processor, location: str) -> None:
        super().__init__(location)
        self.stopping = threading.Event()
        self._processor = processor

    def get_flight_info(self, _: Any, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        asked = json.loads(descriptor.command)
        if unknown := set(asked) - KNOWN:
            raise pa.ArrowInvalid(f"unknown keys: {', '.join(unknown)}")
        self._processor.asked.append(asked)
        self._place(asked)
        ticket = flight.Ticket(descriptor.command)
        schema = sa.schema(f"{asked['table']}@{asked['version']}")
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1)

    def do_get(self, _: Any, ticket: flight.Ticket) -> flight.GeneratorStream:
        asked = json.loads(ticket.ticket)
        schema = sa.schema(f"{asked['table']}@{asked['version']}")
        return flight.GeneratorStream(schema, self._sent(asked, schema))

    def _place(self, asked: dict[str, Any]) -> int:
        since = asked.get("from", "earliest")
        if since == "earliest":
            return 0
        if not since.startswith("after-") or int(since[6:]) > len(self._processor.pieces):
            raise pa.ArrowInvalid(f"no such place: {since}")
        return int(since[6:])

    def _sent(self, asked: dict[str, Any], schema: pa.Schema) -> Iterator[Any]:
        at, sent = self._place(asked), 0
        while not self.stopping.is_set():
            if at == len(self._processor.pieces):
                if self._processor.ends:
                    return
                time.sleep(0.01)
                continue
            if sent == self._processor.breaks_after:
                self._processor.breaks_after = None
                raise flight.FlightUnavailableError("cut off")
            piece = self._processor.pieces[at]
            at, sent = at + 1, sent + 1
            report: dict[str, Any] = {
                "first_ledger": piece.first,
                "last_ledger": piece.last,
                "resume": f"after-{at}",
            }
            report["complete"] = piece.run.count != HALF
            rows = piece.tables[asked["table"]]
            yield pa.RecordBatch.from_arrays(rows.columns, schema=schema), json.dumps(report).encode()


@pytest.fixture
def processor() -> Iterator[Processor]:
    """A processor that serves what a test puts into it."""
    made = Processor()
    made.start()
    yield made
    made.stop()
