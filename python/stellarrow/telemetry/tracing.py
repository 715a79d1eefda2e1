"""Traces: one a chunk of ledgers, from its fetch to its commit; free until trace_export.py turns them on.

A trace travels as W3C's traceparent, a text; the empty text means that there is none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol, TypeVar

NOT_RECORDED: Final = f"00-{'0' * 31}1-{'0' * 15}1-00"  # the trace of what no service is to record
HEADER: Final = "traceparent"  # of calls, as W3C names it
MESSAGES: Final = "traceparents"  # of a batch: the first ledger of each chunk in it, and that chunk's trace
_NOTHING: Final[AbstractContextManager[str]] = nullcontext("")
_MOST_OF_A_BATCH: Final = 64
_TRACE_LENGTH: Final = 55  # characters of a traceparent

Attribute = str | int | float | bool
Answer = TypeVar("Answer")


class Open(Protocol):
    """A span that has begun; `trace` is what its children are of."""

    @property
    def trace(self) -> str: ...

    def end(self) -> None:
        """Keep it."""


class Recorder(Protocol):
    """What keeps spans, and sends them somewhere without keeping anybody waiting."""

    def begin(
        self,
        name: str,
        trace: str,
        attributes: Mapping[str, Attribute],
        *,
        began: int | None = None,
        kind: str = "internal",
    ) -> Open:
        """Begin a span, now or at a time in unix nanoseconds, which its end() keeps.

        Without a trace it begins one, unless so many have begun lately that they would cost too much.
        """

    def span(self, name: str, trace: str, attributes: Mapping[str, Attribute]) -> AbstractContextManager[str]:
        """Keep a span of what a block does, with its error; lines that it logs tell the trace."""

    def current(self) -> str:
        """Return the trace of the block this thread is in."""


class _Switch:
    """Whether this process records traces."""

    recorder: Recorder | None = None


_SWITCH: Final = _Switch()


def is_on() -> bool:
    """Tell whether spans are recorded."""
    return _SWITCH.recorder is not None


@contextmanager
def recorded_by(recorder: Recorder) -> Iterator[None]:
    """Give spans to a recorder while the block lasts."""
    before, _SWITCH.recorder = _SWITCH.recorder, recorder
    try:
        yield
    finally:
        _SWITCH.recorder = before


def record(name: str, trace: str, began: int, **attributes: Attribute) -> str:
    """Keep a span from `began` until now, and return the trace behind it; without a trace it begins one."""
    recorder = _SWITCH.recorder
    if recorder is None:
        return ""
    span = recorder.begin(name, trace, attributes, began=began)
    span.end()
    return span.trace


def span(name: str, trace: str, **attributes: Attribute) -> AbstractContextManager[str]:
    """Keep a span of what the block does, where there is a trace; the block is given the trace in it."""
    recorder = _SWITCH.recorder
    return recorder.span(name, trace, attributes) if recorder and is_recorded(trace) else _NOTHING


def is_recorded(trace: str) -> bool:
    """Tell whether there is a trace that is to be recorded."""
    return bool(trace) and not trace.endswith("-00")


def current() -> str:
    """Return the trace of the block this thread is in."""
    recorder = _SWITCH.recorder
    return recorder.current() if recorder else ""


def log_fields() -> dict[str, str]:
    """Return what a line of the log says of the trace it belongs to."""
    trace = current()
    return {"trace_id": trace[3:35], "span_id": trace[36:52]} if trace else {}


def call_headers(trace: str = "") -> tuple[tuple[str, str], ...]:
    """Return the header of a call that belongs to a trace, by default to that of this thread's block."""
    trace = trace or current()
    return ((HEADER, trace),) if trace else ()


class Call:
    """A call that streams answers from another service: a span of its own, from now to its end."""

    def __init__(self, name: str, **attributes: Attribute) -> None:
        recorder = _SWITCH.recorder
        self._open = recorder.begin(name, current(), attributes, kind="client") if recorder else None
        self.headers = call_headers(self._open.trace if self._open else "")

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Keep the span, once."""
        span, self._open = self._open, None
        if span:
            span.end()


def served(
    name: str, headers: Mapping[str, str], answers: Generator[Answer] | Iterator[Answer]
) -> Iterator[Answer]:
    """Keep a span of a call that streams answers, where its caller records a trace."""
    trace = headers.get(HEADER, "")
    recorder = _SWITCH.recorder
    return _served(recorder.begin(name, trace, {}, kind="server"), answers) if recorder and trace else answers


def _served(span: Open, answers: Generator[Answer] | Iterator[Answer]) -> Iterator[Answer]:
    try:
        yield from answers
    finally:
        span.end()


def of_message(told: object) -> dict[int, str] | None:
    """Return the traces a batch tells of, by the first ledger of their chunks; None where it tells none."""
    if not is_on() or not isinstance(told, dict):
        return None
    traces = {
        int(first): trace
        for first, trace in [*told.items()][-_MOST_OF_A_BATCH:]
        if first.isdecimal() and isinstance(trace, str) and len(trace) == _TRACE_LENGTH
    }
    return dict(sorted(traces.items()))


def for_message(traces: Mapping[int, str]) -> dict[str, dict[str, str]]:
    """Return what a batch tells of the traces of its chunks, of the newest where there are many.

    One without any tells that, too: who takes it shall begin none of its own.
    """
    if not is_on():
        return {}
    newest = sorted((first, trace) for first, trace in traces.items() if is_recorded(trace))
    return {MESSAGES: {str(first): trace for first, trace in newest[-_MOST_OF_A_BATCH:]}}
