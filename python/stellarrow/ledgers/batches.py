"""Ledgers on their way: as they are stored, as rows, and what a decode saw of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stellarrow.errors import SinkError
from stellarrow.ledgers.ranges import LedgerRange, LedgerSet

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LedgerChunk:
    """Consecutive ledgers as they are stored, untouched: bytes, or where they lie in what was received.

    `data` may hold more ledgers than first to last; `where` names the place for people. `fetched` says that
    they came over a network: a Decoder then verifies what their headers commit to, unless told not to.
    `trace` is the chunk's, a traceparent, where one is recorded.
    """

    data: bytes | pa.Buffer = field(repr=False)
    framing: str
    first: int
    last: int
    where: str
    fetched: bool = False
    trace: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """What one decode saw: how many ledgers, and the hashes that link them to their neighbours.

    Times are unix seconds, `size_bytes` is XDR without compression, hashes are lower-case hex.
    """

    count: int
    first: int
    last: int
    first_closed_at: int
    last_closed_at: int
    previous_hash: str
    last_hash: str
    size_bytes: int
    transactions: int


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """The rows of consecutive ledgers, one record batch a table, under the names the tables were asked by.

    `counted` are those tables that figures are counted from, as the core made them and before any filter, by
    name without version; only where a Decoder was asked for them.
    """

    first: int
    last: int
    tables: dict[str, pa.RecordBatch] = field(repr=False)
    run: LedgerRun
    counted: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows a table has of each ledger of a range that has any, None where they cannot be counted.

    `error` says what is wrong, and `wrong` of which ledgers; rows may be read all the same.
    """

    ledgers: LedgerRange
    rows: Mapping[int, int] | None
    error: SinkError | None = None
    wrong: LedgerSet = field(default_factory=LedgerSet)
