"""The requests of gRPC's calls, which a client may announce and never send.

gRPC for Python gives a call a thread before its request has arrived. A few calls that say nothing would hold
all threads, so here is asked first who calls, and no request is waited for while others need the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from stellarrow.extras import needing

with needing("a gRPC server", "servers"):
    import grpc
    from google.protobuf.message import DecodeError

LONGEST: Final = 10.0  # seconds for a request to arrive
_LOOK_SECONDS: Final = 0.25
_CROWDED_LOOK_SECONDS: Final = 0.02
_NO_MESSAGE: Final = object()  # what was sent instead of one


def understood(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Read requests; one that is none is refused when it is taken, where gRPC would log a traceback."""

    def made(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _NO_MESSAGE

    return made


class Threads(ThreadPoolExecutor):
    """Threads for some methods. While calls wait for one, requests must come within `patience` seconds."""

    def __init__(self, count: int, name: str, *, patience: float) -> None:
        super().__init__(count, thread_name_prefix=name)
        self._patience = patience
        self._waiting: dict[int, tuple[float, grpc.ServicerContext]] = {}
        self._lock = threading.Lock()

    @property
    def is_crowded(self) -> bool:
        """Tell whether calls wait for a thread."""
        return self._work_queue.qsize() > 0

    def request(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """Return the one request of a call."""
        try:
            return self._next(requests, context)
        except StopIteration:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "the call needs exactly one request message")
        raise AssertionError  # abort raises

    def each(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Yield the requests of a call; the next one must be there in time, too."""
        while True:
            try:
                yield self._next(requests, context)
            except StopIteration:
                return

    def behaving(self, behavior: Callable[..., Any], *, non_blocking: bool = False) -> Callable[..., Any]:
        """Let a method be answered by these threads; with `non_blocking` its answers need none."""
        behavior.experimental_thread_pool = self  # type: ignore[attr-defined]  # by these names gRPC asks
        behavior.experimental_non_blocking = non_blocking  # type: ignore[attr-defined]  # likewise
        return behavior

    def let_go(self) -> None:
        """Break off calls whose requests do not come."""
        longest = self._patience if self.is_crowded else LONGEST
        now = time.monotonic()
        with self._lock:
            late = [context for since, context in self._waiting.values() if now - since >= longest]
        for context in late:
            context.cancel()

    def _next(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        with self._lock:
            self._waiting[id(context)] = time.monotonic(), context
        try:
            request = next(requests)
        finally:
            with self._lock:
                del self._waiting[id(context)]
        if request is _NO_MESSAGE:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "the request is no message that this method takes: make it of the service's .proto file",
            )
        return request


class Watcher:
    """Looks now and then whether calls keep threads that others wait for."""

    def __init__(self, pools: Sequence[Threads]) -> None:
        self._pools = pools
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stellarrow-grpc-requests", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Look no more; the pools take no more work. Twice is harmless."""
        self._closed.set()
        for pool in self._pools:
            pool.shutdown(wait=False)

    def _watch(self) -> None:
        while not self._closed.wait(self._pause()):
            for pool in self._pools:
                pool.let_go()

    def _pause(self) -> float:
        return _CROWDED_LOOK_SECONDS if any(pool.is_crowded for pool in self._pools) else _LOOK_SECONDS
