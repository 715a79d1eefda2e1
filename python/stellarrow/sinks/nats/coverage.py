"""Subjects of coverage: of each thousand ledgers of a table the last message, which replaces the one before.

A batch is refused where another writer replaced it meanwhile. Sequences are known only once a batch is there:
a record says how far before it the rows of its own batch lie.
"""

from __future__ import annotations

from typing import Any, Final

from stellarrow.sinks.nats.stream import Message, State, Stored, Stream
from stellarrow.sinks.transactional.windows import Offsets, Window, Windows

REMEDY: Final = "choose another subject_prefix"
_WHOLE: Final = 0  # the only partition that a stream has


class CoverageLog(Windows):
    """What the records said when they were read last; to be read on from there."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._created = ""
        self._sequences: dict[tuple[str, int], int] = {}  # of records
        self._reached = 0  # the sequence of the last record, read or ours
        self.seen = 0  # of the last that was read

    def refresh(self) -> None:
        there = self._stream.state()
        if there is None or there.created != self._created or there.last < self._reached:
            self.forget()  # somebody made it anew, it lost its last ones, or there is none
        if there is None:
            return
        self._stream.refuse_unfit(there)
        self._created = there.created
        for one in self._stream.messages(f"{self._stream.address.coverage}.>", self.seen + 1):
            self._read(one)

    def forget(self) -> None:
        super().forget()
        self._created, self.seen, self._reached = "", 0, 0
        self._sequences = {}

    def landed(self, window: Window, sequence: int) -> None:
        """Take over a record that came to lie there, unless a later one is known.

        One of ours is read once more: others may have written what was not read yet before it.
        """
        if sequence >= self.expected(window):
            self.apply(window)
            self._sequences[window.table, window.first] = sequence
            self._reached = max(self._reached, sequence)

    def expected(self, window: Window) -> int:
        """Return the sequence of the record that one replaces, 0 where there is none."""
        return self._sequences.get((window.table, window.first), 0)

    def _read(self, one: Stored) -> None:
        def where(told: Any) -> Offsets:
            spans = [tuple(told["sequences"])] if told["sequences"] else []
            if told["before"]:
                first, last = told["before"]
                spans.append((one.sequence - first, one.sequence - last + 1))
            return spanning(*spans)

        window = Window.decode(one.subject, one.value, where, place=str(self._stream), remedy=REMEDY)
        self.landed(window, one.sequence)
        self.seen = max(self.seen, one.sequence)


def spanning(*spans: tuple[int, int]) -> Offsets:
    """Return one span around others."""
    if not spans:
        return {}
    return {_WHOLE: (min(first for first, _ in spans), max(end for _, end in spans))}


def record_of(
    window: Window, log: CoverageLog, there: State, *, at: int, rows: tuple[int, int] | None, prefix: str
) -> Message:
    """Return the record of a window at a place in a batch; `rows` are the places of its first and last."""
    before = [at - rows[0], at - rows[1]] if rows else None
    headers = {"Nats-Expected-Last-Subject-Sequence": str(log.expected(window)), "Nats-Rollup": "sub"}
    if there.config.get("allow_msg_ttl"):
        headers["Nats-TTL"] = "never"  # also where max_age removes rows
    value = window.encode(sequences=window.offsets.get(_WHOLE), before=before)
    return Message(f"{prefix}.{window.table}.{window.first:010d}", value, headers)
