"""Arrow Flight that takes tables: what is pushed by DoPut, acknowledged once it is durable.

`receive` is for any server of ours; `ReceivingServer` is one that does nothing else.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.core.tables import schema, table
from stellarrow.errors import ConfigError, StellarrowError, Unavailable, nearest
from stellarrow.net.address import Address
from stellarrow.net.redaction import shortened
from stellarrow.receiving.intake import GapRefused, Intake
from stellarrow.receiving.pushed import Pushed, read
from stellarrow.security.access import Access, Grant
from stellarrow.security.tls import Tls
from stellarrow.servers.flight_base import FlightListener, GuardedFlight, gone_of
from stellarrow.servers.flight_errors import answering

_HELD_BYTES: Final = 32 << 20  # of rows that wait to be durable
_POLL_SECONDS: Final = 0.1  # between looks at whether something is due
Intakes = Mapping[str, Intake]


def receive(
    intakes: Intakes,
    descriptor: flight.FlightDescriptor,
    reader: Any,
    writer: Any,
    *,
    ended: Callable[[], None],
    interval: float,
) -> None:
    """Take what one call pushes; what comes is durable, and acknowledged, within `interval` seconds.

    `ended` raises where the call may not go on. An error is also told as a last PutResult, with `error` and
    for a gap `expected`: a client that waits for an acknowledgement learns of it.
    """
    intake = intake_of(intakes, descriptor)
    _check_schema(intake.table, reader.schema)
    acknowledging = _Acknowledging(intake, writer, ended, interval)
    try:
        for chunk in _chunks(reader):
            acknowledging.check()
            pushed = read(chunk.app_metadata.to_pybytes() if chunk.app_metadata else b"", chunk.data)
            acknowledging.take(pushed)
    except StellarrowError as error:
        acknowledging.stop(error)
        raise
    acknowledging.stop()
    acknowledging.check()


class _Acknowledging:
    """Commits what a call has pushed when it is due, beside the call's reading, and says so."""

    def __init__(self, intake: Intake, writer: Any, ended: Callable[[], None], interval: float) -> None:
        self._intake = intake
        self._writer = writer
        self._ended = ended
        self._interval = interval
        self._changed = threading.Condition()
        self._waiting: deque[Pushed] = deque()
        self._held = 0
        self._due: float | None = None
        self._error: StellarrowError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="stellarrow-acknowledge", daemon=True)
        self._thread.start()

    def take(self, pushed: Pushed) -> None:
        """Take a batch; wait where much is not durable yet."""
        self._intake.take(pushed)
        with self._changed:
            self._waiting.append(pushed)
            self._held += pushed.rows.nbytes
            self._due = self._due or time.monotonic() + self._interval
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._held < _HELD_BYTES or self._error)
        self.check()

    def check(self) -> None:
        """Raise what went wrong beside."""
        if self._error:
            raise self._error

    def stop(self, error: StellarrowError | None = None) -> None:
        """Make durable what came and say so, then say what went wrong."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if error and not self._error:
            expected = {"expected": error.expected} if isinstance(error, GapRefused) else {}
            with suppress(StellarrowError):
                self._say({"error": str(error), **expected})

    def _run(self) -> None:
        try:
            while self._wait():
                self._commit()
        except StellarrowError as error:
            with suppress(StellarrowError):
                self._say({"error": str(error)})
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Return when something is to be made durable; False when all is, and no more comes."""
        while True:
            self._ended()
            with self._changed:
                now = time.monotonic()
                is_due = self._due is not None and now >= self._due
                if self._waiting and (is_due or self._stopping or self._held >= _HELD_BYTES):
                    return True
                if self._stopping:
                    return False
                self._changed.wait(min(_POLL_SECONDS, max(0.0, (self._due or now + 1) - now)))

    def _commit(self) -> None:
        with self._changed:
            waiting = list(self._waiting)
            self._due = None
        durable = self._intake.commit()
        for pushed in waiting:
            if lost := pushed.ledgers - durable:
                raise Unavailable(f"{self._intake.table} of ledgers {lost} could not be kept: push it again")
            self._say(pushed.acknowledged())
        with self._changed:
            for pushed in waiting:
                self._waiting.popleft()
                self._held -= pushed.rows.nbytes
            self._due = time.monotonic() + self._interval if self._waiting else None
            self._changed.notify_all()

    def _say(self, answer: Mapping[str, object]) -> None:
        try:
            self._writer.write(pa.py_buffer(json.dumps(answer).encode()))
        except pa.ArrowException as error:  # who left is told nothing
            raise Unavailable(f"the producer has gone ({error})") from error


