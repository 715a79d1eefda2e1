"""One table pushed over one DoPut call: batches go ahead, each is over when it is acknowledged."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.errors import SinkError, SinkUnavailable, StellarrowError
from stellarrow.net.client_tls import NO_TLS
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.flight_client import Trouble, call_options, connect, reason_of, trouble_of
from stellarrow.net.proxies import host_of
from stellarrow.net.redaction import redacted_url

_AHEAD_BYTES: Final = 32 << 20  # of rows that were sent and are not acknowledged
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Expected(SinkError):
    """The receiver lacks ledgers before those a producer pushed; `ledger` is the first."""

    def __init__(self, message: str, *, producer: str, ledger: int) -> None:
        super().__init__(message)
        self.producer = producer
        self.ledger = ledger


@dataclass(frozen=True, slots=True)
class _Sent:
    producer: str
    done: Callable[[], None]
    size: int


class PushClient:
    """A server that tables are pushed to, at `flight://host:port` or `flights://` with TLS."""

    def __init__(self, url: str, *, credentials: ClientCredentials = NO_CREDENTIALS) -> None:
        self.name = redacted_url(url)
        scheme, _, self._target = url.partition("://")
        self._secure = scheme == "flights"
        self._credentials = credentials
        self._host = host_of(url)

    @contextmanager
    def pushing(self, table: str, schema: pa.Schema) -> Iterator[Pushing]:
        """Begin a call; at the block's end everything pushed is acknowledged, or an error is raised."""
        tls = self._credentials.tls if self._secure else NO_TLS
        pushing = None
        try:
            with connect(self._target, secure=self._secure, tls=tls, options=_OPTIONS) as client:
                descriptor = flight.FlightDescriptor.for_path(*table.split("@"))
                options = call_options(self._credentials, self._host)
                writer, answers = client.do_put(descriptor, schema, options)
                pushing = Pushing(self, writer, answers)
                yield pushing
                pushing.finish()
        except (flight.FlightError, pa.ArrowException) as error:
            raise (pushing and pushing.trouble) or self.translated(error) from error
        finally:
            if pushing:
                pushing.close()

    def translated(self, error: Exception) -> StellarrowError:
        """Return what is wrong with the server, or with what it was sent."""
        reason = reason_of(error)
        match trouble_of(error):
            case Trouble.LETS_NOBODY_IN:
                return SinkError(f"{self.name} lets us push nothing ({reason}): give the right credentials")
            case Trouble.REFUSES:
                return SinkError(f"{self.name} refuses what is pushed: {reason}")
            case Trouble.AWAY:
                return SinkUnavailable(f"{self.name} does not take what is pushed ({reason}): start it")


class Pushing:
    """A call under way; its acknowledgements are read in a thread of its own, for reading blocks."""

    def __init__(self, client: PushClient, writer: Any, answers: Any) -> None:
        self._client = client
        self._writer = writer
        self._answers = answers
        self._changed = threading.Condition()
        self._sent: deque[_Sent] = deque()
        self._ahead = 0
        self.has_ended = False
        self.trouble: StellarrowError | None = None
        self._thread = threading.Thread(target=self._read, name="stellarrow-acknowledged", daemon=True)
        self._thread.start()

    def push(self, rows: pa.RecordBatch, says: Mapping[str, object], done: Callable[[], None]) -> None:
        """Send a batch; `done` is called, in another thread, once it is durable there."""
        self.check()
        with self._changed:
            self._changed.wait_for(lambda: self._ahead < _AHEAD_BYTES or self.has_ended)
            self._sent.append(_Sent(str(says["producer"]), done, rows.nbytes))
            self._ahead += rows.nbytes
        self.check()
        self._writer.write_with_metadata(rows, pa.py_buffer(json.dumps(says).encode()))

    def check(self) -> None:
        """Raise what the server said is wrong."""
        if self.trouble:
            raise self.trouble
        if self.has_ended:
            raise SinkUnavailable(f"{self._client.name} has ended the call: trying again")

    def finish(self) -> None:
        """Say that no more comes, and wait for what is not acknowledged."""
        self._writer.done_writing()
        self._thread.join()
        if self.trouble:
            raise self.trouble
        if self._sent:
            raise SinkUnavailable(f"{self._client.name} ended the call before all was durable: trying again")

    def close(self) -> None:
        """Give the call up."""
        with suppress(flight.FlightError, pa.ArrowException):
            self._writer.close()

    def _read(self) -> None:
        try:
            while (answer := self._answers.read()) is not None:
                if not self._take(json.loads(answer.to_pybytes())):
                    break
        except (flight.FlightError, pa.ArrowException) as error:
            self.trouble = self.trouble or self._client.translated(error)
        except (ValueError, TypeError) as error:
            self.trouble = SinkError(f"{self._client.name} answers what is no acknowledgement ({error})")
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def _take(self, said: Mapping[str, Any]) -> bool:
        """Note an acknowledgement, or why there are no more."""
        if "error" in said:
            message, expected = f"{self._client.name}: {said['error']}", said.get("expected")
            self.trouble = SinkUnavailable(message)
            if isinstance(expected, int) and self._sent:
                self.trouble = Expected(message, producer=self._sent[0].producer, ledger=expected)
            return False
        with self._changed:
            if not self._sent:
                raise ValueError("more was acknowledged than was pushed")
            sent = self._sent.popleft()
            self._ahead -= sent.size
            self._changed.notify_all()
        sent.done()
        return True
