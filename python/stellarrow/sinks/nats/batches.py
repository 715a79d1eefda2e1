"""What goes out at once: rows of whole ledgers, of as many as one atomic batch takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from stellarrow.errors import LedgersRefused
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.nats.stream import BATCH_MESSAGES, Message
from stellarrow.sinks.transactional.windows import window_of

_BATCH_BYTES: Final = 64 << 20  # which the server keeps until the last message is there


@dataclass(frozen=True, slots=True)
class Unit:
    """The messages of one ledger of one table, which go out together."""

    table: str
    ledger: int
    messages: list[Message]
    rows: int

    @property
    def nbytes(self) -> int:
        return sum(len(one.value) for one in self.messages)


@dataclass(slots=True)
class Part:
    """What a batch has of one table; by window, how many rows, and between which places they lie."""

    ledgers: list[int] = field(default_factory=list)
    rows: Counter[int] = field(default_factory=Counter)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # the first is 1
    windows: set[int] = field(default_factory=set)

    @property
    def covered(self) -> LedgerSet:
        return LedgerSet(LedgerRange(ledger, ledger) for ledger in self.ledgers)


@dataclass(slots=True)
class Batch:
    """Messages of rows; records of coverage follow, one for each window of a table."""

    messages: list[Message] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    nbytes: int = 0

    def has_room_for(self, unit: Unit) -> bool:
        """Tell whether a unit and a record more may come in."""
        records = sum(len(part.windows) for part in self.parts.values()) + 1
        count = len(self.messages) + len(unit.messages) + records
        return count <= BATCH_MESSAGES and self.nbytes + unit.nbytes <= _BATCH_BYTES

    def add(self, unit: Unit) -> None:
        part, window = self.parts.setdefault(unit.table, Part()), window_of(unit.ledger)
        part.ledgers.append(unit.ledger)
        part.windows.add(window)
        part.rows[window] += unit.rows
        self.nbytes += unit.nbytes
        if unit.messages:
            first = len(self.messages) + 1
            self.messages += unit.messages
            part.places[window] = (part.places.get(window, (first, 0))[0], len(self.messages))


def batches(units: Iterable[Unit]) -> Iterator[Batch]:
    """Yield batches of as many units as they take, in the order that these come."""
    made = Batch()
    for unit in units:
        if len(unit.messages) >= BATCH_MESSAGES:
            raise LedgersRefused(
                f"ledger {unit.ledger} has {len(unit.messages):,} messages of {unit.table}, and an atomic"
                f" batch takes {BATCH_MESSAGES:,}, coverage included: raise max_payload of the server, and"
                " write with key=ledger"
            )
        if made.parts and not made.has_room_for(unit):
            yield made
            made = Batch()
        made.add(unit)
    if made.parts:
        yield made