def intake_of(intakes: Intakes, descriptor: flight.FlightDescriptor) -> Intake:
    """Return what takes the table that a path names."""
    words = [word.decode("utf-8", "replace") for word in descriptor.path or ()]
    if descriptor.descriptor_type != flight.DescriptorType.PATH or len(words) not in (1, 2):
        raise ConfigError("push to a path: [table] or [table, version]")
    name = str(table("@".join(words)))
    known = {str(table(one)): intake for one, intake in intakes.items()}
    if name not in known:
        remedy = nearest(name, known, f"choose among {', '.join(known)}")
        raise ConfigError(f"{shortened(name)!r} is not taken here: {remedy}")
    return known[name]


def _check_schema(name: str, given: pa.Schema) -> None:
    wanted = schema(name)
    for number, field in enumerate(wanted):
        told = given.field(number) if number < len(given) else None
        if told is None or (told.name, told.type) != (field.name, field.type):
            what = f"{told.name} {told.type}" if told is not None else "nothing"
            raise ConfigError(
                f"column {number} of {name} must be {field.name} {field.type}, and is {what}: push its schema"
            )
    if len(given) > len(wanted):
        raise ConfigError(f"{name} has {len(wanted)} columns, not {len(given)}: push its schema")


def _chunks(reader: Any) -> Iterator[Any]:
    while True:
        try:
            chunk = reader.read_chunk()
        except StopIteration:
            return
        if chunk.data is not None:
            yield chunk


class ReceivingServer(FlightListener):
    """Serve DoPut alone; GetFlightInfo and ListFlights say what is taken and how far it is."""

    def __init__(
        self,
        address: Address,
        intakes: Intakes,
        *,
        interval: float = 1.0,
        stopping: threading.Event | None = None,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
    ) -> None:
        stop = stopping or threading.Event()
        super().__init__(
            address,
            lambda made: _Receiving(intakes, interval, stop, access, **made),
            tls=tls,
            access=access,
            insecure=insecure,
            put_call="Flight.DoPut",
        )


class _Receiving(GuardedFlight):
    def __init__(
        self, intakes: Intakes, interval: float, stop: threading.Event, access: Access | None, **made: Any
    ) -> None:
        self._intakes = intakes
        self._interval = interval
        self._stop = stop
        super().__init__(access, **made)

    def flights(self, _: bytes) -> Iterator[flight.FlightInfo]:
        for name in self._intakes:
            yield self.info(flight.FlightDescriptor.for_path(*str(table(name)).split("@")))

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        with answering():
            intake = intake_of(self._intakes, descriptor)
            told = json.dumps({"ledgers": str(intake.covered())})
            return flight.FlightInfo(schema(intake.table), descriptor, [], -1, -1, app_metadata=told.encode())

    def schema(self, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        return flight.SchemaResult(schema(intake_of(self._intakes, descriptor).table))

    def get(self, *_: Any, **__: Any) -> Any:
        raise ConfigError("this server takes tables and gives none: read where they are kept")

    def put(
        self,
        context: flight.ServerCallContext,
        grant: Grant,
        descriptor: flight.FlightDescriptor,
        reader: Any,
        writer: Any,
    ) -> None:
        gone = gone_of(context, grant)

        def ended() -> None:
            grant.check()
            if gone() or self._stop.is_set():
                raise Unavailable("this server is stopping: push again when it is back")

        receive(self._intakes, descriptor, reader, writer, ended=ended, interval=self._interval)
