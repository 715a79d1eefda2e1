"""A processor of this process, as the analytics service reads one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stellarrow.core.tables import table
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.request import Command
from stellarrow.processor.reads.session_stream import of_sessions
from stellarrow.telemetry import tracing


@dataclass(frozen=True, slots=True)
class _Arrived:
    first: int
    last: int
    rows: pa.RecordBatch = field(repr=False)
    resume: str
    complete: bool
    traces: tuple[str, ...] = ()


class OwnTable:
    """One table of the sessions, without a way over the network."""

    def __init__(self, processor: Processor, name: str) -> None:
        self.name = f"{name} of the processor"
        self._processor = processor
        self._table = str(table(name))
        self._is_closed = False

    def read(self, since: str) -> Iterator[_Arrived]:
        """Yield what sessions keep behind a place, and follow them until all have ended."""
        stream = of_sessions(
            self._processor,
            Command(table=self._table, origin=since),
            cancelled=lambda: self._is_closed,
            reader="analytics",
        )
        for sent, resume in stream:
            traces = tuple(filter(tracing.is_recorded, sent.traces.values()))
            yield _Arrived(sent.first, sent.last, sent.rows, resume, sent.complete, traces)

    def close(self) -> None:
        """End the read that is under way, soon."""
        self._is_closed = True


def own_tables(processor: Processor, wanted: Sequence[str]) -> dict[str, OwnTable]:
    """Return the tables that are wanted and that sessions keep in their newest version."""
    return {name: OwnTable(processor, name) for name in wanted if str(table(name)) in processor.options.kept}
